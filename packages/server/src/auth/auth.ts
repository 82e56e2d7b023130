import type { Metadata } from "../metadata/metadata.ts";
import { AccessTokens } from "./access-tokens.ts";
import { AccessRules } from "./access-rules.ts";
import { Accounts } from "./accounts.ts";
import { Authenticator, type ForeignTokens, type SignInGate } from "./authenticate.ts";
import type { HtpasswdFile } from "./htpasswd.ts";
import type { KeyedHash } from "./keyed-hash.ts";
import { KeyRing } from "./key-ring.ts";
import { Passwords } from "./passwords.ts";
import { TokenIssuer } from "./token-issuer.ts";
import { TokenUses } from "./token-uses.ts";

/** Who there is, and what they may do. There is one also where nobody has to sign in: it is prepared before. */
export interface Directory {
  readonly accounts: Accounts;
  readonly rules: AccessRules;
  readonly passwords: Passwords;
  readonly keys: KeyRing;
  readonly tokens: AccessTokens;
}

/** Everything that says who asks and what they may do. A registry without authentication has none of it. */
export interface Auth extends Directory {
  readonly authenticator: Authenticator;
  readonly issuer: TokenIssuer;
  readonly uses: TokenUses;
  /** Where clients get tokens when another server issues them; null: here. */
  readonly external: ExternalServer | null;
}

/** A token server beside the registry (distribution's `auth.token`). */
export interface ExternalServer {
  readonly realm: string;
  readonly service: string;
  readonly tokens: ForeignTokens;
}

export interface DirectoryOptions {
  readonly metadata: Pick<Metadata, "accounts" | "documents" | "keys" | "tokens">;
  readonly htpasswd: HtpasswdFile | null;
  /** Passwords that are checked at the same time. */
  readonly passwordChecksMax: number;
  /** Calls `wake` once after `ms`. */
  readonly wakeAfter: (ms: number, wake: () => void) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number;
}

export interface AuthOptions extends Pick<DirectoryOptions, "metadata" | "now"> {
  readonly directory: Directory;
  readonly keyedHash: KeyedHash;
  /** `service` of the token protocol, and issuer and audience of our tokens. */
  readonly service: string;
  /** Life of a registry token, in seconds. */
  readonly tokenSeconds: number;
  readonly external: ExternalServer | null;
  readonly workloads: ForeignTokens | null;
  readonly gate: SignInGate;
}

export function createDirectory(options: DirectoryOptions, keyedHash: KeyedHash): Directory {
  const { metadata, now, monotonic, htpasswd } = options;
  const rules = new AccessRules(metadata.documents);
  return {
    rules,
    accounts: new Accounts({ accounts: metadata.accounts, htpasswd, rules, now }),
    passwords: new Passwords({
      concurrencyMax: options.passwordChecksMax,
      keyedHash,
      monotonic,
      wakeAfter: options.wakeAfter,
    }),
    keys: new KeyRing({ keys: metadata.keys, now }),
    tokens: new AccessTokens(metadata.tokens, now),
  };
}

export function createAuth(options: AuthOptions): Auth {
  const { metadata, now, directory, keyedHash, external, workloads, gate } = options;
  const { accounts, passwords, keys } = directory;
  const { service, tokenSeconds: lifetimeSeconds } = options;
  const issuer = new TokenIssuer({ keys, keyedHash, service, lifetimeSeconds, now });
  const uses = new TokenUses(metadata.tokens, now);
  const authenticator = new Authenticator({
    accounts,
    tokens: metadata.tokens,
    uses,
    passwords,
    issuer,
    external: external?.tokens ?? null,
    workloads,
    gate,
    now,
  });
  return { ...directory, authenticator, issuer, uses, external };
}
