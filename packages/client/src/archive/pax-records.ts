import { badArchive } from "./archive-error.ts";
import { decodeTarText } from "./tar-header.ts";

/** What pax records say of the entry after them (POSIX.1-2017, "pax Extended Header"); null: nothing. */
export interface PaxRecords {
  readonly path: string | null;
  readonly linkPath: string | null;
  readonly size: number | null;
}

/** Records that decide what an entry is; the others (times, owners, attributes) do not matter here. */
const DECISIVE: readonly string[] = ["path", "linkpath", "size", "hdrcharset"];

/**
 * Reads the records of one pax header: `<length> <key>=<value>\n`, again and again.
 * @throws ClientError of kind `invalid`; also for a decisive record that is there twice, and for sparse files
 */
export function parsePaxRecords(bytes: Uint8Array, where: string): PaxRecords {
  const found = new Map<string, string>();
  for (let at = 0; at < bytes.byteLength;) {
    const { key, value, end } = readRecord(bytes, at, where);
    at = end;
    if (key.startsWith("GNU.sparse."))
      throw badArchive(`${where} describes a sparse file; wanted whole files`);
    if (!DECISIVE.includes(key)) continue;
    if (found.has(key)) throw badArchive(`${where} says ${key} twice`);
    const text = decodeTarText(value, where);
    if (text === "" || text.includes("\0")) throw badArchive(`${where} has an invalid ${key}`);
    found.set(key, text);
  }
  if (found.has("hdrcharset")) throw badArchive(`${where} has names of another character set; wanted UTF-8`);
  return {
    path: found.get("path") ?? null,
    linkPath: found.get("linkpath") ?? null,
    size: readSize(found.get("size"), where),
  };
}

/** The bytes of a pax header that says this. */
export function formatPaxRecords(records: Readonly<Record<string, string>>): Uint8Array<ArrayBuffer> {
  const text = Object.entries(records).map(([key, value]) => formatRecord(key, value));
  return new TextEncoder().encode(text.join(""));
}

/** The length counts itself. */
function formatRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const bytes = new TextEncoder().encode(rest).byteLength;
  let length = bytes + String(bytes).length;
  if (String(length).length > String(bytes).length) length = bytes + String(length).length;
  return `${length}${rest}`;
}

/** Longest length of a record, in digits. */
const LENGTH_DIGITS_MAX = 7;

const SPACE = 0x20;
const NEWLINE = 0x0a;
const EQUALS = 0x3d;

interface PaxRecord {
  readonly key: string;
  readonly value: Uint8Array;
  readonly end: number;
}

function readRecord(bytes: Uint8Array, at: number, where: string): PaxRecord {
  const space = bytes.subarray(at, at + LENGTH_DIGITS_MAX + 1).indexOf(SPACE);
  const digits = space === -1 ? "" : String.fromCharCode(...bytes.subarray(at, at + space));
  const end = /^[1-9]\d*$/.test(digits) ? at + Number(digits) : -1;
  const record = bytes.subarray(at + space + 1, end - 1);
  const equals = record.indexOf(EQUALS);
  if (end <= at + space || end > bytes.byteLength || bytes[end - 1] !== NEWLINE || equals < 1) {
    throw badArchive(`${where} has a malformed pax record; wanted "<length> <key>=<value>"`);
  }
  return { key: decodeTarText(record.subarray(0, equals), where), value: record.subarray(equals + 1), end };
}

function readSize(text: string | undefined, where: string): number | null {
  if (text === undefined) return null;
  const size = /^(?:0|[1-9]\d*)$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(size)) return size;
  throw badArchive(`${where} says a size that no file has; wanted at most 2^53-1 bytes`);
}
