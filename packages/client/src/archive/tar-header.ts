import { badArchive } from "./archive-error.ts";

/** A tar file is a row of blocks (POSIX.1-2017, "ustar Interchange Format"), in bytes. */
export const TAR_BLOCK_BYTES = 512;

/** Largest size that a header's octal digits can say, in bytes. */
export const USTAR_SIZE_MAX = 0o77777777777;

/** One header block, as it stands there. */
export interface TarHeader {
  readonly name: string;
  /** Bytes that follow. */
  readonly size: number;
  /** One character: what it is. */
  readonly type: string;
  readonly linkName: string;
}

/** Whether the block is one of the two that end an archive. */
export function isZeroBlock(block: Uint8Array): boolean {
  return block.every((byte) => byte === 0);
}

/**
 * Reads a header block of the formats that are written today, ustar (with or without pax records before it) and GNU.
 * @throws ClientError of kind `invalid`
 */
export function parseTarHeader(block: Uint8Array, at: number): TarHeader {
  const where = `the header at byte ${at}`;
  if (parseOctal(block, CHECKSUM) !== checksumOf(block)) {
    throw badArchive(`${where} is no tar header: its checksum is wrong`);
  }
  const magic = latin1(block, MAGIC);
  if (magic !== USTAR_MAGIC && magic !== GNU_MAGIC) {
    throw badArchive(`${where} is of an unknown format; wanted a tar file of the ustar, pax or GNU format`);
  }
  if (magic === USTAR_MAGIC && latin1(block, STAR_TRAILER) === "tar\0") {
    throw badArchive(`${where} is of the star format; wanted ustar, pax or GNU`);
  }
  const name = readText(block, NAME, where);
  // GNU keeps times in this place.
  const prefix = magic === USTAR_MAGIC ? readText(block, PREFIX, where) : "";
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    size: readSize(block, where),
    type: String.fromCharCode(block[TYPE] ?? 0),
    linkName: readText(block, LINK_NAME, where),
  };
}

/** A header block of the ustar format for a plain file or a pax header, without owner and time. */
export function makeTarHeader(name: string, size: number, type: "0" | "x"): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(TAR_BLOCK_BYTES);
  const put = ([start]: Field, text: string) => block.set(new TextEncoder().encode(text), start);
  put(NAME, name);
  put(MODE, "0000644\0");
  put(UID, "0000000\0");
  put(GID, "0000000\0");
  put(SIZE, `${Math.min(size, USTAR_SIZE_MAX).toString(8).padStart(11, "0")}\0`);
  put(MTIME, "00000000000\0");
  put([TYPE, 1], type);
  put(MAGIC, USTAR_MAGIC);
  put(CHECKSUM, `${checksumOf(block).toString(8).padStart(6, "0")}\0 `);
  return block;
}

/** Longest name that a header has room for, in bytes. */
export const USTAR_NAME_BYTES_MAX = 100;

/** Start and length, in bytes. */
type Field = readonly [start: number, length: number];

const NAME: Field = [0, 100];
const MODE: Field = [100, 8];
const UID: Field = [108, 8];
const GID: Field = [116, 8];
const SIZE: Field = [124, 12];
const MTIME: Field = [136, 12];
const CHECKSUM: Field = [148, 8];
const TYPE = 156;
const LINK_NAME: Field = [157, 100];
/** Magic and version together. */
const MAGIC: Field = [257, 8];
const PREFIX: Field = [345, 155];
const STAR_TRAILER: Field = [508, 4];

const USTAR_MAGIC = "ustar\u000000";
const GNU_MAGIC = "ustar  \0";

/** Sum of all bytes, those of the checksum itself taken for spaces. */
function checksumOf(block: Uint8Array): number {
  const [start, length] = CHECKSUM;
  let sum = length * 0x20;
  for (let at = 0; at < TAR_BLOCK_BYTES; at++) {
    if (at < start || at >= start + length) sum += block[at] ?? 0;
  }
  return sum;
}

function latin1(block: Uint8Array, [start, length]: Field): string {
  return String.fromCharCode(...block.subarray(start, start + length));
}

function readText(block: Uint8Array, [start, length]: Field, where: string): string {
  const field = block.subarray(start, start + length);
  const end = field.indexOf(0);
  return decodeTarText(end === -1 ? field : field.subarray(0, end), where);
}

/** @throws ClientError when it is not UTF-8 */
export function decodeTarText(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw badArchive(`${where} has a name that is not UTF-8`);
  }
}

function parseOctal(block: Uint8Array, field: Field): number | null {
  const [, digits] = /^ *([0-7]+)[ \0]*$/.exec(latin1(block, field)) ?? [];
  return digits === undefined ? null : Number.parseInt(digits, 8);
}

function readSize(block: Uint8Array, where: string): number {
  const [start, length] = SIZE;
  const first = block[start] ?? 0;
  if (first < 0x80) {
    const size = parseOctal(block, SIZE);
    if (size !== null) return size;
    throw badArchive(`${where} has a size that cannot be read; wanted octal digits`);
  }
  // GNU: a number of 95 bits, which with this first byte is not negative.
  let size = first === 0x80 ? 0 : Number.NaN;
  for (const byte of block.subarray(start + 1, start + length)) size = size * 256 + byte;
  if (Number.isSafeInteger(size)) return size;
  throw badArchive(`${where} says a size that no file has; wanted at most 2^53-1 bytes`);
}
