import { decodeBase64url } from "./base64url.ts";
import type { JsonObject } from "./descriptor.ts";

/** The public part of an elliptic curve key (RFC 7518 section 6.2.1). Members in the order that libtrust writes. */
export interface PublicEcJwk {
  readonly crv: string;
  readonly kid: string;
  readonly kty: "EC";
  readonly x: string;
  readonly y: string;
}

export interface VerificationKey {
  readonly key: CryptoKey;
  readonly algorithm: { readonly name: string; readonly hash: string };
}

interface Curve {
  readonly alg: string;
  readonly hash: string;
  /** Bytes of a coordinate. */
  readonly octets: number;
}

/** What libtrust signs with on the curve (RFC 7518 section 3.4). */
function curveOf(crv: unknown): Curve | null {
  switch (crv) {
    case "P-256":
      return { alg: "ES256", hash: "SHA-256", octets: 32 };
    case "P-384":
      return { alg: "ES384", hash: "SHA-384", octets: 48 };
    case "P-521":
      return { alg: "ES512", hash: "SHA-512", octets: 66 };
    default:
      return null;
  }
}

/** Bytes of a modulus: weaker keys prove nothing, beyond the other a signature takes too long to judge. */
const RSA_MODULUS_BYTES_MIN = 256;
const RSA_MODULUS_BYTES_MAX = 1_024;

/** Bytes of a public exponent; practically always 3 (65537). */
const RSA_EXPONENT_BYTES_MAX = 4;

/** The public key of a signature's header for its algorithm, or what is wrong with them. */
export async function importVerificationKey(jwk: JsonObject, alg: string): Promise<VerificationKey | string> {
  if (jwk.d !== undefined || jwk.k !== undefined) return "carries a private key";
  const key = await importMembers(jwk, alg);
  if (typeof key === "string" || jwk.kid === undefined) return key;
  // Old clients compare it, so a manifest with a wrong one could be pushed and never be pulled.
  return jwk.kid === (await keyId(key.key)) ? key : "has a key that is not the one of its kid";
}

async function importMembers(jwk: JsonObject, alg: string): Promise<VerificationKey | string> {
  if (jwk.kty === "EC") return await importEcKey(jwk, alg);
  if (jwk.kty === "RSA") return await importRsaKey(jwk, alg);
  return "has a key that is neither EC nor RSA";
}

async function importEcKey({ crv, x, y }: JsonObject, alg: string): Promise<VerificationKey | string> {
  const curve = curveOf(crv);
  if (curve === null || typeof crv !== "string") return "has a key of an unknown curve";
  if (curve.alg !== alg) return `has a key of ${crv}, which does not go with its alg`;
  if ([x, y].some((coordinate) => readNumber(coordinate)?.byteLength !== curve.octets)) {
    return `has a key whose coordinates are not of ${curve.octets} bytes`;
  }
  const algorithm = { name: "ECDSA", namedCurve: crv, hash: curve.hash };
  return await importPublicKey({ kty: "EC", crv, x: String(x), y: String(y) }, algorithm);
}

async function importRsaKey({ n, e }: JsonObject, alg: string): Promise<VerificationKey | string> {
  // RFC 7518 section 3.3.
  const bits = /^RS(256|384|512)$/.exec(alg)?.[1];
  if (bits === undefined) return "has an RSA key, which does not go with its alg";
  const modulus = readNumber(n);
  const exponent = readNumber(e);
  const isSized =
    modulus !== null &&
    modulus.byteLength >= RSA_MODULUS_BYTES_MIN &&
    modulus.byteLength <= RSA_MODULUS_BYTES_MAX &&
    // Without leading zeros, so that the length is the strength.
    (modulus[0] ?? 0) >= 0x80;
  // With the exponent 1 everybody can sign; an even one is none.
  const isExponent =
    exponent !== null &&
    exponent.byteLength <= RSA_EXPONENT_BYTES_MAX &&
    ((exponent.at(-1) ?? 0) & 1) === 1 &&
    !(exponent.at(-1) === 1 && exponent.subarray(0, -1).every((byte) => byte === 0));
  if (!isSized || !isExponent) return "has an RSA key that is not of 2048 to 8192 bits";
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: `SHA-${bits}` };
  return await importPublicKey({ kty: "RSA", n: String(n), e: String(e) }, algorithm);
}

type PublicMembers =
  | { readonly kty: "EC"; readonly crv: string; readonly x: string; readonly y: string }
  | { readonly kty: "RSA"; readonly n: string; readonly e: string };

/** Only public members ever come here. */
async function importPublicKey(
  members: PublicMembers,
  algorithm: { readonly name: string; readonly hash: string; readonly namedCurve?: string },
): Promise<VerificationKey | string> {
  try {
    return { key: await crypto.subtle.importKey("jwk", members, algorithm, true, ["verify"]), algorithm };
  } catch {
    return "has a key that is none, such as a point outside its curve";
  }
}

function readNumber(value: unknown): Uint8Array<ArrayBuffer> | null {
  return typeof value === "string" && value.length <= 2 * RSA_MODULUS_BYTES_MAX
    ? decodeBase64url(value)
    : null;
}

/** The id that libtrust gives a public key: 240 bits of SHA-256 over it (SPKI, DER), in twelve groups of base32. */
export async function keyId(key: CryptoKey): Promise<string> {
  const spki = await crypto.subtle.exportKey("spki", key);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", spki));
  return base32(hash.subarray(0, 30)).replace(/.{4}(?!$)/g, "$&:");
}

/** RFC 4648 section 6, of whole groups of five bytes. */
function base32(bytes: Uint8Array): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  let bits = 0n;
  for (const byte of bytes) bits = (bits << 8n) | BigInt(byte);
  let text = "";
  for (let at = BigInt(bytes.byteLength * 8 - 5); at >= 0n; at -= 5n) {
    text += alphabet.charAt(Number((bits >> at) & 31n));
  }
  return text;
}
