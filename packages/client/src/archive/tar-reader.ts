import { quote } from "@stowage/oci/reference";
import { archiveTooLarge, badArchive } from "./archive-error.ts";
import { ByteSource } from "./byte-source.ts";
import { type PaxRecords, parsePaxRecords } from "./pax-records.ts";
import {
  decodeTarText,
  isZeroBlock,
  parseTarHeader,
  TAR_BLOCK_BYTES,
  type TarHeader,
  USTAR_SIZE_MAX,
} from "./tar-header.ts";

/** Most entries of one archive: an image of 127 layers has some 400. */
export const TAR_ENTRIES_MAX = 32_768;

/** Largest pax header or long name, in bytes. */
const EXTENSION_BYTES_MAX = 64 * 1024;

/** Longest path, and longest target of a link, in characters: all of them are kept until an archive ends. */
const PATH_LENGTH_MAX = 1_024;

/** Most components of a path: each is looked at for each file. */
const PATH_COMPONENTS_MAX = 128;

/** Most zero bytes after the end of an archive: writers fill up their last record. */
const PADDING_BYTES_MAX = 1024 * 1024;

/** Something in an archive. */
export interface TarEntry {
  /** Its path without `./` in front: components that are neither empty, `.` nor `..`. */
  readonly path: string;
  readonly kind: "file" | "directory" | "symlink";
  /** Bytes; 0 for what is no file. */
  readonly size: number;
  /** Where a symbolic link points, as it is written; otherwise empty. */
  readonly linkName: string;
  /** Where its bytes begin in the archive. */
  readonly offset: number;
  /** Its bytes, once, before the next entry is asked for; what is not read is skipped. */
  bytes(): AsyncGenerator<Uint8Array, void, void>;
}

/**
 * Reads a tar file entry by entry as it comes. Strict: what two programs could read differently is refused, and so is what
 * no image needs (hard links, devices, sparse files), and what does not end as a tar file does, with two blocks of zeros.
 * The source is not closed.
 * @throws ClientError of kind `invalid`
 */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry, void, void> {
  const bytes = new ByteSource(source);
  const seen = new Set<string>();
  for (let count = 0; ; count++) {
    const next = await nextHeader(bytes);
    if (next === null) return;
    if (count >= TAR_ENTRIES_MAX) throw archiveTooLarge(`it has more than ${TAR_ENTRIES_MAX} entries`);
    const entry = toEntry(next, bytes);
    if (entry.kind !== "directory") {
      if (seen.has(entry.path)) throw badArchive(`${quote(entry.path)} is there twice`);
      seen.add(entry.path);
    }
    const reader = new EntryReader(bytes, entry);
    yield { ...entry, bytes: () => reader.stream() };
    await reader.skip();
  }
}

type Head = Omit<TarEntry, "bytes">;

/** The bytes of one entry and the padding after them. */
class EntryReader {
  readonly #source: ByteSource;
  readonly #end: number;
  readonly #what: string;

  constructor(source: ByteSource, { path, size, offset }: Head) {
    this.#source = source;
    this.#end = offset + size;
    this.#what = quote(path);
  }

  stream(): AsyncGenerator<Uint8Array, void, void> {
    return this.#source.stream(this.#end - this.#source.offset, this.#what);
  }

