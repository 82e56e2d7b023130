import { parseTokenScope, formatTokenScope, type TokenScope } from "@stowage/oci/token-scope";
import { SignJWT } from "jose";
import { REGISTRY_TOKEN_SECONDS_MAX, verifyJwt } from "./jwt.ts";
import { type KeyRing, SIGNING_ALGORITHM } from "./key-ring.ts";
import type { KeyedHash } from "./keyed-hash.ts";
import { Remembered } from "./remembered.ts";
import { randomText } from "./secrets.ts";

/** An upload may be finished this long after the token ended that began it, in seconds. */
const UPLOAD_GRACE_SECONDS = 24 * 3_600;

/** How much the clocks of two replicas may differ, in seconds. */
const LEEWAY_SECONDS = 10;

/** Most verified tokens that are remembered. */
const REMEMBERED_MAX = 8_192;

/** Random bytes of a token's id. */
const ID_BYTES = 12;

/** What a token of ours says. */
export interface IssuedToken {
  readonly id: string;
  /** Name of the caller; empty for anybody. */
  readonly subject: string;
  readonly access: readonly TokenScope[];
  /** Names that rules may use for the caller, where no account says them. */
  readonly principals: readonly string[];
  /** Id of the access or refresh token that it was got for, or null: it does not outlive that one. */
  readonly source: string | null;
  /** Mark of the password that it was got for, or null: it does not outlive that one. */
  readonly password: string | null;
  /** Seconds since 1970. */
  readonly issuedAt: number;
  readonly expiresAt: number;
}

interface Verified {
  /** Id of the key whose signature was right. */
  readonly kid: string;
  readonly token: IssuedToken;
}

export interface TokenIssuerOptions {
  readonly keys: KeyRing;
  readonly keyedHash: KeyedHash;
  /** `iss` and `aud` of the tokens. */
  readonly service: string;
  /** Life of a token, in seconds. */
  readonly lifetimeSeconds: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/**
 * Issues and verifies registry tokens: JSON Web Tokens (RFC 7519) with the claims of distribution's "Token
 * Authentication Implementation".
 */
export class TokenIssuer {
  readonly #options: TokenIssuerOptions;
  /** Fingerprint of a token whose signature was right -> what it says. */
  readonly #verified = new Remembered<Verified>(REMEMBERED_MAX);

  constructor(options: TokenIssuerOptions) {
    this.#options = options;
  }

  get service(): string {
    return this.#options.service;
  }

  get lifetimeSeconds(): number {
    return this.#options.lifetimeSeconds;
  }

  async issue(
    content: Pick<IssuedToken, "subject" | "access" | "principals" | "source" | "password">,
  ): Promise<{ readonly text: string; readonly id: string; readonly issuedAt: number }> {
    const { keys, service, lifetimeSeconds, now } = this.#options;
    const { kid, privateKey } = await keys.signer();
    const issuedAt = Math.floor(now() / 1_000);
    const id = randomText(ID_BYTES);
    const text = await new SignJWT({
      access: content.access.map(({ type, name, actions }) => ({ type, name, actions })),
      ...(content.principals.length === 0 ? {} : { principals: content.principals }),
      ...(content.source === null ? {} : { source: content.source }),
      ...(content.password === null ? {} : { password: content.password }),
    })
      .setProtectedHeader({ alg: SIGNING_ALGORITHM, kid, typ: "JWT" })
      .setIssuer(service)
      .setAudience(service)
      .setSubject(content.subject)
      .setIssuedAt(issuedAt)
      .setNotBefore(issuedAt)
      .setExpirationTime(issuedAt + lifetimeSeconds)
      .setJti(id)
      .sign(privateKey);
    return { text, id, issuedAt };
  }

  /** What the token says, or null: not ours, forged, or ended longer ago than any upload may need it. */
  async verify(text: string): Promise<IssuedToken | null> {
    const { keys, keyedHash, now } = this.#options;
    const fingerprint = keyedHash.of(text);
    const known = this.#verified.get(fingerprint);
    if (known === undefined) {
      const read = await this.#read(text);
      if (read !== null) this.#verified.set(fingerprint, read);
      return read?.token ?? null;
    }
    const { kid, token } = known;
    const isForgotten = token.expiresAt + UPLOAD_GRACE_SECONDS <= now() / 1_000;
    // The key may have been taken away since, also by another replica.
    return isForgotten || (await keys.verifier(kid)) === null ? null : token;
  }

  hasEnded({ expiresAt }: IssuedToken): boolean {
    return expiresAt <= this.#options.now() / 1_000;
  }

  async #read(text: string): Promise<Verified | null> {
    const { keys, service, now } = this.#options;
    let signer = "";
    const result = await verifyJwt(text, {
      keyOf: async (kid) => {
        signer = kid ?? "";
        const key = await keys.verifier(signer);
        return key === null ? [] : [{ kid, alg: SIGNING_ALGORITHM, key }];
      },
      issuer: service,
      audience: service,
      now,
      leewaySeconds: LEEWAY_SECONDS,
      lifetimeSecondsMax: REGISTRY_TOKEN_SECONDS_MAX,
      graceSeconds: UPLOAD_GRACE_SECONDS,
    });
    const token = result.ok ? toToken(result.claims) : null;
    return token === null ? null : { kid: signer, token };
  }
}

/** The claims were signed by us, so they are what `issue` wrote; an older release may have written less. */
function toToken(claims: Readonly<Record<string, unknown>>): IssuedToken | null {
  const { jti, sub, iat, exp, access, principals, source, password } = claims;
  if (typeof jti !== "string" || typeof sub !== "string") return null;
  if (typeof iat !== "number" || typeof exp !== "number") return null;
  return {
    id: jti,
    subject: sub,
    access: parseAccessClaim(access),
    principals: Array.isArray(principals) ? principals.filter((name) => typeof name === "string") : [],
    source: typeof source === "string" ? source : null,
    password: typeof password === "string" ? password : null,
    issuedAt: iat,
    expiresAt: exp,
  };
}

/** The claim `access` of a token, ours or another issuer's; entries that are none are left out. */
export function parseAccessClaim(access: unknown): readonly TokenScope[] {
  if (!Array.isArray(access)) return [];
  return access.flatMap((entry: unknown) => {
    if (
      typeof entry !== "object" ||
      entry === null ||
      !("type" in entry && "name" in entry && "actions" in entry)
    ) {
      return [];
    }
    const { type, name, actions } = entry;
    if (typeof type !== "string" || typeof name !== "string" || !Array.isArray(actions)) return [];
    const scope = { type, name, actions: actions.filter((action) => typeof action === "string") };
    return parseTokenScope(formatTokenScope(scope)) ?? [];
  });
}
