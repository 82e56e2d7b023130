import { archiveTooLarge, badArchive } from "./archive-error.ts";

/** A gzipped archive may unpack to this many bytes whatever its size, */
const UNPACKED_BYTES_FREE = 256 * 1024 ** 2;

/** and to this many times its own size: images reach 10, a bomb 1000. */
const UNPACKED_TIMES_MAX = 100;

/** Bytes that the unpacker gets at once. */
const FEED_BYTES_MAX = 16 * 1024;

/** The beginnings of what people pack archives with. */
const PACKINGS: readonly { readonly name: string; readonly magic: readonly number[] }[] = [
  { name: "gzip", magic: [0x1f, 0x8b] },
  { name: "zstd", magic: [0x28, 0xb5, 0x2f, 0xfd] },
  { name: "bzip2", magic: [0x42, 0x5a, 0x68] },
  { name: "xz", magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a] },
];

/** Bytes that tell how something is packed. */
const MAGIC_BYTES = 5;

/** How bytes that begin so are packed, or null. */
export function packingOf(start: Uint8Array): string | null {
  return PACKINGS.find(({ magic }) => magic.every((byte, at) => start[at] === byte))?.name ?? null;
}

/**
 * The archive, unpacked if it is gzipped. The source is not closed.
 * @throws ClientError `invalid` when it is packed in another way, or broken, or far larger than what came
 */
export async function* unpack(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const pieces = source[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let size = 0;
  while (size < MAGIC_BYTES) {
    const next = await pieces.next();
    if (next.done === true) break;
    first.push(next.value);
    size += next.value.byteLength;
  }
  const packing = packingOf(startOf(first));
  if (packing === null) yield* joined(first, pieces);
  else if (packing === "gzip") yield* gunzip(joined(first, pieces));
  else throw badArchive(`it is packed with ${packing}; wanted a tar file, as it is or gzipped`);
}

function startOf(pieces: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(
    pieces.flatMap((piece) => [...piece.subarray(0, MAGIC_BYTES)]).slice(0, MAGIC_BYTES),
  );
}

async function* joined(
  first: readonly Uint8Array[],
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  yield* first;
  for (;;) {
    const next = await rest.next();
    if (next.done === true) return;
    yield next.value;
  }
}

async function* gunzip(
  packed: AsyncGenerator<Uint8Array, void, void>,
): AsyncGenerator<Uint8Array, void, void> {
  const { readable, writable } = new DecompressionStream("gzip");
  const feed = new Feed(packed, writable);
  const feeding = feed.run();
  const reader = readable.getReader();
  let unpackedBytes = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw (
          feed.failure ??
          badArchive(`it cannot be unpacked: ${error instanceof Error ? error.message : "broken gzip"}`)
        );
      });
      if (done) break;
      unpackedBytes += value.byteLength;
      if (unpackedBytes > Math.max(UNPACKED_BYTES_FREE, feed.bytes * UNPACKED_TIMES_MAX)) {
        throw archiveTooLarge(`it unpacks to more than ${UNPACKED_TIMES_MAX} times its size`);
      }
      yield value;
    }
    await feeding;
  } finally {
    feed.stop();
    await reader.cancel().catch(() => undefined);
  }
}

/** Moves what is packed into the unpacker, as fast as that takes it. */
class Feed {
  /** Bytes so far. */
  bytes = 0;
  /** Why the source failed; what the unpacker says then is only its echo. */
  failure: unknown = null;
  #isStopped = false;
  readonly #packed: AsyncGenerator<Uint8Array, void, void>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;

  constructor(
    packed: AsyncGenerator<Uint8Array, void, void>,
    writable: WritableStream<Uint8Array<ArrayBuffer>>,
  ) {
    this.#packed = packed;
    this.#writer = writable.getWriter();
    this.#writer.closed.catch(() => undefined);
  }

  /** Never rejects: what goes wrong is seen at the other end. */
  async run(): Promise<void> {
    try {
      for (let piece = await this.#next(); piece !== null; piece = await this.#next()) {
        // In small parts: each becomes up to a thousand times as much before the bound is looked at.
        for (let at = 0; at < piece.byteLength && !this.#isStopped; at += FEED_BYTES_MAX) {
          const part = piece.slice(at, at + FEED_BYTES_MAX);
          this.bytes += part.byteLength;
          await this.#writer.write(new Uint8Array(part));
        }
      }
      if (!this.#isStopped) await this.#writer.close();
    } catch (error) {
      await this.#writer.abort(error).catch(() => undefined);
    }
  }

  async #next(): Promise<Uint8Array | null> {
    try {
      const next = await this.#packed.next();
      return next.done === true || this.#isStopped ? null : next.value;
    } catch (error) {
      this.failure = error;
      throw error;
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#writer.abort().catch(() => undefined);
  }
}
