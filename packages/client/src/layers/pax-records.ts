import { badLayer } from "./layer-error.ts";
import { decodeName } from "./layer-header.ts";

const SPACE = 0x20;
const NEWLINE = 0x0a;
const EQUALS = 0x3d;

/** Most digits of a record's length. */
const LENGTH_DIGITS_MAX = 8;

/**
 * Records of one pax header, `<length> <key>=<value>\n` again and again (POSIX.1-2017, "pax Extended Header"); of two with one
 * key the last holds. @throws ClientError of kind `invalid`
 */
export function parsePaxRecords(
  bytes: Uint8Array<ArrayBuffer>,
): ReadonlyMap<string, Uint8Array<ArrayBuffer>> {
  const records = new Map<string, Uint8Array<ArrayBuffer>>();
  for (let at = 0; at < bytes.byteLength;) {
    const space = bytes.subarray(at, at + LENGTH_DIGITS_MAX + 1).indexOf(SPACE);
    const digits = space === -1 ? "" : String.fromCharCode(...bytes.subarray(at, at + space));
    const end = /^[1-9]\d*$/.test(digits) ? at + Number(digits) : -1;
    const record = bytes.subarray(at + space + 1, Math.max(end - 1, 0));
    const equals = record.indexOf(EQUALS);
    if (end <= at + space || end > bytes.byteLength || bytes[end - 1] !== NEWLINE || equals < 1)
      throw badLayer("it has a malformed pax record");
    records.set(decodeName(record.subarray(0, equals)), record.slice(equals + 1));
    at = end;
  }
  return records;
}

/** One record; the length counts itself. */
export function formatPaxRecord(key: string, value: Uint8Array): Uint8Array<ArrayBuffer> {
  const rest = new TextEncoder().encode(` ${key}=`);
  const bytes = rest.byteLength + value.byteLength + 1;
  let length = bytes + String(bytes).length;
  if (String(length).length > String(bytes).length) length = bytes + String(length).length;
  const record = new Uint8Array(length);
  const digits = new TextEncoder().encode(String(length));
  record.set(digits);
  record.set(rest, digits.byteLength);
  record.set(value, digits.byteLength + rest.byteLength);
  record[length - 1] = NEWLINE;
  return record;
}
