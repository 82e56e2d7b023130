import {
  type AccessToken,
  PERSONAL_TOKENS_MAX,
  type SigningKey,
  type StoredGrant,
  type TokenKind,
  type TokenUse,
} from "../accounts.ts";
import { all, first, now, repeat, touched, type Unit } from "./statement.ts";

/** Refresh tokens, and sessions, of one account: each sign-in makes one, and the longest unused goes for it. */
const AUTOMATIC_TOKENS_MAX = 100;

interface TokenRow {
  id: string;
  kind: TokenKind;
  account: string;
  label: string;
  secret_hash: string;
  limit_json: string | null;
  created_at: number;
  expires_at: number | null;
  used_at: number | null;
}

function toToken(row: TokenRow): AccessToken {
  return {
    id: row.id,
    kind: row.kind,
    account: row.account,
    label: row.label,
    secretHash: row.secret_hash,
    limit: row.limit_json === null ? null : (JSON.parse(row.limit_json) as readonly StoredGrant[]),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    usedAt: row.used_at,
  };
}

export function* findToken(id: string): Unit<AccessToken | null> {
  const row = yield* first<TokenRow>("SELECT * FROM access_tokens WHERE id = ?", id);
  return row === null ? null : toToken(row);
}

export function* createToken(token: Omit<AccessToken, "createdAt" | "usedAt">): Unit<AccessToken | null> {
  const createdAt = yield* now();
  if (token.kind === "personal" && (yield* hasTokensEnough(token.account, createdAt))) return null;
  yield* all(
    `INSERT INTO access_tokens (id, kind, account, label, secret_hash, limit_json, created_at, expires_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    token.id,
    token.kind,
    token.account,
    token.label,
    token.secretHash,
    token.limit === null ? null : JSON.stringify(token.limit),
    createdAt,
    token.expiresAt,
  );
  if (token.kind !== "personal") {
    yield* all(
      `DELETE FROM access_tokens WHERE id IN
         (SELECT id FROM access_tokens WHERE account = ? AND kind = ?
           ORDER BY COALESCE(used_at, created_at) DESC, id = ? DESC LIMIT 1000 OFFSET ?)`,
      token.account,
      token.kind,
      token.id,
      AUTOMATIC_TOKENS_MAX,
    );
  }
  return { ...token, createdAt, usedAt: null };
}

function* hasTokensEnough(account: string, now: number): Unit<boolean> {
  const last = yield* first(
    `SELECT 1 FROM access_tokens
      WHERE account = ? AND kind = 'personal' AND (expires_at IS NULL OR expires_at > ?) LIMIT 1 OFFSET ?`,
    account,
    now,
    PERSONAL_TOKENS_MAX - 1,
  );
  return last !== null;
}

export function* endOtherTokens(id: string, at: number): Unit<void> {
  yield* all(
    `UPDATE access_tokens SET expires_at = MIN(COALESCE(expires_at, ?), ?)
      WHERE id <> ? AND kind = 'personal' AND account = (SELECT account FROM access_tokens WHERE id = ?)`,
    at,
    at,
    id,
    id,
  );
}

export function* listTokens(query: {
  readonly account: string | null;
  readonly kinds: readonly TokenKind[];
  readonly after: string;
  readonly entriesMax: number;
}): Unit<readonly AccessToken[]> {
  const { account, kinds, after, entriesMax } = query;
  const rows = yield* all<TokenRow>(
    `SELECT * FROM access_tokens WHERE id > ? AND kind IN (${repeat("?", kinds)})
        ${account === null ? "" : "AND account = ?"} ORDER BY id LIMIT ?`,
    after,
    ...kinds,
    ...(account === null ? [] : [account]),
    entriesMax,
  );
  return rows.map(toToken);
}

export function* revokeToken(id: string, account: string | null): Unit<boolean> {
  if (account === null) return yield* touched("DELETE FROM access_tokens WHERE id = ? RETURNING 1", id);
  return yield* touched("DELETE FROM access_tokens WHERE id = ? AND account = ? RETURNING 1", id, account);
}

export function* noteTokenUse(uses: readonly TokenUse[]): Unit<void> {
  for (const { id, at, extendTo } of uses) {
    yield* all(
      `UPDATE access_tokens SET used_at = MAX(COALESCE(used_at, 0), ?),
              expires_at = CASE WHEN expires_at < ? THEN ? ELSE expires_at END WHERE id = ?`,
      at,
      extendTo ?? 0,
      extendTo ?? 0,
      id,
    );
  }
}

export function* expireTokens(max: number): Unit<number> {
  const rows = yield* all(
    `DELETE FROM access_tokens WHERE id IN
       (SELECT id FROM access_tokens WHERE expires_at <= ? ORDER BY expires_at LIMIT ?) RETURNING 1`,
    yield* now(),
    max,
  );
  return rows.length;
}

interface KeyRow {
  kid: string;
  private_jwk: string;
  created_at: number;
  signs_until: number;
  verifies_until: number;
}

export function* listKeys(): Unit<readonly SigningKey[]> {
  const rows = yield* all<KeyRow>(
    "SELECT * FROM signing_keys WHERE verifies_until > ? ORDER BY created_at DESC, kid",
    yield* now(),
  );
  return rows.map((row) => ({
    kid: row.kid,
    privateJwk: row.private_jwk,
    createdAt: row.created_at,
    signsUntil: row.signs_until,
    verifiesUntil: row.verifies_until,
  }));
}

export function* addKey(
  key: Omit<SigningKey, "createdAt">,
  { ifNoneSince, endingAll }: { readonly ifNoneSince: number; readonly endingAll: boolean },
): Unit<boolean> {
  const newer = yield* first("SELECT 1 FROM signing_keys WHERE created_at > ? LIMIT 1", ifNoneSince);
  if (newer !== null) return false;
  const createdAt = yield* now();
  yield* all("DELETE FROM signing_keys WHERE verifies_until <= ?", createdAt);
  if (endingAll) yield* all("UPDATE signing_keys SET signs_until = MIN(signs_until, ?)", createdAt);
  yield* all(
    `INSERT INTO signing_keys (kid, private_jwk, created_at, signs_until, verifies_until) VALUES (?, ?, ?, ?, ?)`,
    key.kid,
    key.privateJwk,
    createdAt,
    key.signsUntil,
    key.verifiesUntil,
  );
  return true;
}

export function* clearKeys(): Unit<void> {
  yield* all("DELETE FROM signing_keys");
}
