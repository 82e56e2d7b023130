import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto";
import type { TestBlob } from "./content.ts";
import { blobOf, digestOf } from "./content.ts";

/** Signing and verifying as libtrust does, written a second time: it shares nothing with the registry's. */

export const PRETTY_JWS = "application/vnd.docker.distribution.manifest.v1+prettyjws";
export const SCHEMA1_JSON = "application/vnd.docker.distribution.manifest.v1+json";

const CURVES = {
  "P-256": ["ES256", "sha256"],
  "P-384": ["ES384", "sha384"],
  "P-521": ["ES512", "sha512"],
} as const;

export interface TestKey {
  readonly privateKey: KeyObject;
  readonly jwk: Readonly<Record<string, unknown>>;
  readonly alg: string;
  readonly hash: string;
}

export function ecKey(curve: keyof typeof CURVES = "P-256"): TestKey {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: curve });
  const [alg, hash] = CURVES[curve];
  return {
    privateKey,
    alg,
    hash,
    jwk: { ...publicKey.export({ format: "jwk" }), kid: libtrustId(publicKey) },
  };
}

export function rsaKey(modulusLength = 2_048): TestKey {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength });
  const jwk = { ...publicKey.export({ format: "jwk" }), kid: libtrustId(publicKey) };
  return { privateKey, alg: "RS256", hash: "sha256", jwk };
}

export function libtrustId(key: KeyObject): string {
  const hash = createHash("sha256")
    .update(key.export({ format: "der", type: "spki" }))
    .digest();
  const bits = [...hash.subarray(0, 30)].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const letters = (bits.match(/.{5}/g) ?? []).map(
    (five) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[parseInt(five, 2)],
  );
  return (letters.join("").match(/.{4}/g) ?? []).join(":");
}

const base64url = (text: string | Uint8Array) => Buffer.from(text).toString("base64url");

export interface SignatureEntry {
  header: Record<string, unknown>;
  signature: string;
  protected: string;
}

/** One signature over the payload. `format` replaces what its protected header says. */
export function signatureOf(
  payload: string,
  key: TestKey,
  format: Record<string, unknown> = {},
): SignatureEntry {
  const tail = /\s*\}\s*$/.exec(payload)?.[0] ?? "}";
  const formatLength = Buffer.byteLength(payload) - tail.length;
  const header = { formatLength, formatTail: base64url(tail), time: "2026-01-02T03:04:05Z", ...format };
  const protectedText = base64url(JSON.stringify(header));
  const signed = Buffer.from(`${protectedText}.${base64url(payload)}`);
  const signature = sign(key.hash, signed, { key: key.privateKey, dsaEncoding: "ieee-p1363" });
  return {
    header: { jwk: key.jwk, alg: key.alg },
    signature: base64url(signature),
    protected: protectedText,
  };
}

/** The document with these signatures. */
export function withSignatures(payload: string, signatures: readonly unknown[]): string {
  return `${payload.replace(/\s*\}\s*$/, "")},\n   "signatures": ${JSON.stringify(signatures)}\n}`;
}

export interface TestSchema1 {
  readonly payload: string;
  readonly manifest: TestBlob;
  readonly mediaType: string;
}

/** A signed image of these layers, newest first. */
export function schema1Of(
  { name, tag, key }: { readonly name: string; readonly tag: string; readonly key: TestKey },
  layers: readonly TestBlob[],
  extra: Readonly<Record<string, unknown>> = {},
): TestSchema1 {
  const payload = JSON.stringify(
    {
      schemaVersion: 1,
      name,
      tag,
      architecture: "amd64",
      fsLayers: layers.map(({ digest }) => ({ blobSum: digest })),
      history: layers.map((_, at) => ({
        v1Compatibility: JSON.stringify({
          id: `${at}`.padStart(64, "0"),
          os: "linux",
          architecture: "arm64",
        }),
      })),
      ...extra,
    },
    null,
    3,
  );
  const text = withSignatures(payload, [signatureOf(payload, key)]);
  return {
    payload,
    manifest: { bytes: blobOf(text).bytes, digest: digestOf(payload) },
    mediaType: PRETTY_JWS,
  };
}

/** What was signed, once every signature is right. @throws Error */
export function openSchema1(bytes: Uint8Array): {
  readonly payload: string;
  readonly kids: readonly string[];
} {
  const { signatures } = JSON.parse(Buffer.from(bytes).toString()) as {
    signatures: readonly SignatureEntry[];
  };
  let payload = "";
  const kids = signatures.map((entry) => {
    const header = JSON.parse(Buffer.from(entry.protected, "base64url").toString()) as Record<string, never>;
    payload =
      Buffer.from(bytes.subarray(0, header.formatLength)).toString() +
      Buffer.from(header.formatTail ?? "", "base64url").toString();
    const jwk = entry.header.jwk as Readonly<Record<string, string>>;
    const key = createPublicKey({ key: jwk, format: "jwk" });
    const signed = Buffer.from(`${entry.protected}.${base64url(payload)}`);
    const signature = Buffer.from(entry.signature, "base64url");
    if (!verify("sha256", signed, { key, dsaEncoding: "ieee-p1363" }, signature))
      throw new Error("a wrong signature");
    if (entry.header.jwk === undefined || jwk.kid !== libtrustId(key)) throw new Error("a wrong key id");
    return String(jwk.kid);
  });
  if (kids.length === 0) throw new Error("no signature");
  return { payload, kids };
}
