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
  if (hasRoom(header)) return block;
  const records = concat([...paxRecordsOf(header)].map(([key, value]) => formatPaxRecord(key, value)));
  const pax: LayerHeader = { ...EMPTY_HEADER, name: PAX_NAME, size: records.byteLength };
  const padding = new Uint8Array((BLOCK_BYTES - (records.byteLength % BLOCK_BYTES)) % BLOCK_BYTES);
  return concat([headerBlock(pax, "x"), records, padding, block]);
}

/** A plain file of root that is empty and has no name: what an entry is that says nothing else. */
export const EMPTY_HEADER: LayerHeader = {
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

/** Whether the header block alone says everything, as it does for nearly every entry. */
function hasRoom({ records, name, linkName, uname, gname, size, uid, gid, mtime }: LayerHeader): boolean {
  return (
    records.size === 0 &&
    fits(name, NAME_BYTES_MAX) &&
    fits(linkName, NAME_BYTES_MAX) &&
    fits(uname, OWNER_BYTES_MAX) &&
    fits(gname, OWNER_BYTES_MAX) &&
    isOctal(size, LONG_MAX) &&
    isOctal(uid, SHORT_MAX) &&
    isOctal(gid, SHORT_MAX) &&
    isOctal(mtime, LONG_MAX)
  );
}

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
  putText(block, [0, NAME_BYTES_MAX], header.name);
  putOctal(block, [100, 7], header.mode);
  putOctal(block, [108, 7], header.uid);
  putOctal(block, [116, 7], header.gid);
  putOctal(block, [124, 11], header.size);
  putOctal(block, [136, 11], header.mtime);
  putText(block, [156, 1], type);
  putText(block, [157, NAME_BYTES_MAX], header.linkName);
  putText(block, [257, 8], "ustar\u000000");
  putText(block, [265, OWNER_BYTES_MAX], header.uname);
  putText(block, [297, OWNER_BYTES_MAX], header.gname);
  putOctal(block, [329, 7], header.major);
  putOctal(block, [337, 7], header.minor);
  // The checksum counts its own field as spaces.
  let sum = 8 * 0x20;
  for (let at = 0; at < BLOCK_BYTES; at++) sum += block[at] ?? 0;
  putOctal(block, [148, 6], sum);
  block[155] = 0x20;
  return block;
}

/** Start and length, in bytes. */
type Field = readonly [start: number, length: number];

/** What is not ASCII stands in a pax record, and here as well as it goes. */
function putText(block: Uint8Array, [start, length]: Field, text: string): void {
  for (let at = 0; at < Math.min(length, text.length); at++) block[start + at] = text.charCodeAt(at) & 0xff;
}

/** A number that has no room stands in a pax record; here is the nearest that has. */
function putOctal(block: Uint8Array, [start, digits]: Field, value: number): void {
  let left = Math.min(Math.max(Math.trunc(value), 0), 8 ** digits - 1);
  for (let at = start + digits - 1; at >= start; at--) {
    block[at] = 0x30 + (left % 8);
    left = Math.floor(left / 8);
  }
}

function fits(text: string, bytesMax: number): boolean {
  if (text.length > bytesMax) return false;
  // Beyond ASCII only a pax record says which characters are meant.
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x20 || code > 0x7e) return false;
  }
  return true;
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
