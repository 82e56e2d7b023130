import { ByteReader } from "./byte-reader.ts";
import { badLayer } from "./layer-error.ts";
import {
  BLOCK_BYTES,
  decodeName,
  isHeaderOnly,
  isZeroBlock,
  kindOf,
  type LayerHeader,
  parseHeaderBlock,
  type RawHeader,
} from "./layer-header.ts";
import { parsePaxRecords } from "./pax-records.ts";

/** Largest pax header or long name, in bytes: extended attributes may be large. */
const EXTENSION_BYTES_MAX = 1024 * 1024;

/** Most entries of one layer, and most headers that say something of all that come after them. */
const ENTRIES_MAX = 2_000_000;
const GLOBALS_MAX = 1_000;

/** Most records of all entries, and most of their bytes: each entry has them. Git writes one, of 50 bytes. */
const GLOBAL_RECORDS_MAX = 100;
const GLOBAL_BYTES_MAX = 16 * 1024;

export interface LayerEntry extends LayerHeader {
  /** Its bytes, once, before the next entry is asked for; what is not read is skipped. */
  bytes(): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>;
}

/**
 * Reads the tar file of a layer entry by entry. Unlike the archives that images travel in, layers come from every program that
 * ever wrote a tar file, and have links, devices and attributes: whatever can be read is given as it is written. What of it is
 * dangerous is for the reader of the entries to know; `readImageFiles` does.
 * @throws ClientError of kind `invalid`
 */
export async function* readLayer(
  pieces: AsyncIterable<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<LayerEntry, void, void> {
  const reader = new ByteReader(pieces);
  let globals: Records = new Map();
  let globalsLeft = GLOBALS_MAX;
  let pending: Pending = NOTHING_PENDING;
  for (let count = 0; ;) {
    const block = reader.take(BLOCK_BYTES) ?? (await reader.read(BLOCK_BYTES));
    // Some programs forget the blocks of zeros at the end.
    if (block === null) break;
    if (isZeroBlock(block)) break;
    const raw = parseHeaderBlock(block);
    switch (raw.type) {
      case "g":
        if (globalsLeft-- === 0) throw badLayer(`it describes all entries more than ${GLOBALS_MAX} times`);
        globals = joined(globals, parsePaxRecords(await readExtension(reader, raw)));
        break;
      case "x":
        pending = { ...pending, records: parsePaxRecords(await readExtension(reader, raw)) };
        break;
      case "L":
        pending = { ...pending, name: longText(await readExtension(reader, raw)) };
        break;
      case "K":
        pending = { ...pending, linkName: longText(await readExtension(reader, raw)) };
        break;
      default: {
        if (++count > ENTRIES_MAX) throw badLayer(`it has more than ${ENTRIES_MAX} entries`);
        const isPlain = globals.size === 0 && pending === NOTHING_PENDING;
        const header = isPlain ? plainHeader(raw) : headerOf(raw, globals, pending);
        const entry = new OpenEntry(reader, header, isHeaderOnly(raw.type) ? 0 : sizeOf(raw, pending));
        pending = NOTHING_PENDING;
        if (entry.header !== null) yield { ...entry.header, bytes: () => entry.stream() };
        if (!entry.skipAtOnce()) await entry.skip();
      }
    }
  }
  // To the last byte, because only there the digest is known to be right.
  await reader.drain();
}

type Records = ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

/** What was said of the entry that comes next. */
interface Pending {
  readonly records: Records;
  readonly name: string | null;
  readonly linkName: string | null;
}

const NOTHING_PENDING: Pending = { records: new Map(), name: null, linkName: null };

class OpenEntry {
  readonly header: LayerHeader | null;
  readonly #reader: ByteReader;
  readonly #padding: number;
  #left: number;

  constructor(reader: ByteReader, header: LayerHeader | null, size: number) {
    this.#reader = reader;
    this.header = header;
    this.#left = size;
    this.#padding = (BLOCK_BYTES - (this.#left % BLOCK_BYTES)) % BLOCK_BYTES;
  }

  async *stream(): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
    for await (const piece of this.#reader.stream(this.#left)) {
      this.#left -= piece.byteLength;
      yield piece;
    }
  }

  /** Whether it was short enough to be over. */
  skipAtOnce(): boolean {
    return this.#reader.take(this.#left + this.#padding) !== null;
  }

  async skip(): Promise<void> {
    for await (const _piece of this.#reader.stream(this.#left + this.#padding));
  }
}

async function readExtension(reader: ByteReader, { size }: RawHeader): Promise<Uint8Array<ArrayBuffer>> {
  if (size > EXTENSION_BYTES_MAX)
    throw badLayer(`it describes an entry with ${size} bytes; wanted at most ${EXTENSION_BYTES_MAX}`);
  const read = await reader.read(Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES);
  if (read === null) throw badLayer("it breaks off within the description of an entry");
  return read.slice(0, size);
}

function joined(globals: Records, added: Records): Records {
  const all = new Map([...globals, ...added]);
  const bytes = [...all].reduce((sum, [key, value]) => sum + key.length + value.byteLength, 0);
  if (all.size <= GLOBAL_RECORDS_MAX && bytes <= GLOBAL_BYTES_MAX) return all;
  throw badLayer(
    `it describes all entries with ${all.size} records of ${bytes} bytes; wanted at most ${GLOBAL_RECORDS_MAX} of ${GLOBAL_BYTES_MAX}`,
  );
}

function longText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decodeName(end === -1 ? bytes : bytes.subarray(0, end));
}

