import { parseStrictJson } from "@stowage/oci/strict-json";
import { calculateJwkThumbprint, exportJWK, importSPKI, importX509 } from "jose";
import { KEYS_MAX, readJwk, readJwks } from "./jwk.ts";
import type { VerificationKey } from "./jwt.ts";

/** Largest file of keys, in characters. */
export const BUNDLE_LENGTH_MAX = 1_024 * 1_024;

/** Public keys of a file, under every name that a token may call them by. */
export interface KeyBundle {
  readonly keys: readonly VerificationKey[];
  /**
   * Keys that `kid` may mean: that of this id, thumbprint (RFC 7638) or libtrust id. A name that nobody knows, and none,
   * may mean any: what distribution's rootcertbundle holds has no names.
   */
  keysOf(kid: string | null): readonly VerificationKey[];
}

/**
 * Reads a JSON Web Key Set, or certificates and public keys in PEM. A certificate is a key here and nothing more: neither
 * its dates nor its issuer are looked at, and who is in the file is trusted.
 * @throws Error saying what is wrong with the text
 */
export async function parseKeyBundle(text: string): Promise<KeyBundle> {
  if (text.length > BUNDLE_LENGTH_MAX) {
    throw new Error(`the keys have ${text.length} characters; wanted at most ${BUNDLE_LENGTH_MAX}`);
  }
  const keys = text.trimStart().startsWith("{") ? await readSet(text) : await readPem(text);
  const names = new Map<string, VerificationKey[]>();
  for (const key of keys) {
    for (const name of await namesOf(key)) names.set(name, [...(names.get(name) ?? []), key]);
  }
  return { keys, keysOf: (kid) => (kid === null ? keys : (names.get(kid) ?? keys)) };
}

async function readSet(text: string): Promise<readonly VerificationKey[]> {
  const json = parseStrictJson(new TextEncoder().encode(text));
  if (!json.ok) throw new Error(`the JSON Web Key Set is ${json.problem}`);
  const keys = await readJwks(json.value);
  if (keys === null) throw new Error('the JSON Web Key Set has no list "keys"');
  if (keys.length === 0) throw new Error("the JSON Web Key Set has no key that verifies signatures");
  return keys;
}

async function readPem(text: string): Promise<readonly VerificationKey[]> {
  const blocks = [...text.matchAll(/-----BEGIN ([A-Z ]+)-----\s[^-]*-----END \1-----/g)];
  if (blocks.length === 0)
    throw new Error("found no keys; wanted a JSON Web Key Set, or certificates or public keys in PEM");
  if (blocks.length > KEYS_MAX) throw new Error(`found ${blocks.length} keys; wanted at most ${KEYS_MAX}`);
  const keys: VerificationKey[] = [];
  for (const [block, label = ""] of blocks) keys.push(await readBlock(block, label));
  return keys;
}

async function readBlock(block: string, label: string): Promise<VerificationKey> {
  const read = label === "CERTIFICATE" ? importX509 : label === "PUBLIC KEY" ? importSPKI : null;
  if (read === null) throw new Error(`found a ${label}; wanted CERTIFICATE or PUBLIC KEY`);
  // Which kind of key it is stands inside, and reading it as another kind fails.
  for (const alg of ["RS256", "ES256", "ES384", "ES512", "EdDSA"] as const) {
    const key = await read(block, alg, { extractable: true }).catch(() => null);
    if (key === null) continue;
    const pinned = await readJwk({ ...(await exportJWK(key)), alg });
    if (pinned !== null) return pinned;
  }
  throw new Error(
    `a ${label} holds no key that is usable; wanted RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519`,
  );
}

async function namesOf({ kid, key }: VerificationKey): Promise<ReadonlySet<string>> {
  const thumbprint = await calculateJwkThumbprint(await exportJWK(key));
  const names = [thumbprint, await libtrustId(key)];
  return new Set(kid === null ? names : [kid, ...names]);
}

/** Of the digest. */
const LIBTRUST_BYTES = 30;
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/**
 * How distribution and Harbor name keys: the SHA-256 of the public key in DER, cut to 240 bits, as twelve groups of four
 * characters of base32 (Docker Registry v2 "Token Authentication Implementation", `kid`).
 */
export async function libtrustId(key: CryptoKey): Promise<string> {
  const der = await crypto.subtle.exportKey("spki", key);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", der)).subarray(0, LIBTRUST_BYTES);
  const bits = [...digest].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const text = (bits.match(/.{5}/g) ?? []).map((five) => BASE32.charAt(Number.parseInt(five, 2))).join("");
  return (text.match(/.{4}/g) ?? []).join(":");
}
