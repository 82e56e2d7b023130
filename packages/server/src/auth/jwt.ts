import { parseStrictJson } from "@stowage/oci/strict-json";
import { compactVerify } from "jose";

/** Longest token, in characters. Kubernetes' and GitLab's take about 2 KiB, some with groups 10. */
export const JWT_LENGTH_MAX = 16 * 1_024;

/** How far two clocks may disagree at most, in seconds. */
export const LEEWAY_SECONDS_MAX = 60;

/** How long a registry token may live, in seconds. */
export const REGISTRY_TOKEN_SECONDS_MAX = 3_600;

/** Most keys that one token is tried against: each costs some 100 us. */
export const CANDIDATES_MAX = 64;

/** Longest `kid` that is looked up, in characters. */
const KID_LENGTH_MAX = 512;

/** Signatures that are accepted, RFC 7518 and RFC 8037: what everybody can verify and only the issuer can make. */
export const JWT_ALGORITHMS = [
  "ES256",
  "ES384",
  "ES512",
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "EdDSA",
] as const;

export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number];

/** A public key with the one algorithm that it verifies, whatever a token says of itself. */
export interface VerificationKey {
  /** What the issuer calls it, or null. */
  readonly kid: string | null;
  readonly alg: JwtAlgorithm;
  readonly key: CryptoKey;
}

export interface JwtRules {
  /** Keys that may have signed it; those with another algorithm than the token's are left out again. */
  keyOf(
    kid: string | null,
    alg: JwtAlgorithm,
  ): readonly VerificationKey[] | Promise<readonly VerificationKey[]>;
  /** What `iss` must be, to the letter. */
  readonly issuer: string;
  /** What `aud` must be, or contain, to the letter. */
  readonly audience: string;
  /** Milliseconds since 1970. */
  now(): number;
  /** At most {@link LEEWAY_SECONDS_MAX}. */
  readonly leewaySeconds: number;
  /** Longest time from `iat` to `exp`. */
  readonly lifetimeSecondsMax: number;
  /** A token that ended less than this ago is still good, and says when it ended; 0 by default. */
  readonly graceSeconds?: number;
}

/** RFC 7519 section 4.1, with those that are required here; times in seconds since 1970. */
export interface JwtClaims {
  readonly iss: string;
  readonly aud: string | readonly string[];
  readonly exp: number;
  readonly iat: number;
  readonly nbf?: number;
  readonly sub?: string;
  readonly [claim: string]: unknown;
}

export type JwtRefusal =
  "malformed" | "unknown-key" | "signature" | "expired" | "not-yet" | "audience" | "issuer" | "claims";

export type JwtVerdict =
  /** `expiredAt`: milliseconds since 1970, when it is only good by the grace; else null. */
  | { readonly ok: true; readonly claims: JwtClaims; readonly expiredAt: number | null }
  | { readonly ok: false; readonly reason: JwtRefusal };

/**
 * Verifies a signed token in its compact form (RFC 7515, RFC 7519, RFC 8725). Its header is believed in nothing: the
 * key's algorithm is the key's, and `jwk`, `jku`, `x5u` and `x5c` are not looked at. A good ECDSA signature has a
 * twin that is good as well, so a token's text is no identity: use `jti` for that.
 */
export async function verifyJwt(text: string, rules: JwtRules): Promise<JwtVerdict> {
  const token = parseJwt(text);
  if (token === null) return refuse("malformed");
  const keys = await rules.keyOf(token.kid, token.alg);
  const candidates = keys.filter(({ alg }) => alg === token.alg).slice(0, CANDIDATES_MAX);
  if (candidates.length === 0) return refuse("unknown-key");
  if (!(await isSignedByOne(text, candidates))) return refuse("signature");
  return judgeClaims(token.payload, rules);
}

