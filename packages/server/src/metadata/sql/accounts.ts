import type { Account, AccountChanges, AccountKind, NewAccount, StoredGrant } from "../accounts.ts";
import { all, first, now, repeat, touched, type Unit } from "./statement.ts";

interface AccountRow {
  name: string;
  kind: AccountKind;
  password_hash: string | null;
  is_admin: number;
  groups_json: string;
  grants_json: string;
  description: string;
  external_id: string | null;
  created_at: number;
  created_by: string | null;
  disabled_at: number | null;
  expires_at: number | null;
}

function toAccount(row: AccountRow): Account {
  return {
    name: row.name,
    kind: row.kind,
    passwordHash: row.password_hash,
    isAdmin: row.is_admin === 1,
    groups: JSON.parse(row.groups_json) as readonly string[],
    grants: JSON.parse(row.grants_json) as readonly StoredGrant[],
    description: row.description,
    externalId: row.external_id,
    createdAt: row.created_at,
    createdBy: row.created_by,
    disabledAt: row.disabled_at,
    expiresAt: row.expires_at,
  };
}

export function* findAccount(name: string): Unit<Account | null> {
  const row = yield* first<AccountRow>("SELECT * FROM accounts WHERE name = ?", name);
  return row === null ? null : toAccount(row);
}

export function* listAccounts(
  kinds: readonly AccountKind[],
  after: string,
  entriesMax: number,
): Unit<readonly Account[]> {
  const rows = yield* all<AccountRow>(
    `SELECT * FROM accounts WHERE name > ? AND kind IN (${repeat("?", kinds)}) ORDER BY name LIMIT ?`,
    after,
    ...kinds,
    entriesMax,
  );
  return rows.map(toAccount);
}

export function* createAccount(
  account: NewAccount,
  { onlyFirst }: { readonly onlyFirst: boolean },
): Unit<boolean> {
  if (onlyFirst && (yield* first("SELECT 1 FROM accounts LIMIT 1")) !== null) return false;
  const isNew = yield* touched(
    `INSERT INTO accounts (name, kind, password_hash, is_admin, groups_json, grants_json, description,
                           external_id, created_at, created_by, expires_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING RETURNING 1`,
    account.name,
    account.kind,
    account.passwordHash,
    account.isAdmin ? 1 : 0,
    JSON.stringify(account.groups),
    JSON.stringify(account.grants),
    account.description,
    account.externalId ?? null,
    yield* now(),
    account.createdBy,
    account.expiresAt,
  );
  // Whoever had the name before may have signed in at the moment in which that account went.
  if (isNew) yield* all("DELETE FROM access_tokens WHERE account = ?", account.name);
  return isNew;
}

export function* updateAccount(name: string, changes: AccountChanges): Unit<Account | null> {
  const before = yield* findAccount(name);
  if (before === null) return null;
  const { passwordHash, isAdmin, isDisabled, groups, grants, description, expiresAt } = changes;
  const disabledAt = isDisabled === true ? (before.disabledAt ?? (yield* now())) : null;
  yield* all(
    `UPDATE accounts SET password_hash = ?, is_admin = ?, groups_json = ?, grants_json = ?, description = ?,
            disabled_at = ?, expires_at = ? WHERE name = ?`,
    passwordHash === undefined ? before.passwordHash : passwordHash,
    (isAdmin ?? before.isAdmin) ? 1 : 0,
    JSON.stringify(groups ?? before.groups),
    JSON.stringify(grants ?? before.grants),
    description ?? before.description,
    isDisabled === undefined ? before.disabledAt : disabledAt,
    expiresAt === undefined ? before.expiresAt : expiresAt,
    name,
  );
  if (passwordHash !== undefined || isDisabled === true) {
    yield* all("DELETE FROM access_tokens WHERE account = ? AND kind IN ('refresh', 'session')", name);
  }
  return yield* findAccount(name);
}

/** Whether the account is the only user who is an administrator for good: enabled, and without an end. */
function* isLastAdmin(name: string): Unit<boolean> {
  const rows = yield* all<{ name: string }>(
    `SELECT name FROM accounts
      WHERE is_admin = 1 AND kind = 'user' AND disabled_at IS NULL AND expires_at IS NULL LIMIT 2`,
  );
  return rows.length === 1 && rows[0]?.name === name;
}

export function* updateKeepingAdmin(
  name: string,
  changes: AccountChanges,
): Unit<Account | null | "last-administrator"> {
  const { isAdmin, isDisabled, expiresAt } = changes;
  const endsIt = isAdmin === false || isDisabled === true || (expiresAt ?? null) !== null;
  if (endsIt && (yield* isLastAdmin(name))) return "last-administrator";
  return yield* updateAccount(name, changes);
}

export function* removeKeepingAdmin(name: string): Unit<boolean | "last-administrator"> {
  return (yield* isLastAdmin(name)) ? "last-administrator" : yield* removeAccount(name);
}

export function* removeAccount(name: string): Unit<boolean> {
  yield* all("DELETE FROM access_tokens WHERE account = ?", name);
  return yield* touched("DELETE FROM accounts WHERE name = ? RETURNING 1", name);
}
