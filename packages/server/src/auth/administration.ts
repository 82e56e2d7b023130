import { RegistryError } from "@stowage/oci/errors";
import { quote } from "@stowage/oci/reference";
import type {
  Account,
  AccountKind,
  AccountMetadata,
  NewAccount,
  AccessToken,
  TokenKind,
  TokenMetadata,
} from "../metadata/metadata.ts";
import { robotAccount } from "./account-names.ts";
import type { MadeToken } from "./access-tokens.ts";
import type { Directory } from "./auth.ts";
import type { Caller } from "./caller.ts";
import type { Grant } from "./grants.ts";
import { problemOfPassword } from "./passwords.ts";
import { randomText } from "./secrets.ts";
import type { WorkloadTokens } from "./workload-tokens.ts";

export type { Account, AccessToken, Directory, Grant, MadeToken, TokenKind };

/** Random bytes of a password that is made for somebody. */
const PASSWORD_BYTES = 18;

/** Kinds of accounts that belong to people. */
const PEOPLE = ["user", "person"] as const;

const TOKEN_KINDS = ["personal", "refresh", "session"] as const;

export interface Page {
  /** A name or an id: the page goes on behind it. */
  readonly after: string;
  readonly entriesMax: number;
}

export interface NewUser {
  readonly name: string;
  /** Null: one is made. */
  readonly password: string | null;
  readonly isAdmin: boolean;
  readonly description: string;
  /** Milliseconds since 1970; null: no end. */
  readonly expiresAt: number | null;
}

export interface UserChanges {
  readonly isAdmin?: boolean;
  readonly isDisabled?: boolean;
  readonly description?: string;
  readonly expiresAt?: number | null;
}

export interface NewRobot {
  /** Without `robot:`. */
  readonly name: string;
  readonly grants: readonly Grant[];
  readonly description: string;
  readonly expiresAt: number | null;
}

export interface RobotChanges {
  readonly grants?: readonly Grant[];
  readonly isDisabled?: boolean;
  readonly description?: string;
  readonly expiresAt?: number | null;
}

export interface TokenWish {
  readonly label: string;
  readonly limit: readonly Grant[] | null;
  /** Milliseconds since 1970; null: until it is revoked. */
  readonly expiresAt: number | null;
}

export interface AdministrationOptions {
  readonly directory: Directory;
  readonly workloads: WorkloadTokens;
  readonly accounts: AccountMetadata;
  readonly tokens: TokenMetadata;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/**
 * The rules of keeping accounts, robots and their tokens. Whether the caller may was asked at the door. It works also
 * where nobody has to sign in, so that accounts can be prepared.
 */
export class Administration {
  readonly directory: Directory;
  /** Issuers elsewhere whose tokens open the registry. */
  readonly workloads: WorkloadTokens;
  readonly now: () => number;
  readonly #accounts: AccountMetadata;
  readonly #tokens: TokenMetadata;

  constructor({ directory, workloads, accounts, tokens, now }: AdministrationOptions) {
    this.directory = directory;
    this.workloads = workloads;
    this.now = now;
    this.#accounts = accounts;
    this.#tokens = tokens;
  }

  /** By name. Names of the htpasswd file are in that file, and not listed. */
  async users(page: Page): Promise<readonly Account[]> {
    return await this.#accounts.list({ kinds: PEOPLE, ...page });
  }

  /** @throws RegistryError ACCOUNT_UNKNOWN */
  async user(name: string): Promise<Account> {
    return await this.#require(name, PEOPLE);
  }

