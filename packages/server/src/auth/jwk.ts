import { importJWK, type JWK } from "jose";
import { CANDIDATES_MAX, readAlgorithm, type JwtAlgorithm, type VerificationKey } from "./jwt.ts";

/** Most keys that are read of one set; a larger one has its first. */
export const KEYS_MAX = CANDIDATES_MAX;

/** RFC 7518 section 3.3 asks for at least this; beyond the other a signature takes too long to judge. */
const RSA_BITS_MIN = 2_048;
const RSA_BITS_MAX = 8_192;

/** Longest member of a key, in characters: an RSA modulus of 8192 bits has 1366. */
const MEMBER_LENGTH_MAX = 2_048;

/** Signatures that a key's type and curve can make; the first is meant when the key does not say. */
const ALGORITHMS: ReadonlyMap<string, readonly JwtAlgorithm[]> = new Map([
  ["RSA", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]],
  ["P-256", ["ES256"]],
  ["P-384", ["ES384"]],
  ["P-521", ["ES512"]],
  ["Ed25519", ["EdDSA"]],
]);

/** The part of a key that is public, and all of it that is read. */
interface PublicMembers {
  readonly kty: string;
  readonly crv?: string;
  readonly x?: string;
  readonly y?: string;
  readonly n?: string;
  readonly e?: string;
}

/**
 * The keys of a JSON Web Key Set (RFC 7517) that verify signatures; null when the value is no set. What is there for
 * something else, or weak, or not understood, is left out: an issuer may publish what we do not know.
 */
export async function readJwks(value: unknown): Promise<readonly VerificationKey[] | null> {
  if (!isObject(value) || !Array.isArray(value.keys)) return null;
  const keys: VerificationKey[] = [];
  for (const jwk of value.keys.slice(0, KEYS_MAX)) {
    const key = await readJwk(jwk);
    if (key !== null) keys.push(key);
  }
  return keys;
}

/** One key (RFC 7517) that verifies signatures, or null. */
export async function readJwk(value: unknown): Promise<VerificationKey | null> {
  if (!isObject(value) || !isForSignatures(value)) return null;
  const members = readMembers(value);
  const possible = ALGORITHMS.get((members?.kty === "RSA" ? "RSA" : members?.crv) ?? "");
  if (members === null || possible === undefined) return null;
  const alg = value.alg === undefined ? possible[0] : readAlgorithm(value.alg);
  if (alg === undefined || alg === null || !possible.includes(alg)) return null;
  try {
    const key = await importJWK({ ...members } satisfies JWK, alg, { extractable: true });
    if (!(key instanceof CryptoKey) || !isStrong(members)) return null;
    return { kid: typeof value.kid === "string" ? value.kid : null, alg, key };
  } catch {
    // A point that is not on its curve, a member that is missing.
    return null;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isForSignatures({ use, key_ops }: Readonly<Record<string, unknown>>): boolean {
  return (
    (use === undefined || use === "sig") &&
    (key_ops === undefined || (Array.isArray(key_ops) && key_ops.includes("verify")))
  );
}

/** Never the private members, should somebody have published them. */
function readMembers(value: Readonly<Record<string, unknown>>): PublicMembers | null {
  const { kty, crv, x, y, n, e } = value;
  const isText = (member: unknown): member is string =>
    typeof member === "string" && member.length <= MEMBER_LENGTH_MAX;
  if (kty === "RSA" && isText(n) && isText(e)) return { kty, n, e };
  if (kty === "EC" && isText(crv) && isText(x) && isText(y)) return { kty, crv, x, y };
  if (kty === "OKP" && isText(crv) && isText(x)) return { kty, crv, x };
  return null;
}

function isStrong({ kty, n = "", e = "" }: PublicMembers): boolean {
  if (kty !== "RSA") return true;
  const bits = bitLength(Buffer.from(n, "base64url"));
  const exponent = Buffer.from(e, "base64url");
  // With the exponent 1 everybody can sign; an even one is none.
  const isExponent = bitLength(exponent) > 1 && ((exponent.at(-1) ?? 0) & 1) === 1;
  return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX && isExponent;
}

function bitLength(bytes: Uint8Array): number {
  const first = bytes.findIndex((byte) => byte !== 0);
  return first === -1 ? 0 : (bytes.length - first) * 8 - Math.clz32(bytes[first] ?? 0) + 24;
}
