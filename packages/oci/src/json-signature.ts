import { isObject, type JsonObject, ManifestProblem } from "./descriptor.ts";
import { base64urlBytes, decodeBase64url, encodeBase64url } from "./base64url.ts";
import { importVerificationKey, type PublicEcJwk } from "./signature-key.ts";
import { parseStrictJson } from "./strict-json.ts";

/** Signatures of one document. Each is verified over the whole of it; real manifests have one. */
const SIGNATURES_MAX = 8;

/** Longest protected header, in characters; libtrust's have about 120. */
const PROTECTED_LENGTH_MAX = 1_024;

/** Longest signature, in characters: RSA with 8192 bits has 1366. */
const SIGNATURE_LENGTH_MAX = 2_048;

/** What follows the signed members: white space and the closing brace, at most so many bytes. */
const TAIL_BYTES_MAX = 64;

/** A document whose signatures cannot be verified; leaves the parsers as a problem text. */
export class UnverifiedProblem extends ManifestProblem {}

interface JsonSignature {
  readonly alg: string;
  readonly jwk: JsonObject;
  readonly protectedText: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A document with its signatures taken out. */
export interface SignedJson {
  /** The bytes that were signed: the document as it was before it had signatures. Its digest is theirs. */
  readonly payload: Uint8Array<ArrayBuffer>;
  readonly signatures: readonly JsonSignature[];
}

/**
 * Reads JSON that carries its signatures in its last member, `signatures` (libtrust's "pretty" JWS, which Docker's
 * "Image Manifest Version 2, Schema 1" uses). Each signature's protected header says how many bytes of the document
 * were signed (`formatLength`) and how they ended (`formatTail`). `value` is what `bytes` parse to. Nothing is verified.
 * @throws UnverifiedProblem
 */
export function readSignedJson(bytes: Uint8Array, value: JsonObject): SignedJson {
  const { signatures } = value;
  if (signatures === undefined || signatures === null) throw new UnverifiedProblem("it is not signed");
  if (!Array.isArray(signatures) || signatures.length === 0 || signatures.length > SIGNATURES_MAX) {
    throw new UnverifiedProblem(`signatures is not a list of 1 to ${SIGNATURES_MAX} entries`);
  }
  const read = signatures.map((entry: unknown, at) => readSignature(entry, `signatures[${at}]`));
  const format = read[0]?.format;
  if (format === undefined || read.some((one) => !isSameFormat(one.format, format))) {
    throw new UnverifiedProblem("its signatures disagree about what they signed");
  }
  return { payload: restorePayload(bytes, format), signatures: read };
}

/** What cannot be verified, as a text; null when every signature is right. */
export async function findUnverified({ payload, signatures }: SignedJson): Promise<string | null> {
  const encoded = base64urlBytes(payload);
  for (const [at, signature] of signatures.entries()) {
    const where = `signatures[${at}]`;
    const key = await importVerificationKey(signature.jwk, signature.alg);
    if (typeof key === "string") return `${where} ${key}`;
    const signed = signedBytes(signature.protectedText, encoded);
    const isRight = await crypto.subtle.verify(key.algorithm, key.key, signature.bytes, signed);
    if (!isRight) return `${where} is wrong`;
  }
  return null;
}

/** Signs with ES256. */
export interface JsonSigner {
  readonly jwk: PublicEcJwk;
  readonly sign: (bytes: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>;
}

/**
 * The document with a signature, as {@link readSignedJson} reads it. `payload` is a JSON object, indented by three spaces
 * as libtrust does and closed by a line of its own. `time` is RFC 3339 in UTC, without fractions.
 */
export async function signJson(
  payload: string,
  signer: JsonSigner,
  time: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const tail = "\n}";
  if (!payload.endsWith(tail)) throw new Error("cannot sign JSON that is not indented");
  const encoder = new TextEncoder();
  const bytes = encoder.encode(payload);
  const header = {
    formatLength: bytes.byteLength - tail.length,
    formatTail: encodeBase64url(encoder.encode(tail)),
    time,
  };
  const protectedText = encodeBase64url(encoder.encode(JSON.stringify(header)));
  const signature = await signer.sign(signedBytes(protectedText, base64urlBytes(bytes)));
  const signatures = [
    {
      header: { jwk: signer.jwk, alg: "ES256" },
      signature: encodeBase64url(signature),
      protected: protectedText,
    },
  ];
  const member = JSON.stringify(signatures, null, 3).replaceAll("\n", "\n   ");
  return encoder.encode(`${payload.slice(0, -tail.length)},\n   "signatures": ${member}\n}`);
}

/** What a signature is over (RFC 7515 section 5.1, step 8). */
function signedBytes(protectedText: string, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const start = new TextEncoder().encode(`${protectedText}.`);
  const bytes = new Uint8Array(start.byteLength + payload.byteLength);
  bytes.set(start);
  bytes.set(payload, start.byteLength);
  return bytes;
}

interface Format {
  readonly length: number;
  readonly tail: string;
}

function isSameFormat(one: Format, other: Format): boolean {
  return one.length === other.length && one.tail === other.tail;
}

function readSignature(value: unknown, where: string): JsonSignature & { readonly format: Format } {
  const { header, signature, protected: protectedText } = isObject(value) ? value : {};
  if (!isObject(header)) throw new UnverifiedProblem(`${where}.header is not an object`);
  // A certificate would name the key a second time, and verifiers differ in which one they take.
  if (header.x5c !== undefined) {
    throw new UnverifiedProblem(`${where}.header.x5c is not supported; wanted the key as jwk`);
  }
  const { alg, jwk } = header;
  if (typeof alg !== "string" || !isObject(jwk)) {
    throw new UnverifiedProblem(`${where}.header does not have alg and jwk`);
  }
  const bytes = readBase64url(signature, SIGNATURE_LENGTH_MAX, `${where}.signature`);
  const fields = parseStrictJson(readBase64url(protectedText, PROTECTED_LENGTH_MAX, `${where}.protected`));
  if (!fields.ok || !isObject(fields.value) || typeof protectedText !== "string") {
    throw new UnverifiedProblem(`${where}.protected is not a JSON object in base64url`);
  }
  return { alg, jwk, bytes, protectedText, format: readFormat(fields.value, where) };
}

function readFormat({ formatLength, formatTail }: JsonObject, where: string): Format {
  if (typeof formatLength !== "number" || !Number.isSafeInteger(formatLength) || formatLength < 1) {
    throw new UnverifiedProblem(`${where}.protected has no formatLength from 1`);
  }
  const tail = new TextDecoder().decode(
    readBase64url(formatTail, 2 * TAIL_BYTES_MAX, `${where}.protected.formatTail`),
  );
  if (tail.length > TAIL_BYTES_MAX || !/^[ \t\r\n]*\}[ \t\r\n]*$/.test(tail)) {
    throw new UnverifiedProblem(`${where}.protected.formatTail is not a closing brace`);
  }
  return { length: formatLength, tail };
}

function readBase64url(value: unknown, lengthMax: number, where: string): Uint8Array<ArrayBuffer> {
  const isShort = typeof value === "string" && value.length <= lengthMax;
  const bytes = isShort ? decodeBase64url(value) : null;
  if (bytes === null) {
    throw new UnverifiedProblem(`${where} is not base64url of at most ${lengthMax} characters`);
  }
  return bytes;
}

/**
 * What was signed. It must be the document with exactly `signatures` taken out: were members allowed behind the signed
 * part, a client that reads the whole would believe what nobody signed.
 */
function restorePayload(bytes: Uint8Array, { length, tail }: Format): Uint8Array<ArrayBuffer> {
  const rest = bytes.slice(length);
  const isSplit = rest[0] === COMMA;
  rest[0] = OPEN_BRACE;
  const unsigned = isSplit ? parseStrictJson(rest) : null;
  const tailBytes = new TextEncoder().encode(tail);
  const payload = new Uint8Array(Math.min(length, bytes.byteLength) + tailBytes.byteLength);
  payload.set(bytes.subarray(0, length));
  payload.set(tailBytes, payload.byteLength - tailBytes.byteLength);
  const isOnlySignatures =
    unsigned?.ok === true && isObject(unsigned.value) && Object.keys(unsigned.value).join() === "signatures";
  if (!isOnlySignatures || !parseStrictJson(payload).ok) {
    throw new UnverifiedProblem(
      "formatLength and formatTail do not give the document without its signatures",
    );
  }
  return payload;
}

const COMMA = 0x2c;
const OPEN_BRACE = 0x7b;
