import { type JwtRefusal, REGISTRY_TOKEN_SECONDS_MAX, type VerificationKey, verifyJwt } from "./jwt.ts";

/** Entries of one token's `access`, and actions of an entry. */
const ACCESS_MAX = 1_000;
const ACTIONS_MAX = 100;

/** Longest name or action, in characters. */
const WORD_LENGTH_MAX = 1_024;

/** What a token allows, by an entry of its `access`. */
export interface GrantedAccess {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

export type ExternalVerdict =
  | {
      readonly ok: true;
      /** Empty when the token server let somebody in without a name. */
      readonly subject: string;
      readonly access: readonly GrantedAccess[];
      /** Milliseconds since 1970, when the token is only good by the grace; else null. */
      readonly expiredAt: number | null;
    }
  | { readonly ok: false; readonly reason: JwtRefusal };

/** Where keys come from: a `KeyBundle` of a file, or `RemoteKeys`. */
export interface KeySource {
  keysOf(kid: string | null): readonly VerificationKey[] | Promise<readonly VerificationKey[]>;
}

export interface ExternalIssuerOptions {
  /** What `iss` must be (distribution's `auth.token.issuer`). */
  readonly issuer: string;
  /** What `aud` must be (`auth.token.service`). */
  readonly service: string;
  readonly keys: KeySource;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Longest life of a token, in seconds; an hour by default. Harbor's administrators may set more. */
  readonly lifetimeSecondsMax?: number;
  /** For how long after its end a token is still known, in seconds; 0 by default. */
  readonly graceSeconds?: number;
}

/** How far the token server's clock may be off, in seconds: what distribution allows. */
const LEEWAY_SECONDS = 60;

/**
 * Believes the tokens of a docker token server elsewhere (Docker Registry v2 "Token Authentication Implementation"). A
 * chain in the token's `x5c` is not followed: the key that signs must itself be in the file or set of keys.
 */
export class ExternalIssuer {
  readonly #options: ExternalIssuerOptions;

  constructor(options: ExternalIssuerOptions) {
    this.#options = options;
  }

  async verify(token: string): Promise<ExternalVerdict> {
    const { issuer, service, keys, now, lifetimeSecondsMax, graceSeconds } = this.#options;
    const verdict = await verifyJwt(token, {
      keyOf: (kid) => keysFor(kid, keys),
      issuer,
      audience: service,
      now,
      leewaySeconds: LEEWAY_SECONDS,
      lifetimeSecondsMax: lifetimeSecondsMax ?? REGISTRY_TOKEN_SECONDS_MAX,
      graceSeconds: graceSeconds ?? 0,
    });
    if (!verdict.ok) return verdict;
    const access = readAccess(verdict.claims.access);
    if (access === null) return { ok: false, reason: "claims" };
    return { ok: true, subject: verdict.claims.sub ?? "", access, expiredAt: verdict.expiredAt };
  }
}

/** A key's id may be anything that the server made up: one that nobody knows means any of the keys. */
async function keysFor(kid: string | null, keys: KeySource): Promise<readonly VerificationKey[]> {
  const named = await keys.keysOf(kid);
  return named.length > 0 || kid === null ? named : await keys.keysOf(null);
}

/** Go writes an empty list as null, and a token without access opens `/v2/` and nothing else. */
function readAccess(value: unknown): readonly GrantedAccess[] | null {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.length > ACCESS_MAX) return null;
  const entries = value.map(readEntry);
  return entries.every((entry) => entry !== null) ? entries : null;
}

function readEntry(value: unknown): GrantedAccess | null {
  if (typeof value !== "object" || value === null) return null;
  const [type, name] = ["type" in value ? value.type : null, "name" in value ? value.name : null];
  const actions = "actions" in value ? (value.actions ?? []) : [];
  if (!isWord(type) || !isWord(name) || !Array.isArray(actions) || actions.length > ACTIONS_MAX) return null;
  return actions.every(isWord) ? { type, name, actions } : null;
}

function isWord(value: unknown): value is string {
  return typeof value === "string" && value.length <= WORD_LENGTH_MAX;
}