  /** The password is told when it was made here. @throws RegistryError REQUEST_INVALID, CONFLICT, TOOMANYREQUESTS */
  async createUser(
    by: Caller,
    { password, ...wanted }: NewUser,
  ): Promise<{ readonly account: Account; readonly password: string | null }> {
    const { name } = wanted;
    // Who takes a name of the htpasswd file would take over what its owner has.
    if (await this.#isInFile(name)) throw taken(name, "is in the htpasswd file");
    const made = password === null ? randomText(PASSWORD_BYTES) : null;
    const passwordHash = await this.#hash(password ?? made ?? "");
    const account = { ...wanted, kind: "user", passwordHash, groups: [], grants: [] } as const;
    await this.#create(by, account);
    return { account: await this.user(name), password: made };
  }

  /** @throws RegistryError ACCOUNT_UNKNOWN, CONFLICT when it is the last administrator */
  async updateUser(by: Caller, name: string, changes: UserChanges): Promise<Account> {
    await this.user(name);
    const updated = mayDoWithout(by)
      ? await this.#accounts.update(name, changes)
      : await this.#accounts.updateKeepingAdmin(name, changes);
    if (updated === "last-administrator") throw lastAdministrator(name);
    if (updated === null) throw unknown(name);
    return updated;
  }

  /** With its tokens. @throws RegistryError ACCOUNT_UNKNOWN, CONFLICT when it is the last administrator */
  async removeUser(by: Caller, name: string): Promise<void> {
    await this.user(name);
    const removed = mayDoWithout(by)
      ? await this.#accounts.remove(name)
      : await this.#accounts.removeKeepingAdmin(name);
    if (removed === "last-administrator") throw lastAdministrator(name);
    if (!removed) throw unknown(name);
  }

  /**
   * Ends sessions and `docker login`s of the account. Without a password one is made, and told.
   * @throws RegistryError ACCOUNT_UNKNOWN, REQUEST_INVALID, CONFLICT where the account has none, TOOMANYREQUESTS
   */
  async setPassword(name: string, password: string | null): Promise<string | null> {
    const account = await this.#accounts.find(name);
    if (account === null && (await this.#isInFile(name))) {
      throw new RegistryError("CONFLICT", {
        message: `the password of ${quote(name)} is in the htpasswd file of the server; change it there`,
      });
    }
    if ((await this.user(name)).kind !== "user") {
      throw new RegistryError("CONFLICT", {
        message: `${quote(name)} signs in through the identity provider and has no password here`,
      });
    }
    const made = password === null ? randomText(PASSWORD_BYTES) : null;
    const passwordHash = await this.#hash(password ?? made ?? "");
    if ((await this.#accounts.update(name, { passwordHash })) === null) throw unknown(name);
    return made;
  }

  async robots(page: Page): Promise<readonly Account[]> {
    const after = page.after === "" ? "" : robotAccount(page.after);
    return await this.#accounts.list({ kinds: ["robot"], ...page, after });
  }

  /** @throws RegistryError ACCOUNT_UNKNOWN */
  async robot(name: string): Promise<Account> {
    return await this.#require(robotAccount(name), ["robot"]);
  }

  /** It signs in with tokens alone. @throws RegistryError CONFLICT */
  async createRobot(by: Caller, { name, ...wanted }: NewRobot): Promise<Account> {
    const account = { ...wanted, kind: "robot", passwordHash: null, isAdmin: false, groups: [] } as const;
    await this.#create(by, { ...account, name: robotAccount(name) });
    return await this.robot(name);
  }

  /** @throws RegistryError ACCOUNT_UNKNOWN */
  async updateRobot(name: string, changes: RobotChanges): Promise<Account> {
    await this.robot(name);
    const updated = await this.#accounts.update(robotAccount(name), changes);
    if (updated === null) throw unknown(name);
    return updated;
  }

  /** With its tokens. @throws RegistryError ACCOUNT_UNKNOWN */
  async removeRobot(name: string): Promise<void> {
    await this.robot(name);
    if (!(await this.#accounts.remove(robotAccount(name)))) throw unknown(name);
  }

  /** @throws RegistryError ACCOUNT_UNKNOWN, CONFLICT when it has too many */
  async createRobotToken(name: string, wish: Omit<TokenWish, "limit">): Promise<MadeToken> {
    const account = (await this.robot(name)).name;
    return await this.directory.tokens.create({ ...wish, kind: "personal", account, limit: null });
  }

  /**
   * A new token; the others end `overlapMs` later, or at once.
   * @throws RegistryError ACCOUNT_UNKNOWN, CONFLICT when it has too many
   */
  async rotateRobotToken(
    name: string,
    { overlapMs, ...wish }: Omit<TokenWish, "limit"> & { readonly overlapMs: number },
  ): Promise<MadeToken> {
    const made = await this.createRobotToken(name, wish);
    // Should this fail, both are good and the caller knows neither the new one's secret: nothing is lost.
    await this.#tokens.endOthers(made.token.id, this.now() + overlapMs);
    return made;
  }

  /** @throws RegistryError CONFLICT when the account has too many */
  async createPersonalToken(account: string, wish: TokenWish): Promise<MadeToken> {
    return await this.directory.tokens.create({ ...wish, kind: "personal", account });
  }

  /** Of one account, which need not be there any more; without secrets. */
  async tokens(account: string, page: Page): Promise<readonly AccessToken[]> {
    return await this.#tokens.list({ account, kinds: TOKEN_KINDS, ...page });
  }

  /** @throws RegistryError TOKEN_UNKNOWN when the account has no such token */
  async revokeToken(account: string, id: string): Promise<void> {
    if (await this.#tokens.revoke(id, account)) return;
    throw new RegistryError("TOKEN_UNKNOWN", { message: `${quote(account)} has no token ${quote(id)}` });
  }

  /** @throws RegistryError ACCOUNT_UNKNOWN unless there is such an account, here or in the htpasswd file */
  async requireOwner(name: string): Promise<void> {
    if (await this.#isInFile(name)) return;
    await this.user(name);
  }

  async #require(name: string, kinds: readonly AccountKind[]): Promise<Account> {
    const account = await this.#accounts.find(name);
    if (account === null || !kinds.includes(account.kind)) throw unknown(name);
    return account;
  }

  async #create(by: Caller, account: Omit<NewAccount, "createdBy">): Promise<void> {
    const made = await this.#accounts.create({ ...account, createdBy: by.name }, { onlyFirst: false });
    if (!made) throw taken(account.name, "is there already");
  }

  async #isInFile(name: string): Promise<boolean> {
    if ((await this.#accounts.find(name)) !== null) return false;
    return (await this.directory.accounts.passwordHash(name)) !== null;
  }

  async #hash(password: string): Promise<string> {
    const problem = problemOfPassword(password);
    if (problem === null) return await this.directory.passwords.hash(password);
    throw new RegistryError("REQUEST_INVALID", { message: `the password cannot be used: ${problem}` });
  }
}

/** The owner of the data folder comes in whoever is an administrator. */
function mayDoWithout({ credential }: Caller): boolean {
  return credential.kind === "socket";
}

function lastAdministrator(name: string): RegistryError {
  return new RegistryError("CONFLICT", {
    message: `${quote(name)} is the last administrator; make somebody else one first, or do it on the server itself with \`stowage admin\``,
  });
}

function taken(name: string, why: string): RegistryError {
  return new RegistryError("CONFLICT", { message: `the account ${quote(name)} ${why}` });
}

function unknown(name: string): RegistryError {
  return new RegistryError("ACCOUNT_UNKNOWN", { message: `there is no account ${quote(name)}` });
}
