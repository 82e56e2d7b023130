/**
 * Who may sign in, and with what. Secrets are kept as hashes; times are milliseconds since 1970. What the accounts may
 * do is in the document of the access rules; here are only the rights that a robot or a token has of its own.
 */

/** Repositories by glob, and what may be done with them. */
export interface StoredGrant {
  readonly repositories: readonly string[];
  readonly may: readonly string[];
}

/** A person's account, one that is known by single sign-on, or a robot: it has tokens and no password. */
export type AccountKind = "user" | "person" | "robot";

export interface Account {
  /** As it stands in rules and records: `alice`, `oidc:alice`, `robot:ci`. */
  readonly name: string;
  readonly kind: AccountKind;
  /** argon2id in PHC form; null: no password signs in. */
  readonly passwordHash: string | null;
  /** May do everything. */
  readonly isAdmin: boolean;
  /** Groups that the identity provider named at the last sign-on. */
  readonly groups: readonly string[];
  /** Rights besides those that rules give. */
  readonly grants: readonly StoredGrant[];
  readonly description: string;
  /** Whom the identity provider means: issuer and subject; null where there is none. */
  readonly externalId: string | null;
  readonly createdAt: number;
  readonly createdBy: string | null;
  readonly disabledAt: number | null;
  readonly expiresAt: number | null;
}

export type NewAccount = Omit<Account, "createdAt" | "disabledAt" | "externalId"> &
  Partial<Pick<Account, "externalId">>;

/** What is changed; what is absent stays. */
export interface AccountChanges {
  readonly passwordHash?: string | null;
  readonly isAdmin?: boolean;
  readonly isDisabled?: boolean;
  readonly groups?: readonly string[];
  readonly grants?: readonly StoredGrant[];
  readonly description?: string;
  readonly expiresAt?: number | null;
}

export interface AccountMetadata {
  /** Asked at nearly every request: cheap until the next commit. */
  find(name: string): Promise<Account | null>;
  /** By name. */
  list(query: {
    readonly kinds: readonly AccountKind[];
    readonly after: string;
    readonly entriesMax: number;
  }): Promise<readonly Account[]>;
  /** Without any token of before. False when the name is taken, or `onlyFirst` is said and there is any account. */
  create(account: NewAccount, options: { readonly onlyFirst: boolean }): Promise<boolean>;
  /** Null when there is none. A new password, or an end of the account, ends its refresh tokens and sessions. */
  update(name: string, changes: AccountChanges): Promise<Account | null>;
  /** With everything that it signs in with. False when there is none. */
  remove(name: string): Promise<boolean>;
  /** Like `update`, unless afterwards no user were an administrator for good. */
  updateKeepingAdmin(name: string, changes: AccountChanges): Promise<Account | null | "last-administrator">;
  /** Like `remove`, unless afterwards no user were an administrator for good. */
  removeKeepingAdmin(name: string): Promise<boolean | "last-administrator">;
}

/**
 * `personal`: stands for a password, for people and robots. `refresh`: is changed into registry tokens (`docker login`).
 * `session`: a browser's.
 */
export type TokenKind = "personal" | "refresh" | "session";

/** Personal tokens that an account, or a robot, has at the same time. */
export const PERSONAL_TOKENS_MAX = 100;

export interface AccessToken {
  /** Public part: names the token in lists and in the audit trail. */
  readonly id: string;
  readonly kind: TokenKind;
  readonly account: string;
  /** What its owner calls it. */
  readonly label: string;
  /** SHA-256 of the secret part, lower-case hex: the secret has 256 random bits, so no slow hash is needed. */
  readonly secretHash: string;
  /** At most this may be done with it; null: what the account may. */
  readonly limit: readonly StoredGrant[] | null;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  /** Within a minute or so; null: never used. */
  readonly usedAt: number | null;
}

export interface TokenMetadata {
  /** Cheap until the next commit; expired ones are found too. */
  find(id: string): Promise<AccessToken | null>;
  /** Null when the account has PERSONAL_TOKENS_MAX of them; of the other kinds the longest unused makes room. */
  create(token: Omit<AccessToken, "createdAt" | "usedAt">): Promise<AccessToken | null>;
  list(query: {
    readonly account: string | null;
    readonly kinds: readonly TokenKind[];
    /** An id: the page goes on behind it. */
    readonly after: string;
    readonly entriesMax: number;
  }): Promise<readonly AccessToken[]>;
  /** False when there is none (of that account, if one is named). */
  revoke(id: string, account: string | null): Promise<boolean>;
  /** Ends the other personal tokens of the token's account then, if they do not end sooner. */
  endOthers(id: string, at: number): Promise<void>;
  /** Notes when tokens were used, and puts the end of those off that have one to put off. */
  noteUse(uses: readonly TokenUse[]): Promise<void>;
  /** Forgets at most `max` tokens that have ended; how many. */
  expire(max: number): Promise<number>;
}

export interface TokenUse {
  readonly id: string;
  readonly at: number;
  /** New end, if later than the one that is there; null leaves it. */
  readonly extendTo: number | null;
}

/** A key pair that signs registry tokens. */
export interface SigningKey {
  /** Key id of its tokens. */
  readonly kid: string;
  /** Private key as JSON Web Key (RFC 7517). */
  readonly privateJwk: string;
  readonly createdAt: number;
  /** Signs until then. */
  readonly signsUntil: number;
  /** Its tokens are accepted until then; it is forgotten afterwards. */
  readonly verifiesUntil: number;
}

export interface KeyMetadata {
  /** Every key whose tokens are accepted, newest first. */
  list(): Promise<readonly SigningKey[]>;
  /**
   * Adds a key unless one that was made after `ifNoneSince` is there already: of replicas that rotate together, one wins.
   * `endingAll` makes no other key sign from now on.
   */
  add(
    key: Omit<SigningKey, "createdAt">,
    options: { readonly ifNoneSince: number; readonly endingAll: boolean },
  ): Promise<boolean>;
  /** Takes every key away: tokens that were signed so far are refused from now on. */
  clear(): Promise<void>;
}
