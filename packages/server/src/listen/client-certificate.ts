import type { ClientCertificate } from "../http/exchange.ts";
import { DER, type DerValue, readDer } from "./der.ts";

/** Names of one certificate that are handed on; more is nobody's honest certificate. */
const NAMES_MAX = 100;

/** Characters of a name that is handed on. */
const NAME_LENGTH_MAX = 1024;

const OID = { commonName: "550403", organizationalUnit: "55040b", subjectAltName: "551d11" } as const;

/** Tags of GeneralName (RFC 5280 section 4.2.1.6) that become names. */
const GENERAL_NAMES: ReadonlyMap<number, string> = new Map([
  [0x81, "email"],
  [0x82, "dns"],
  [0x86, "uri"],
]);

/** Encodings of a DirectoryString (RFC 5280 section 4.1.2.4). */
const UTF8_STRING = 0x0c;
const PRINTABLE_STRING = 0x13;
const TELETEX_STRING = 0x14;
const IA5_STRING = 0x16;
const BMP_STRING = 0x1e;

/**
 * Reads the names of a certificate from its bytes. Not from the text that Node's interface has for them: there a
 * comma in one name reads like the start of another one.
 * A name with a control character (NUL above all) or in an unknown encoding is left out.
 * @returns null when the bytes are no X.509 certificate (RFC 5280)
 */
export function parseClientCertificate(der: Uint8Array): ClientCertificate | null {
  const certificate = onlyChild(der);
  const [body] = certificate === null ? [] : (readDer(certificate.content) ?? []);
  const fields = body === undefined ? null : readDer(body.content);
  if (fields === null) return null;
  // [0] version is left out of version 1 certificates; then: serial, signature, issuer, validity, subject, key, ...
  const at = fields[0]?.tag === 0xa0 ? 1 : 0;
  const [validity, subject] = [fields[at + 3], fields[at + 4]];
  const notAfter = validity === undefined ? null : parseTime(readDer(validity.content)?.[1]);
  if (subject === undefined || notAfter === null) return null;
  return {
    commonName: subjectTexts(subject, OID.commonName).at(-1) ?? null,
    names: alternativeNames(fields.find(({ tag }) => tag === 0xa3)),
    organizationalUnits: subjectTexts(subject, OID.organizationalUnit),
    fingerprint: new Bun.CryptoHasher("sha256").update(der).digest("hex"),
    notAfter,
  };
}

function onlyChild(bytes: Uint8Array): DerValue | null {
  const values = readDer(bytes);
  return values?.length === 1 ? (values[0] ?? null) : null;
}

/** Texts of one attribute of a Name: a sequence of sets of (type, value). */
function subjectTexts(name: DerValue, oid: string): readonly string[] {
  const texts: string[] = [];
  for (const set of readDer(name.content) ?? []) {
    for (const pair of readDer(set.content) ?? []) {
      const [type, value] = readDer(pair.content) ?? [];
      if (type?.tag !== DER.oid || hex(type) !== oid || value === undefined) continue;
      const text = decodeText(value);
      if (text !== null && texts.length < NAMES_MAX) texts.push(text);
    }
  }
  return texts;
}

function alternativeNames(extensions: DerValue | undefined): readonly string[] {
  const list = extensions === undefined ? null : onlyChild(extensions.content);
  for (const extension of list === null ? [] : (readDer(list.content) ?? [])) {
    const parts = readDer(extension.content) ?? [];
    const [type, value] = [parts[0], parts.at(-1)];
    if (type === undefined || value === undefined || hex(type) !== OID.subjectAltName) continue;
    const names = onlyChild(value.content);
    return (names === null ? [] : (readDer(names.content) ?? [])).slice(0, NAMES_MAX).flatMap(generalName);
  }
  return [];
}

function generalName({ tag, content }: DerValue): readonly string[] {
  const kind = GENERAL_NAMES.get(tag);
  const text = kind === undefined ? null : decodeText({ tag: IA5_STRING, content });
  return text === null ? [] : [`${kind}:${text}`];
}

function decodeText({ tag, content }: DerValue): string | null {
  const text = decodeBytes(tag, content);
  if (text === null || text === "" || text.length > NAME_LENGTH_MAX || /\p{C}/u.test(text)) return null;
  return text;
}

function decodeBytes(tag: number, content: Uint8Array): string | null {
  switch (tag) {
    case UTF8_STRING:
      try {
        return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
      } catch {
        return null;
      }
    case PRINTABLE_STRING:
    case IA5_STRING:
    case TELETEX_STRING:
      // Above 7 bits nobody agrees on what these mean.
      return content.some((byte) => byte > 0x7e)
        ? null
        : String.fromCharCode(...content.subarray(0, NAME_LENGTH_MAX + 1));
    case BMP_STRING:
      return content.length % 2 === 0 ? new TextDecoder("utf-16be").decode(content) : null;
    default:
      return null;
  }
}

/** UTCTime or GeneralizedTime (RFC 5280 section 4.1.2.5), in milliseconds since 1970. */
function parseTime(value: DerValue | undefined): number | null {
  if (value === undefined) return null;
  const text = String.fromCharCode(...value.content.subarray(0, 32));
  const match = /^(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(text);
  if (match === null) return null;
  const [, year = "", month, day, hour, minute, second] = match;
  const century = year.length === 4 ? "" : Number(year) < 50 ? "20" : "19";
  const time = Date.parse(`${century}${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(time) ? null : time;
}

function hex({ content }: DerValue): string {
  return Buffer.from(content).toString("hex");
}
