import type { AccountMetadata, TokenMetadata } from "../metadata/metadata.ts";
import type { AccessTokens } from "./access-tokens.ts";
import { findAccessToken } from "./secrets.ts";

/** A browser stays signed in this long, in milliseconds: groups are as they were at sign-in. */
const SESSION_MS = 12 * 3_600_000;

/** Somebody whom an identity provider vouches for. */
export interface Person {
  readonly name: string;
  readonly groups: readonly string[];
  readonly issuer: string;
  /** The one name that never changes and is never given to another (OpenID Connect Core 1.0 section 8). */
  readonly subject: string;
}

export type SessionResult =
  { readonly ok: true; readonly secret: string } | { readonly ok: false; readonly problem: string };

export interface PeopleOptions {
  readonly accounts: AccountMetadata;
  readonly tokens: AccessTokens;
  readonly stored: Pick<TokenMetadata, "find" | "revoke">;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Accounts of those who sign in by OpenID Connect, and the sessions of their browsers. */
export class People {
  readonly #options: PeopleOptions;

  constructor(options: PeopleOptions) {
    this.#options = options;
  }

  /**
   * Signs the person in: makes the account at the first time, and brings its groups up to date. No session for an account
   * that is disabled, or that belongs to somebody whom the provider has since renamed.
   */
  async create({ name, groups, issuer, subject }: Person): Promise<SessionResult> {
    const { accounts, tokens, now } = this.#options;
    const account = `oidc:${name}`;
    const externalId = `${issuer} ${subject}`;
    const made = {
      name: account,
      kind: "person",
      passwordHash: null,
      isAdmin: false,
      groups,
      grants: [],
      description: "",
      externalId,
      createdBy: null,
      expiresAt: null,
    } as const;
    await accounts.create(made, { onlyFirst: false });
    const found = await accounts.find(account);
    // A name that was given up and taken by somebody else must not bring the rights and tokens of the one before.
    if (found?.externalId !== externalId) {
      const problem = `"${account}" is the account of another person of that name; delete it first`;
      return { ok: false, problem };
    }
    if (found.disabledAt !== null) return { ok: false, problem: `"${account}" is disabled` };
    if (JSON.stringify(found.groups) !== JSON.stringify(groups)) await accounts.update(account, { groups });
    const expiresAt = now() + SESSION_MS;
    const { secret } = await tokens.create({
      kind: "session",
      account,
      label: "browser",
      limit: null,
      expiresAt,
    });
    return { ok: true, secret };
  }

  /** Ends the session of that secret, if there is one. */
  async end(secret: string): Promise<void> {
    const { stored, now } = this.#options;
    const token = await findAccessToken(secret, stored, now());
    if (token?.kind === "session") await stored.revoke(token.id, null);
  }
}
