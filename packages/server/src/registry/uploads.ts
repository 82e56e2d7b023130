import { algorithmOf, type Digest, type DigestAlgorithm } from "@stowage/oci/digest";
import { RegistryError } from "@stowage/oci/errors";
import type { ByteRange } from "@stowage/oci/range";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Identity } from "../auth/caller.ts";
import { type BlobStore, SyncFailed, UploadLost, type UploadWriter } from "../blobstore/blob-store.ts";
import type { BlobRecord, Metadata, UploadSession } from "../metadata/metadata.ts";
import { QuotaExceeded, type Room, requireRoom, roomFor } from "./quotas.ts";
import { hashObject, RunningDigest, RunningDigests } from "./running-digest.ts";
import { randomUploadId, type UploadId } from "@stowage/oci/upload-id";

/** While bytes keep coming, the session's end is put off this often, in milliseconds. */
const TOUCH_INTERVAL_MS = 60_000;

/** An upload session as the caller names it. */
export interface UploadRef {
  readonly id: UploadId;
  readonly repository: RepositoryName;
  readonly caller: Identity;
}

/** Bytes that continue a session. */
export interface Chunk {
  readonly body: AsyncIterable<Uint8Array>;
  /** Where they belong (Content-Range), or null: at the end of what is there. */
  readonly range: ByteRange | null;
  /** Bytes that are announced, or null: a stream of unknown length. */
  readonly length: number | null;
}

/** What a session shall become. */
export interface WantedBlob {
  readonly algorithm: DigestAlgorithm;
  /** Null until it is finished. */
  readonly digest: Digest | null;
}

/** The chunk does not continue the session, or another writer is at it: the client asks for the state and goes on. */
export interface OutOfOrder {
  readonly kind: "out-of-order";
  readonly offset: number;
}

/**
 * Upload sessions. The order of writes, on which durability rests: bytes first, metadata last. A session
 * advances when its bytes are synced; a blob exists when its bytes are durable under their final key.
 */
export class Uploads {
  readonly #metadata: Metadata;
  readonly #store: BlobStore;
  readonly #now: () => number;
  readonly #digests = new RunningDigests();
  /** Sessions that a request of this process is writing to. Replicas are kept apart by compare-and-set. */
  readonly #busy = new Set<UploadId>();

  constructor(metadata: Metadata, store: BlobStore, now: () => number) {
    this.#metadata = metadata;
    this.#store = store;
    this.#now = now;
  }