  async skip(): Promise<void> {
    const padding = (TAR_BLOCK_BYTES - (this.#end % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES;
    const left = this.#end + padding - this.#source.offset;
    for await (const _piece of this.#source.stream(left, this.#what));
  }
}

/** A header with what was said of it before. */
interface FullHeader {
  readonly header: TarHeader;
  readonly pax: PaxRecords | null;
  readonly longName: string | null;
  readonly longLink: string | null;
}

/** The next header of an entry, or null at the end of the archive, which is then read to its last byte. */
async function nextHeader(bytes: ByteSource): Promise<FullHeader | null> {
  let pax: PaxRecords | null = null;
  let longName: string | null = null;
  let longLink: string | null = null;
  for (;;) {
    const at = bytes.offset;
    const block = await bytes.read(TAR_BLOCK_BYTES, "a header");
    if (block === null) throw badArchive("it breaks off: two blocks of zeros are missing at its end");
    const isExtended = pax !== null || longName !== null || longLink !== null;
    if (isZeroBlock(block)) {
      if (isExtended) throw badArchive("it ends after the description of an entry that is not there");
      await readEnd(bytes);
      return null;
    }
    const header = parseTarHeader(block, at);
    const where = `the header at byte ${at}`;
    switch (header.type) {
      case "x":
        if (pax !== null) throw badArchive(`${where} describes the next entry once more`);
        pax = parsePaxRecords(await readExtension(bytes, header, where), where);
        break;
      case "g":
        if (isExtended) throw badArchive(`${where} stands between an entry and its description`);
        requireHarmless(parsePaxRecords(await readExtension(bytes, header, where), where), where);
        break;
      case "L":
        if (longName !== null) throw badArchive(`${where} names the next entry once more`);
        longName = readLongName(await readExtension(bytes, header, where), where);
        break;
      case "K":
        if (longLink !== null) throw badArchive(`${where} links the next entry once more`);
        longLink = readLongName(await readExtension(bytes, header, where), where);
        break;
      default:
        return { header, pax, longName, longLink };
    }
  }
}

/** After the first block of zeros: a second one, and nothing but zeros. */
async function readEnd(bytes: ByteSource): Promise<void> {
  const second = await bytes.read(TAR_BLOCK_BYTES, "its end");
  if (second === null) throw badArchive("it breaks off: a second block of zeros is missing at its end");
  const end = bytes.offset;
  for (let piece: Uint8Array | null = second; piece !== null; piece = await bytes.any()) {
    if (!isZeroBlock(piece)) throw badArchive("something follows its end");
    if (bytes.offset - end > PADDING_BYTES_MAX) {
      throw archiveTooLarge(`more than ${PADDING_BYTES_MAX} bytes of zeros follow its end`);
    }
  }
}

async function readExtension(bytes: ByteSource, { size }: TarHeader, where: string): Promise<Uint8Array> {
  if (size > EXTENSION_BYTES_MAX) {
    throw archiveTooLarge(
      `${where} announces ${size} bytes about an entry; wanted at most ${EXTENSION_BYTES_MAX}`,
    );
  }
  if (size === 0) throw badArchive(`${where} describes nothing`);
  const blocks = Math.ceil(size / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES;
  const read = await bytes.read(blocks, where);
  if (read === null) throw badArchive(`it breaks off after ${where}`);
  // A copy: who gets the bytes after these may give their memory away.
  return read.slice(0, size);
}

/** A global header holds for all entries after it, which nobody expects of a path or a size. */
function requireHarmless({ path, linkPath, size }: PaxRecords, where: string): void {
  if (path === null && linkPath === null && size === null) return;
  throw badArchive(`${where} names all entries at once`);
}

function readLongName(bytes: Uint8Array, where: string): string {
  const text = decodeTarText(bytes, where).replace(/\0$/, "");
  if (text === "" || text.includes("\0")) throw badArchive(`${where} has an invalid long name`);
  return text;
}

function toEntry({ header, pax, longName, longLink }: FullHeader, bytes: ByteSource): Head {
  const where = `the entry at byte ${bytes.offset}`;
  if ((pax?.path ?? null) !== null && longName !== null) throw badArchive(`${where} has two names`);
  if ((pax?.linkPath ?? null) !== null && longLink !== null) throw badArchive(`${where} links to two names`);
  const name = pax?.path ?? longName ?? header.name;
  const kind = kindOf(header.type, name);
  const path = requirePath(kind === "directory" ? name.replace(/\/$/, "") : name, kind);
  const size = sizeOf(header, pax, path);
  if (kind !== "file" && size !== 0)
    throw badArchive(`${quote(path)} is a ${kind} of ${size} bytes; wanted none`);
  const linkName = pax?.linkPath ?? longLink ?? header.linkName;
  if (linkName.length > PATH_LENGTH_MAX) throw tooLong(`the target of the link ${quote(path)}`);
  return { path, kind, size, linkName: kind === "symlink" ? linkName : "", offset: bytes.offset };
}

function kindOf(type: string, name: string): TarEntry["kind"] {
  switch (type) {
    case "0":
    case "\0":
      return "file";
    case "5":
      return "directory";
    case "2":
      return "symlink";
    default:
      throw badArchive(
        `${quote(name)} is ${UNWANTED[type] ?? `of the unknown type ${quote(type)}`}; wanted plain files, folders and symbolic links`,
      );
  }
}

const UNWANTED: Readonly<Record<string, string>> = {
  "1": "a hard link",
  "3": "a device",
  "4": "a device",
  "6": "a named pipe",
  S: "a sparse file",
};

/** What a header says is right unless pax records say what it has no room for. */
function sizeOf(header: TarHeader, pax: PaxRecords | null, path: string): number {
  const size = pax?.size ?? header.size;
  if (size !== header.size && size <= USTAR_SIZE_MAX) throw badArchive(`${quote(path)} has two sizes`);
  return size;
}

/** @throws ClientError for what would lead out of a folder that the archive is unpacked in, or is written in two ways */
function requirePath(name: string, kind: TarEntry["kind"]): string {
  if (kind === "directory" && (name === "." || name === "")) return ".";
  const path = name.startsWith("./") ? name.slice(2) : name;
  if (path.length > PATH_LENGTH_MAX) throw tooLong(quote(path));
  const components = path.split("/");
  if (components.length > PATH_COMPONENTS_MAX) {
    throw archiveTooLarge(`the path ${quote(path)} has more than ${PATH_COMPONENTS_MAX} components`);
  }
  const isClear = components.every((part) => part !== "" && part !== "." && part !== "..");
  if (isClear && !/[\\\p{Cc}]/u.test(path)) return path;
  throw badArchive(
    `invalid path ${quote(name)}: wanted a relative one without "..", "\\" and control characters`,
  );
}

function tooLong(what: string): Error {
  return archiveTooLarge(`${what} is longer than ${PATH_LENGTH_MAX} characters`);
}
