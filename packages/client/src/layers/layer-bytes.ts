import type { BlobRef, ContentSource, IoOptions } from "../content.ts";
import { blobUnknown } from "../image.ts";
import { piecesOf } from "../streams.ts";
import { badLayer } from "./layer-error.ts";

/** A layer may unpack to this many bytes whatever its size, */
const UNPACKED_BYTES_FREE = 1024 ** 3;

/** and beyond that to this many times its own size: a bomb of zstd reaches ten times more. */
const UNPACKED_TIMES_MAX = 2_000;

/** Bytes that tell how a layer is packed. */
const MAGIC_BYTES = 4;

const GZIP = [0x1f, 0x8b];
const ZSTD = [0x28, 0xb5, 0x2f, 0xfd];
/** A zstd file may begin with a frame to be skipped (RFC 8878 section 3.1.2). */
const ZSTD_SKIPPED = [0x2a, 0x4d, 0x18];

/**
 * The tar file of a layer, unpacked as it comes. Its own first bytes say how it is packed: media types are wrong more often. The blob
 * is read to its end, so that digest and size are verified, unless the reader leaves early.
 * @throws ClientError `not-found`, `mismatch`; `invalid` when it cannot be unpacked, or is far larger than what came
 */
export async function* layerBytes(
  source: ContentSource,
  layer: BlobRef,
  options: IoOptions = {},
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const stream = await source.openBlob(layer, options);
  if (stream === null) throw blobUnknown(source, layer.digest);
  const pieces = piecesOf(stream);
  try {
    yield* unpackLayer(pieces);
  } finally {
    await pieces.return();
  }
}

/** As {@link layerBytes}, of bytes that come from elsewhere. */
export async function* unpackLayer(
  pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const first = await takeStart(pieces);
  const format = formatOf(first);
  const all = chain(first, pieces);
  if (format === null) yield* all;
  else yield* decompress(all, format);
}

type Format = "gzip" | "zstd";

function formatOf(start: Uint8Array): Format | null {
  const beginsWith = (magic: readonly number[], at = 0) =>
    magic.every((byte, index) => start[at + index] === byte);
  if (beginsWith(GZIP)) return "gzip";
  return beginsWith(ZSTD) || beginsWith(ZSTD_SKIPPED, 1) ? "zstd" : null;
}

async function takeStart(
  pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>,
): Promise<Uint8Array<ArrayBuffer>> {
  let start = new Uint8Array();
  while (start.byteLength < MAGIC_BYTES) {
    const next = await pieces.next();
    if (next.done === true) break;
    const joined = new Uint8Array(start.byteLength + next.value.byteLength);
    joined.set(start);
    joined.set(next.value, start.byteLength);
    start = joined;
  }
  return start;
}

async function* chain(
  first: Uint8Array<ArrayBuffer>,
  rest: AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  if (first.byteLength > 0) yield first;
  yield* rest;
}

async function* decompress(
  packed: AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>,
  format: Format,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const { readable, writable } = openDecompressor(format);
  const feed = { bytes: 0, failure: null as unknown };
  const feeding = feedInto(writable, packed, feed);
  const reader = readable.getReader();
  let unpacked = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw feed.failure ?? badLayer(`its ${format} is broken: ${messageOf(error)}`);
      });
      if (done) break;
      unpacked += value.byteLength;
      if (unpacked > UNPACKED_BYTES_FREE && unpacked > feed.bytes * UNPACKED_TIMES_MAX)
        throw badLayer(`it unpacks to more than ${UNPACKED_TIMES_MAX} times its size`);
      yield value;
    }
    await feeding;
    if (feed.failure !== null) throw feed.failure;
  } finally {
    await reader.cancel().catch(() => undefined);
    await feeding;
  }
}

/** Never rejects: what goes wrong is kept, and is seen at the other end. */
async function feedInto(
  writable: WritableStream<Uint8Array<ArrayBuffer>>,
  packed: AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>,
  feed: { bytes: number; failure: unknown },
): Promise<void> {
  const writer = writable.getWriter();
  writer.closed.catch(() => undefined);
  try {
    for await (const piece of packed) {
      feed.bytes += piece.byteLength;
      // Whoever unpacks has failed, or is not interested any more.
      if (!(await writer.write(piece).then(isTrue, isFalse))) return;
    }
    await writer.close().catch(() => undefined);
  } catch (error) {
    feed.failure = error;
    await writer.abort(error).catch(() => undefined);
  }
}

const isTrue = () => true;
const isFalse = () => false;

function openDecompressor(format: Format): DecompressionStream {
  try {
    return new DecompressionStream(format);
  } catch {
    throw badLayer(`it is packed with ${format}, which this JavaScript runtime cannot unpack`);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