  /** @throws QuotaExceeded when the repository's namespace is full, before the client sends bytes in vain */
  async start(
    caller: Identity,
    repository: RepositoryName,
    { algorithm, digest }: WantedBlob,
  ): Promise<UploadRef> {
    await requireRoom(this.#metadata, repository, digest);
    const id = randomUploadId();
    await this.#metadata.uploads.start({ id, repository, principal: caller.name, algorithm });
    return { id, repository, caller };
  }

  /** Bytes acknowledged so far. @throws RegistryError BLOB_UPLOAD_UNKNOWN */
  async offset(ref: UploadRef): Promise<number> {
    const session = await this.#require(ref);
    if (session.finished !== null) throw unknownUpload(ref);
    return session.offset;
  }

  /** Digest of the bytes acknowledged so far. @throws RegistryError BLOB_UPLOAD_UNKNOWN */
  async digestSoFar(ref: UploadRef): Promise<Digest> {
    const session = await this.#require(ref);
    if (session.finished !== null) throw unknownUpload(ref);
    return session.digestSoFar ?? new RunningDigest(session.algorithm).soFar();
  }

  /**
   * Adds a chunk. When the client goes away in the middle, what arrived is kept, so that it can go on.
   * @throws RegistryError BLOB_UPLOAD_UNKNOWN, BLOB_UPLOAD_INVALID, STORAGE_FULL; QuotaExceeded, which ends the session
   */
  async append(
    ref: UploadRef,
    chunk: Chunk,
  ): Promise<OutOfOrder | { readonly kind: "advanced"; readonly offset: number }> {
    using lock = this.#lock(ref.id);
    const session = await this.#require(ref);
    if (session.finished !== null) throw unknownUpload(ref);
    if (lock === null || !continues(session, chunk)) return { kind: "out-of-order", offset: session.offset };
    return await this.#endedByExcess(session, () => this.#append(session, chunk));
  }

  async #append(
    session: UploadSession,
    chunk: Chunk,
  ): Promise<OutOfOrder | { readonly kind: "advanced"; readonly offset: number }> {
    const room = await roomFor(this.#metadata, session);
    requireFit(chunk, room);
    await using writer = await this.#openWriter(session);
    const digest = await this.#runningDigest(session, session.algorithm);
    const received = await this.#receive(session, { chunk, room }, writer, digest);
    if (received.bytes > 0) {
      await this.#syncOrDiscard(session, writer);
      const to = session.offset + received.bytes;
      const progress = { from: session.offset, to, digestSoFar: digest.soFar() };
      if (!(await this.#metadata.uploads.advance(session.id, progress)))
        return await this.#overtaken(session);
      this.#digests.keep(session.id, digest);
    }
    if (received.interrupted !== null) throw received.interrupted;
    return { kind: "advanced", offset: session.offset + received.bytes };
  }

  /**
   * Makes the session a blob, after appending `chunk` if there is one. Repeating it with the same digest gives
   * the same answer for a while. A wrong digest ends the session and leaves nothing readable.
   * @throws RegistryError BLOB_UPLOAD_UNKNOWN, DIGEST_INVALID, BLOB_UPLOAD_INVALID, STORAGE_FULL; QuotaExceeded, which
   * ends the session
   */
  async finish(
    ref: UploadRef,
    digest: Digest,
    chunk: Chunk | null,
  ): Promise<OutOfOrder | { readonly kind: "finished" }> {
    using lock = this.#lock(ref.id);
    const session = await this.#require(ref);
    if (session.finished === digest) {
      // The answer is a lease again, so it cannot be given for a blob that was collected or deleted since.
      const found = await this.#metadata.blobs.findForPush(ref.repository, digest);
      if (found === null) throw unknownUpload(ref);
      return { kind: "finished" };
    }
    if (session.finished !== null) throw unknownUpload(ref);
    const inOrder = chunk === null || continues(session, chunk);
    if (lock === null || !inOrder) return { kind: "out-of-order", offset: session.offset };
    await this.#endedByExcess(session, async () => {
      const size = await this.#complete(session, digest, chunk);
      this.#digests.drop(ref.id);
      await this.#commit(session, { digest, size, storageKey: this.#store.blobKey(digest, ref.id) });
    });
    return { kind: "finished" };
  }

  /** @throws RegistryError BLOB_UPLOAD_UNKNOWN */
  async cancel(ref: UploadRef): Promise<void> {
    await this.#require(ref);
    if (!(await this.#discard(ref.id))) throw unknownUpload(ref);
  }

  /** The last bytes and the whole digest; resolves with the blob's size once everything is synced. */
  async #complete(session: UploadSession, wanted: Digest, chunk: Chunk | null): Promise<number> {
    const algorithm = algorithmOf(wanted);
    const isAllThere = chunk === null && session.offset > 0;
    if (isAllThere && algorithm === session.algorithm) {
      await this.#requireDigest(session, wanted, session.digestSoFar);
      return session.offset;
    }
    const room = await this.#roomToFinish(session, wanted);
    if (chunk !== null) requireFit(chunk, room);
    await using writer = await this.#openWriter(session);
    const digest = await this.#runningDigest(session, algorithm);
    let size = session.offset;
    if (chunk !== null) {
      const received = await this.#receive(session, { chunk, room }, writer, digest);
      // A client that retries this request sends the same bytes again: what came of them now is dropped.
      if (received.interrupted !== null) throw received.interrupted;
      size += received.bytes;
    }
    await this.#requireDigest(session, wanted, digest.soFar());
    await this.#syncOrDiscard(session, writer);
    return size;
  }

  async #commit(session: UploadSession, blob: BlobRecord): Promise<void> {
    const { uploads } = this.#metadata;
    const uploadKey = this.#store.uploadKey(session.id);
    const prepared = await uploads.prepareFinish(session.id, blob, uploadKey);
    if (prepared === "gone") throw await this.#discarded(session);
    if (prepared === "exists") {
      await this.#store.delete(uploadKey);
      return;
    }
    try {
      await this.#store.commitUpload(session.id, blob.storageKey, blob.size);
    } catch (error) {
      // The object may or may not have its name by now: a repeated request must not find it and believe it durable.
      await Promise.allSettled([this.#store.delete(blob.storageKey), this.#discard(session.id)]);
      throw error instanceof UploadLost ? unknownUpload(session) : error;
    }
    const finished = await uploads.finish(session.id, blob).catch(async (error: unknown) => {
      if (error instanceof QuotaExceeded) await this.#store.delete(blob.storageKey);
      throw error;
    });
    if (finished === "gone") throw await this.#discarded(session);
  }

  /** A blob that the repository is charged for already may come again, however full its namespace is. */
  async #roomToFinish(session: UploadSession, wanted: Digest): Promise<Room> {
    const room = await roomFor(this.#metadata, session);
    if (room.refusal === null) return room;
    const charged = await this.#metadata.quotas.chargedBytes(session.repository, wanted);
    return { ...room, bytes: Math.max(room.bytes, (charged ?? 0) - session.offset) };
  }

  /** An upload that does not fit never will: it ends, so that its bytes do not keep others from their room. */
  async #endedByExcess<T>(session: UploadSession, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof QuotaExceeded) await this.#discard(session.id);
      throw error;
    }
  }

  async #require(ref: UploadRef): Promise<UploadSession> {
    const session = await this.#metadata.uploads.find(ref.id);
    // Somebody else's session is answered like none at all.
    if (session?.repository !== ref.repository || session.principal !== ref.caller.name)
      throw unknownUpload(ref);
    return session;
  }