interface ParsedJwt {
  readonly kid: string | null;
  readonly alg: JwtAlgorithm;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** What a token says of itself, which is nothing to rely on; null when it has not the form. */
export function parseJwt(text: string): ParsedJwt | null {
  // A JWE has five parts, several tokens have more; a character outside the alphabet is no part of a token.
  if (text.length > JWT_LENGTH_MAX || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)) return null;
  const [head = "", body = "", signature = ""] = text.split(".");
  const header = readObject(head);
  const payload = readObject(body);
  if (header === null || payload === null || decodeCanonical(signature) === null) return null;
  const { kid, typ } = header;
  const alg = readAlgorithm(header.alg);
  if (alg === null || "crit" in header || "b64" in header) return null;
  if (typ !== undefined && !(typeof typ === "string" && /^(?:at\+)?jwt$/i.test(typ))) return null;
  if (kid !== undefined && !(typeof kid === "string" && kid.length <= KID_LENGTH_MAX)) return null;
  return { kid: kid ?? null, alg, payload };
}

/** The algorithm that `alg` of a header or key names, or null. RFC 9864 gave EdDSA's one curve in use a second name. */
export function readAlgorithm(value: unknown): JwtAlgorithm | null {
  return JWT_ALGORITHMS.find((algorithm) => algorithm === (value === "Ed25519" ? "EdDSA" : value)) ?? null;
}

/** Bytes of base64url that has exactly one spelling: no padding, and no bits left over (RFC 4648 section 3.5). */
function decodeCanonical(text: string): Uint8Array | null {
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : null;
}

function readObject(part: string): Readonly<Record<string, unknown>> | null {
  const bytes = decodeCanonical(part);
  const json = bytes === null ? null : parseStrictJson(bytes);
  return json?.ok === true && isObject(json.value) ? json.value : null;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

async function isSignedByOne(text: string, candidates: readonly VerificationKey[]): Promise<boolean> {
  for (const { key, alg } of candidates) {
    if (await isSignedBy(text, key, alg)) return true;
  }
  return false;
}

async function isSignedBy(text: string, key: CryptoKey, alg: JwtAlgorithm): Promise<boolean> {
  try {
    await compactVerify(text, key, { algorithms: alg === "EdDSA" ? [alg, "Ed25519"] : [alg] });
    return true;
  } catch {
    // A signature that does not fit, and a key that is none for this algorithm: not signed by it, either way.
    return false;
  }
}

function judgeClaims(payload: Readonly<Record<string, unknown>>, rules: JwtRules): JwtVerdict {
  if (payload.iss !== rules.issuer) return refuse("issuer");
  if (!isFor(payload.aud, rules.audience)) return refuse("audience");
  const claims = readClaims(payload);
  if (claims === null || claims.exp - claims.iat > rules.lifetimeSecondsMax) return refuse("claims");
  const leewayMs = Math.min(rules.leewaySeconds, LEEWAY_SECONDS_MAX) * 1_000;
  const now = rules.now();
  if (Math.max(claims.iat, claims.nbf ?? 0) * 1_000 > now + leewayMs) return refuse("not-yet");
  const endsAt = claims.exp * 1_000;
  if (now < endsAt + leewayMs) return { ok: true, claims, expiredAt: null };
  const graceMs = (rules.graceSeconds ?? 0) * 1_000;
  return now < endsAt + graceMs ? { ok: true, claims, expiredAt: endsAt } : refuse("expired");
}

function isFor(aud: unknown, audience: string): boolean {
  if (!Array.isArray(aud)) return aud === audience;
  return aud.every((one) => typeof one === "string") && aud.includes(audience);
}

/** The claims with the types that RFC 7519 gives them, or null. */
function readClaims(payload: Readonly<Record<string, unknown>>): JwtClaims | null {
  const { exp, iat, nbf, sub } = payload;
  if (!isNumericDate(exp) || !isNumericDate(iat) || exp <= iat) return null;
  if (nbf !== undefined && !isNumericDate(nbf)) return null;
  if (sub !== undefined && typeof sub !== "string") return null;
  return payload as JwtClaims;
}

/** RFC 7519 section 2, NumericDate: fractions are allowed. */
function isNumericDate(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

const refuse = (reason: JwtRefusal): JwtVerdict => ({ ok: false, reason });