/** Records that a header has a field for. */
const FIELDS: readonly string[] = [
  ...["path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime"],
  // Nobody restores these; where a name is not UTF-8, it is decoded as well as it goes.
  ...["atime", "ctime", "hdrcharset", "comment"],
];

const NO_RECORDS: Records = new Map();

/** Nearly every entry: what stands in its block is all there is. */
function plainHeader(raw: RawHeader): LayerHeader | null {
  const kind = kindOf(raw.type, raw.name);
  if (kind === null) return null;
  const { name, mode, uid, gid, uname, gname, mtime, linkName, major, minor } = raw;
  const size = kind === "file" ? sizeOf(raw, NOTHING_PENDING) : 0;
  return {
    kind,
    name,
    size,
    mode,
    uid,
    gid,
    uname,
    gname,
    mtime,
    linkName,
    major,
    minor,
    records: NO_RECORDS,
  };
}

function headerOf(
  raw: RawHeader,
  globals: Records,
  { records: own, name, linkName }: Pending,
): LayerHeader | null {
  const all = new Map([...globals, ...own]);
  const fullName = textOf(all, "path") ?? name ?? raw.name;
  const kind = kindOf(raw.type, fullName);
  if ([...all.keys()].some((key) => key.startsWith("GNU.sparse.")))
    throw badLayer(`${JSON.stringify(fullName.slice(0, 100))} is a sparse file of GNU tar`);
  if (kind === null) return null;
  return {
    kind,
    name: fullName,
    linkName: textOf(all, "linkpath") ?? linkName ?? raw.linkName,
    size: kind === "file" ? sizeOf(raw, { records: own }) : 0,
    mode: raw.mode,
    uid: numberOf(all, "uid") ?? raw.uid,
    gid: numberOf(all, "gid") ?? raw.gid,
    uname: textOf(all, "uname") ?? raw.uname,
    gname: textOf(all, "gname") ?? raw.gname,
    mtime: numberOf(all, "mtime") ?? raw.mtime,
    major: raw.major,
    minor: raw.minor,
    records: new Map([...all].filter(([key]) => !FIELDS.includes(key))),
  };
}

function sizeOf({ size }: RawHeader, { records }: Pick<Pending, "records">): number {
  const said = records.size === 0 ? size : (numberOf(records, "size") ?? size);
  if (Number.isSafeInteger(said) && said >= 0) return said;
  throw badLayer("an entry has a size that no file has");
}

function textOf(records: Records, key: string): string | null {
  const value = records.get(key);
  // An empty value takes back what was said for all.
  return value === undefined || value.byteLength === 0 ? null : decodeName(value);
}

function numberOf(records: Records, key: string): number | null {
  const text = textOf(records, key);
  if (text === null) return null;
  if (/^-?\d{1,16}(?:\.\d*)?$/.test(text)) return Number(text);
  throw badLayer(`an entry has the ${key} ${JSON.stringify(text.slice(0, 50))}, which is no number`);
}
