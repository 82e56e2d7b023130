import type { TokenScope } from "@stowage/oci/token-scope";
import type { AccountMetadata } from "../metadata/metadata.ts";
import { type AccessRules, HTPASSWD_GROUP } from "./access-rules.ts";
import { type Caller, type Credential, EVERYBODY, NOBODY, SIGNED_IN } from "./caller.ts";
import { compileGrants, type Grant, type Grants } from "./grants.ts";
import type { HtpasswdFile } from "./htpasswd.ts";

/** What an account has, whoever keeps it. */
interface KnownAccount {
  readonly passwordHash: string | null;
  readonly isAdmin: boolean;
  readonly principals: readonly string[];
  readonly grants: readonly Grant[];
  /** Milliseconds since 1970; 0 where it is not known. */
  readonly createdAt: number;
}

/** What a caller's credential takes away from what the account may. */
export interface Restrictions {
  readonly limit?: readonly Grant[] | null;
  readonly scopes?: readonly TokenScope[] | null;
  readonly hasEnded?: boolean;
  /** When the credential was issued, in seconds since 1970: an account of the same name that is newer is another's. */
  readonly issuedAt?: number;
}

export interface AccountsOptions {
  readonly accounts: AccountMetadata;
  /** Null without one. */
  readonly htpasswd: HtpasswdFile | null;
  readonly rules: AccessRules;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Prefixes of names that are no user's, and what rules call the kind. */
const KINDS = ["robot", "oidc", "certificate", "workload"] as const;

/** Who there is, and what they may do now: the accounts of the metadata store and those of the htpasswd file. */
export class Accounts {
  readonly #options: AccountsOptions;

  constructor(options: AccountsOptions) {
    this.#options = options;
  }

  /** Hash of the account's password; null when it has none, is disabled, has ended, or is not there. */
  async passwordHash(name: string): Promise<string | null> {
    return (await this.#find(name))?.passwordHash ?? null;
  }

  /** Hashes that tell as little of an unknown name as of a known one. */
  decoys(): readonly string[] {
    return this.#options.htpasswd?.decoys() ?? [];
  }

  /** The caller that the account is; null when it is disabled, has ended, or is not there. */
  async caller(
    name: string,
    credential: Credential,
    restrictions: Restrictions = {},
  ): Promise<Caller | null> {
    const account = await this.#find(name);
    if (account === null) return null;
    const { issuedAt = Number.POSITIVE_INFINITY } = restrictions;
    if (issuedAt < Math.floor(account.createdAt / 1_000)) return null;
    const principals = [principalOf(name), ...account.principals];
    const caller = await this.#make({ name, credential, principals, grants: account.grants }, restrictions);
    return { ...caller, isAdmin: account.isAdmin };
  }

  /** A caller without an account: somebody else vouches for the name. */
  async guest(
    guest: {
      readonly name: string;
      readonly credential: Credential;
      /** Names of it besides its own. */
      readonly principals: readonly string[];
      readonly grants: readonly Grant[];
    },
    restrictions: Restrictions = {},
  ): Promise<Caller> {
    return await this.#make({ ...guest, principals: [guest.name, ...guest.principals] }, restrictions);
  }

  /** Anybody, with what the rules give to everybody. */
  async anonymous(
    credential: Credential = NOBODY.credential,
    scopes: Caller["scopes"] = null,
  ): Promise<Caller> {
    return { ...NOBODY, ...(await this.#options.rules.of([EVERYBODY])), credential, scopes };
  }

  async #make(
    {
      name,
      credential,
      principals,
      grants,
    }: {
      readonly name: string;
      readonly credential: Credential;
      readonly principals: readonly string[];
      readonly grants: readonly Grant[];
    },
    { limit = null, scopes = null, hasEnded = false }: Restrictions,
  ): Promise<Caller> {
    const ruled = await this.#options.rules.of([EVERYBODY, SIGNED_IN, ...principals]);
    return {
      name,
      credential,
      isAdmin: false,
      principals: ruled.principals,
      grants: grants.length === 0 ? ruled.grants : [...ruled.grants, compiledOf(grants)],
      limit: limit === null ? null : compiledOf(limit),
      scopes,
      hasEnded,
    };
  }

  async #find(name: string): Promise<KnownAccount | null> {
    const { accounts, htpasswd, now } = this.#options;
    const account = await accounts.find(name);
    if (account === null) {
      const passwordHash = (await htpasswd?.find(name)) ?? null;
      if (passwordHash === null) return null;
      return { passwordHash, isAdmin: false, principals: [HTPASSWD_GROUP], grants: [], createdAt: 0 };
    }
    const hasEnded = account.expiresAt !== null && account.expiresAt <= now();
    if (hasEnded || account.disabledAt !== null) return null;
    const principals = account.groups.map((group) => `group:${group}`);
    return { ...account, principals };
  }
}

/** `alice` is `user:alice` in rules; the names of other kinds say their kind themselves. */
function principalOf(name: string): string {
  return KINDS.some((kind) => name.startsWith(`${kind}:`)) ? name : `user:${name}`;
}

/** Rows are kept by the metadata store until something changes, and so is what was made of them. */
const compiled = new WeakMap<readonly Grant[], Grants>();

function compiledOf(grants: readonly Grant[]): Grants {
  const known = compiled.get(grants);
  if (known !== undefined) return known;
  const made = compileGrants(grants);
  compiled.set(grants, made);
  return made;
}
