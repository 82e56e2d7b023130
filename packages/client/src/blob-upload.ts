import { algorithmOf } from "@stowage/oci/digest";
import { ClientError } from "./client-error.ts";
import type { BlobRef, OpenBytes, PutBlobOptions } from "./content.ts";
import { piecesOf } from "./streams.ts";
import { startUpload, type UploadPlace, type UploadSession } from "./upload-session.ts";
import { backoffMs } from "./wait.ts";

/** Chunk of a runtime that cannot send streams, in bytes; the registry may ask for longer ones. */
const CHUNK_BYTES = 8 * 1024 * 1024;
const CHUNK_BYTES_MAX = 1024 ** 3;

export interface BlobUpload {
  readonly blob: BlobRef;
  readonly open: OpenBytes;
  /** A session that there is already: of a mount that became one. */
  readonly session: UploadSession | null;
  /** Whether the blob has arrived after all, although no answer said so. */
  readonly isThere: () => Promise<boolean>;
  /** False where requests cannot be streams, as in browsers: then it goes in chunks. */
  readonly canStream: boolean;
  readonly options: PutBlobOptions;
}

/**
 * Writes a blob: in one PUT, and when the connection breaks in chunks from where it broke. The registry checks the digest at
 * its end. @throws ClientError, after which nothing of the upload is left
 */
export async function uploadBlob(place: UploadPlace, upload: BlobUpload): Promise<void> {
  const { blob, options } = upload;
  const { connection } = place;
  const { signal } = options;
  const start = () => startUpload(place, { algorithm: algorithmOf(blob.digest), signal });
  const meter = new Meter(options.onBytes);
  let session = upload.session ?? (await start());
  // What is lost again and again is no progress.
  let farthest = 0;
  for (let attempt = 1; ; attempt++) {
    try {
      await sendRest(session, upload, meter);
      return;
    } catch (error) {
      if (session.offset > farthest) attempt = 1;
      farthest = Math.max(farthest, session.offset);
      if (!isWorthResuming(error) || attempt > connection.retriesMax) {
        await session.cancel().catch(() => undefined);
        throw error;
      }
    }
    await connection.clock.wait(backoffMs(attempt), signal);
    const offset = await session.recover({ signal });
    if (offset === null) {
      if (await upload.isThere()) return;
      session = await start();
    }
    meter.backTo(session.offset);
  }
}

/** The source may be what broke; what it says of its bytes (`mismatch`, `not-found`) is final. */
function isWorthResuming(error: unknown): boolean {
  if (!(error instanceof ClientError)) return false;
  const { kind, status, code } = error;
  return (
    kind === "network" ||
    kind === "limited" ||
    kind === "server" ||
    status === 416 ||
    code === "BLOB_UPLOAD_UNKNOWN"
  );
}

async function sendRest(
  session: UploadSession,
  { blob, open, canStream, options }: BlobUpload,
  meter: Meter,
): Promise<void> {
  const { signal } = options;
  const from = session.offset;
  if (from >= blob.size) return await session.finish(blob.digest, null, { signal });
  if (!canStream) {
    await sendChunks(session, { blob, open, signal, meter });
    return await session.finish(blob.digest, null, { signal });
  }
  const rest = {
    // A second time after a 401, which does not count twice.
    open: async () => {
      meter.backTo(from);
      const stream = await open(from);
      // Each piece that goes through costs: without anybody who counts it goes as it comes.
      return options.onBytes === undefined ? stream : meter.count(stream);
    },
    size: blob.size - from,
  };
  try {
    if (from === 0) return await session.finish(blob.digest, rest, { signal });
    await session.append(rest, { signal });
  } catch (error) {
    // fetch says only that its body failed; the body knows why.
    throw meter.failure ?? error;
  }
  await session.finish(blob.digest, null, { signal });
}

async function sendChunks(
  session: UploadSession,
  {
    blob,
    open,
    signal,
    meter,
  }: Pick<BlobUpload, "blob" | "open"> & { readonly signal: AbortSignal | undefined; readonly meter: Meter },
): Promise<void> {
  const length = Math.min(
    Math.max(CHUNK_BYTES, session.chunkBytesMin),
    CHUNK_BYTES_MAX,
    blob.size - session.offset,
  );
  const chunk = new Uint8Array(length);
  let filled = 0;
  for await (let piece of piecesOf(await open(session.offset))) {
    while (piece.byteLength > 0) {
      const part = piece.subarray(0, length - filled);
      chunk.set(part, filled);
      filled += part.byteLength;
      piece = piece.subarray(part.byteLength);
      if (filled < length) continue;
      await session.append(chunk, { signal });
      meter.add(filled);
      filled = 0;
    }
  }
  if (filled === 0) return;
  await session.append(chunk.subarray(0, filled), { signal });
  meter.add(filled);
}

/** Counts what goes over the wire, and what has to go again. */
class Meter {
  readonly #tell: (count: number) => void;
  #sent = 0;
  /** What the source failed with, or null. */
  failure: unknown = null;

  constructor(tell: ((count: number) => void) | undefined) {
    this.#tell = tell ?? (() => undefined);
  }

  add(count: number): void {
    this.#sent += count;
    if (count !== 0) this.#tell(count);
  }

  backTo(offset: number): void {
    this.failure = null;
    this.add(offset - this.#sent);
  }

  count(stream: ReadableStream<Uint8Array<ArrayBuffer>>): ReadableStream<Uint8Array<ArrayBuffer>> {
    const reader = stream.getReader();
    return new ReadableStream(
      {
        pull: async (controller) => {
          const { done, value } = await reader.read().catch((error: unknown) => {
            this.failure = error;
            throw error;
          });
          if (done) return controller.close();
          this.add(value.byteLength);
          controller.enqueue(value);
        },
        cancel: (reason) => reader.cancel(reason),
      },
      { highWaterMark: 0 },
    );
  }
}