  /** Exclusive use of the session in this process until disposed; null while another request has it. */
  #lock(id: UploadId): Disposable | null {
    if (this.#busy.has(id)) return null;
    this.#busy.add(id);
    return { [Symbol.dispose]: () => this.#busy.delete(id) };
  }

  /** Another replica advanced the session, or it ended while bytes came: then they are nobody's. */
  async #overtaken(ref: Pick<UploadRef, "id">): Promise<OutOfOrder> {
    this.#digests.drop(ref.id);
    const session = await this.#metadata.uploads.find(ref.id);
    if (session !== null && session.finished === null)
      return { kind: "out-of-order", offset: session.offset };
    await this.#store.delete(this.#store.uploadKey(ref.id));
    throw unknownUpload(ref);
  }

  async #openWriter(session: UploadSession): Promise<UploadWriter> {
    const writer = await this.#store.openUpload(session.id, session.offset);
    if (writer === null) throw await this.#discarded(session);
    return writer;
  }

  /** The digest of what is there: kept from the last chunk if this process had it, else read again. */
  async #runningDigest(session: UploadSession, algorithm: DigestAlgorithm): Promise<RunningDigest> {
    if (session.offset === 0) return new RunningDigest(algorithm);
    const kept = this.#digests.take(session.id);
    if (kept?.algorithm === algorithm && kept.bytes === session.offset) return kept;
    const object = await this.#store.open(this.#store.uploadKey(session.id));
    const digest = object === null ? null : await hashObject(object, algorithm, session.offset);
    if (digest === null) throw await this.#discarded(session);
    return digest;
  }

  async #receive(
    session: UploadSession,
    { chunk, room }: { readonly chunk: Chunk; readonly room: Room },
    writer: UploadWriter,
    digest: RunningDigest,
  ): Promise<{ readonly bytes: number; readonly interrupted: RegistryError | null }> {
    const bytesMax = chunk.range === null ? Number.MAX_SAFE_INTEGER : chunk.range.end - chunk.range.start + 1;
    let bytes = 0;
    let touchedAt = this.#now();
    const pieces = chunk.body[Symbol.asyncIterator]();
    for (;;) {
      const piece = await nextPiece(pieces);
      if (piece.kind === "interrupted") return { bytes, interrupted: piece.error };
      if (piece.kind === "end") break;
      bytes += piece.bytes.byteLength;
      if (bytes > bytesMax) throw wrongLength(bytesMax, "more");
      if (bytes > room.bytes && room.refusal !== null) throw room.refusal;
      digest.update(piece.bytes);
      await writer.write(piece.bytes);
      if (this.#now() - touchedAt > TOUCH_INTERVAL_MS) {
        touchedAt = this.#now();
        await this.#metadata.uploads.touch(session.id);
      }
    }
    if (chunk.range !== null && bytes < bytesMax) throw wrongLength(bytesMax, String(bytes));
    return { bytes, interrupted: null };
  }

  async #requireDigest(session: UploadSession, wanted: Digest, actual: Digest | null): Promise<void> {
    if (actual === wanted) return;
    await this.#discard(session.id);
    throw new RegistryError("DIGEST_INVALID", {
      message: `digest of the uploaded content is ${actual ?? "unknown"}; wanted ${wanted}`,
      detail: { digest: wanted },
    });
  }

  /** A failed sync leaves nobody knowing what is on the disk: it is never tried again, the session ends. */
  async #syncOrDiscard(session: UploadSession, writer: UploadWriter): Promise<void> {
    try {
      await writer.sync();
    } catch (error) {
      if (error instanceof SyncFailed) await this.#discard(session.id);
      throw error;
    }
  }

  async #discarded(session: UploadSession): Promise<RegistryError> {
    await this.#discard(session.id);
    return unknownUpload(session);
  }

  /** Ends the session, if it is still open, and deletes its bytes; what a crash leaves here has a tombstone. */
  async #discard(id: UploadId): Promise<boolean> {
    this.#digests.drop(id);
    const uploadKey = this.#store.uploadKey(id);
    const ended = await this.#metadata.uploads.cancel(id, uploadKey);
    await this.#store.delete(uploadKey);
    return ended;
  }
}

