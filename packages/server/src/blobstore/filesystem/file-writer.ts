import type { FileHandle } from "node:fs/promises";
import { RegistryError } from "@stowage/oci/errors";
import type { UploadWriter } from "../blob-store.ts";
import type { DiskReserve } from "./disk-reserve.ts";
import { mapFull, mapSyncFailure } from "./files.ts";

/** Bytes that are gathered before they are handed to the kernel in one call. */
const BATCH_BYTES = 1024 * 1024;

/** Chunks of a batch at most: the kernel takes no more than 1,024 in one call (IOV_MAX). */
const BATCH_CHUNKS_MAX = 512;

/**
 * Appends to one file. Network chunks are gathered into batches, and one batch is written while the next is
 * gathered: a writer holds at most two batches in memory.
 */
export class FileWriter implements UploadWriter {
  readonly #handle: FileHandle;
  readonly #reserve: DiskReserve;
  /** Where the next batch goes. */
  #position: number;
  /** Bytes that are known to be durable. */
  #synced: number;
  #batch: Uint8Array[] = [];
  #batchBytes = 0;
  #inFlight: Promise<void> = Promise.resolve();

  /** Takes over `handle`; appends from `position` on. */
  constructor(handle: FileHandle, position: number, reserve: DiskReserve) {
    this.#handle = handle;
    this.#position = position;
    this.#synced = position;
    this.#reserve = reserve;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#batch.push(chunk);
    this.#batchBytes += chunk.byteLength;
    if (this.#batchBytes >= BATCH_BYTES || this.#batch.length >= BATCH_CHUNKS_MAX) await this.#flush();
  }

  async sync(): Promise<void> {
    await this.#flush();
    await this.#inFlight;
    const end = this.#position;
    await mapSyncFailure(this.#handle.datasync());
    this.#synced = end;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inFlight.catch(() => null);
    // Bytes of a refused push must not fill the disk until their session ends.
    if (this.#position > this.#synced) await this.#handle.truncate(this.#synced).catch(() => null);
    await this.#handle.close();
  }

  /** Starts writing the batch once the one before it is done. */
  async #flush(): Promise<void> {
    const batch = this.#batch;
    const bytes = this.#batchBytes;
    if (bytes === 0) return;
    this.#batch = [];
    this.#batchBytes = 0;
    await this.#inFlight;
    const position = this.#position;
    this.#position += bytes;
    this.#inFlight = this.#writeBatch(batch, position, bytes);
    // Its failure is thrown where it is awaited next; until then it must not count as unhandled.
    this.#inFlight.catch(() => null);
  }

  async #writeBatch(batch: readonly Uint8Array[], position: number, bytes: number): Promise<void> {
    await this.#reserve.take(bytes);
    const { bytesWritten } = await mapFull(this.#handle.writev([...batch], position));
    // A short write means a disk that is nearly full: writing the rest finds out, or succeeds.
    const rest = bytesWritten === bytes ? null : Buffer.concat(batch).subarray(bytesWritten);
    for (let done = 0; rest !== null && done < rest.byteLength;) {
      const { bytesWritten: more } = await mapFull(
        this.#handle.write(rest, done, rest.byteLength - done, position + bytesWritten + done),
      );
      if (more === 0) throw new RegistryError("STORAGE_FULL");
      done += more;
    }
    batch.forEach(release);
  }
}

/**
 * Gives the memory of a written chunk back now. Left to the garbage collector, the chunks of one large upload
 * double the memory of the process before it looks.
 */
function release({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}
