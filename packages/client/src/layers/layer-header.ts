import { badLayer } from "./layer-error.ts";

export const BLOCK_BYTES = 512;

export type EntryKind = "file" | "directory" | "symlink" | "hardlink" | "character" | "block" | "fifo";

/** What a tar file says of one thing in it (POSIX.1-2017 "pax Interchange Format"; GNU tar). */
export interface LayerHeader {
  /** As it is written, which may be anything. */
  readonly name: string;
  readonly kind: EntryKind;
  /** Bytes that follow; 0 unless it is a file. */
  readonly size: number;
  /** Permission bits, with setuid and its like. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly uname: string;
  readonly gname: string;
  /** Seconds since 1970, perhaps with a fraction. */
  readonly mtime: number;
  /** Of a symbolic link what it says, of a hard link the path of the other name. */
  readonly linkName: string;
  /** Of a device. */
  readonly major: number;
  readonly minor: number;
  /** Further pax records, for example extended attributes; values may be any bytes. */
  readonly records: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

/** One header block. */
export interface RawHeader extends Omit<LayerHeader, "kind" | "records"> {
  readonly type: string;
}

export function isZeroBlock(block: Uint8Array): boolean {
  // Nearly every other block begins with a name.
  return block[0] === 0 && block.every((byte) => byte === 0);
}

/** @throws ClientError of kind `invalid` */
export function parseHeaderBlock(block: Uint8Array): RawHeader {
  requireChecksum(block);
  const magic = latin1(block, 257, 8);
  const isUstar = magic.startsWith("ustar\0");
  const isGnu = magic === "ustar  \0";
  const name = text(block, 0, 100);
  const prefix = isUstar ? text(block, 345, 155) : "";
  const hasOwners = isUstar || isGnu;
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    mode: number(block, 100, 8) & 0o7777,
    uid: number(block, 108, 8),
    gid: number(block, 116, 8),
    size: number(block, 124, 12),
    mtime: number(block, 136, 12),
    type: String.fromCharCode(block[156] ?? 0),
    linkName: text(block, 157, 100),
    uname: hasOwners ? text(block, 265, 32) : "",
    gname: hasOwners ? text(block, 297, 32) : "",
    major: hasOwners ? number(block, 329, 8) : 0,
    minor: hasOwners ? number(block, 337, 8) : 0,
  };
}

const KINDS: Readonly<Record<string, EntryKind>> = {
  "0": "file",
  "\0": "file",
  "7": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "character",
  "4": "block",
  "5": "directory",
  "6": "fifo",
};

/** Whether no bytes follow, whatever size the header says: all but files, and what nobody knows. */
export function isHeaderOnly(type: string): boolean {
  return /^[1-6]$/.test(type);
}

/** Null: something that this reader does not know, and whose bytes are to be skipped. @throws ClientError for a sparse file */
export function kindOf(type: string, name: string): EntryKind | null {
  if (type === "S") throw badLayer(`${JSON.stringify(name.slice(0, 100))} is a sparse file of GNU tar`);
  // Before there were types, a slash at the end was the type.
  if (type === "\0" && name.endsWith("/")) return "directory";
  return KINDS[type] ?? null;
}

/** Sum of all bytes, those of the checksum taken for spaces; old programs summed signed bytes. */
function requireChecksum(block: Uint8Array): void {
  const wanted = Number.parseInt(latin1(block, 148, 8).trim(), 8);
  let unsigned = 8 * 0x20;
  let signed = unsigned;
  for (let at = 0; at < BLOCK_BYTES; at++) {
    if (at >= 148 && at < 156) continue;
    const byte = block[at] ?? 0;
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  if (wanted !== unsigned && wanted !== signed)
    throw badLayer("it is no tar file, or is damaged: a checksum is wrong");
}

function latin1(block: Uint8Array, start: number, length: number): string {
  return String.fromCharCode(...block.subarray(start, start + length));
}

function text(block: Uint8Array, start: number, length: number): string {
  if (block[start] === 0) return "";
  const field = block.subarray(start, start + length);
  const end = field.indexOf(0);
  return decodeName(end === -1 ? field : field.subarray(0, end));
}

const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** Names are bytes; those that are not UTF-8 get the sign for it. */
export function decodeName(bytes: Uint8Array): string {
  return UTF8.decode(bytes);
}

/** Octal digits, or GNU's binary form, where the first bit says so and the second is the sign. */
function number(block: Uint8Array, start: number, length: number): number {
  const first = block[start] ?? 0;
  if (first >= 0x80) return binary(block.subarray(start, start + length));
  let value = 0;
  let isOver = false;
  for (let at = start; at < start + length; at++) {
    const byte = block[at] ?? 0;
    if (byte === 0) break;
    if (byte === SPACE) {
      // In front of the digits and behind them, not between.
      isOver ||= value > 0;
    } else if (byte >= ZERO && byte <= SEVEN && !isOver) value = value * 8 + byte - ZERO;
    else throw badLayer("a header has a number that cannot be read");
  }
  return value;
}

const SPACE = 0x20;
const ZERO = 0x30;
const SEVEN = 0x37;

function binary(bytes: Uint8Array): number {
  const [first = 0, ...rest] = bytes;
  // Of the first byte one bit says that this is binary, and the next one is the sign.
  const start = (first & 0x7f) - ((first & 0x40) === 0 ? 0 : 0x80);
  const value = rest.reduce((sum, byte) => sum * 256 + byte, start);
  if (Number.isSafeInteger(value)) return value;
  throw badLayer("a header has a number that is too large");
}
