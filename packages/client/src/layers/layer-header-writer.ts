import { BLOCK_BYTES, type EntryKind, type LayerHeader } from "./layer-header.ts";
import { formatPaxRecord } from "./pax-records.ts";

const TYPES: Readonly<Record<EntryKind, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  character: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};

/** Largest numbers that fields of 8 and 12 bytes have room for in octal digits. */
const SHORT_MAX = 0o7777777;
const LONG_MAX = 0o77777777777;

const NAME_BYTES_MAX = 100;
const OWNER_BYTES_MAX = 31;

/** Name in the header of a pax header; nobody reads it. */
const PAX_NAME = "pax-header";

/** What stands before the bytes of an entry: a header of the ustar format, after a pax header when it has no room for something. */
export function formatLayerHeader(header: LayerHeader): Uint8Array<ArrayBuffer> {
  const block = headerBlock(header, TYPES[header.kind]);
  const records = concat([...paxRecordsOf(header)].map(([key, value]) => formatPaxRecord(key, value)));
  if (records.byteLength === 0) return block;
  const pax: LayerHeader = { ...EMPTY, name: PAX_NAME, size: records.byteLength };
  const padding = new Uint8Array((BLOCK_BYTES - (records.byteLength % BLOCK_BYTES)) % BLOCK_BYTES);
  return concat([headerBlock(pax, "x"), records, padding, block]);
}

const EMPTY: LayerHeader = {
  name: "",
  kind: "file",
  size: 0,
  mode: 0o644,
  uid: 0,
  gid: 0,
  uname: "",
  gname: "",
  mtime: 0,
  linkName: "",
  major: 0,
  minor: 0,
  records: new Map(),
};

/** Everything that the header block says wrongly or not at all. */
function paxRecordsOf(header: LayerHeader): ReadonlyMap<string, Uint8Array<ArrayBuffer>> {
  const records = new Map(header.records);
  const add = (key: string, value: string | number) => records.set(key, encode(String(value)));
  if (!fits(header.name, NAME_BYTES_MAX)) add("path", header.name);
  if (!fits(header.linkName, NAME_BYTES_MAX)) add("linkpath", header.linkName);
  if (!fits(header.uname, OWNER_BYTES_MAX)) add("uname", header.uname);
  if (!fits(header.gname, OWNER_BYTES_MAX)) add("gname", header.gname);
  if (!isOctal(header.size, LONG_MAX)) add("size", header.size);
  if (!isOctal(header.uid, SHORT_MAX)) add("uid", header.uid);
  if (!isOctal(header.gid, SHORT_MAX)) add("gid", header.gid);
  if (!isOctal(header.mtime, LONG_MAX)) add("mtime", header.mtime);
  return records;
}

function headerBlock(header: LayerHeader, type: string): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(BLOCK_BYTES);
  const put = (at: number, text: string, length: number) => block.set(encode(text).subarray(0, length), at);
  const octal = (at: number, value: number, digits: number, max: number) => {
    const shown = Math.min(Math.max(Math.trunc(value), 0), max);
    put(at, shown.toString(8).padStart(digits, "0"), digits);
  };
  put(0, header.name, NAME_BYTES_MAX);
  octal(100, header.mode, 7, SHORT_MAX);
  octal(108, header.uid, 7, SHORT_MAX);
  octal(116, header.gid, 7, SHORT_MAX);
  octal(124, header.size, 11, LONG_MAX);
  octal(136, header.mtime, 11, LONG_MAX);
  put(156, type, 1);
  put(157, header.linkName, NAME_BYTES_MAX);
  put(257, "ustar\u000000", 8);
  put(265, header.uname, OWNER_BYTES_MAX);
  put(297, header.gname, OWNER_BYTES_MAX);
  octal(329, header.major, 7, SHORT_MAX);
  octal(337, header.minor, 7, SHORT_MAX);
  block.fill(0x20, 148, 156);
  put(
    148,
    `${block
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
    8,
  );
  return block;
}

function fits(text: string, bytesMax: number): boolean {
  // Beyond ASCII only a pax record says which characters are meant.
  return text.length <= bytesMax && /^[\x20-\x7e]*$/.test(text);
}

function isOctal(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.byteLength;
  }
  return all;
}