type Piece =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "end" }
  | { readonly kind: "interrupted"; readonly error: RegistryError };

/** The next bytes of a body. Only reading is guarded: a failure to store them is not the client's. */
async function nextPiece(pieces: AsyncIterator<Uint8Array>): Promise<Piece> {
  try {
    const next = await pieces.next();
    return next.done ? { kind: "end" } : { kind: "bytes", bytes: next.value };
  } catch (cause) {
    if (cause instanceof RegistryError) return { kind: "interrupted", error: cause };
    const message = "the request body ended before it was complete";
    return { kind: "interrupted", error: new RegistryError("BLOB_UPLOAD_INVALID", { message, cause }) };
  }
}

function continues(session: UploadSession, chunk: Chunk): boolean {
  return chunk.range === null || chunk.range.start === session.offset;
}

/** Refuses what says itself that it is too much, before a byte of it is read. */
function requireFit({ length }: Chunk, room: Room): void {
  if (length !== null && length > room.bytes && room.refusal !== null) throw room.refusal;
}

function wrongLength(wanted: number, actual: string): RegistryError {
  return new RegistryError("BLOB_UPLOAD_INVALID", {
    message: `the chunk has ${actual} bytes; wanted ${wanted} as Content-Range says`,
  });
}

function unknownUpload(ref: { readonly id: UploadId }): RegistryError {
  return new RegistryError("BLOB_UPLOAD_UNKNOWN", {
    message: "no such upload session in this repository: start over with POST",
    detail: { upload: ref.id },
  });
}
