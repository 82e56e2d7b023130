import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { RegistryError } from "@stowage/oci/errors";
import type { UploadWriter } from "../blob-store.ts";
import type { DiskReserve } from "./disk-reserve.ts";
import { hasCode, mapFull, mapSyncFailure } from "./files.ts";
import { DIRECT_ALIGNMENT, STAGING_BYTES, type StagingBuffers } from "./staging-buffers.ts";

/** Writes that are under way while the next buffer is filled: a writer holds one buffer more than this. */
const WRITES_IN_FLIGHT_MAX = 2;

/** What all writers of a store share. */
export interface WriterResources {
  readonly reserve: DiskReserve;
  readonly buffers: StagingBuffers;
}

/**
 * Appends to one file. Network chunks are copied into aligned buffers, and full buffers go past the page cache
 * (O_DIRECT) to the disk: a large upload then takes no memory for pages that nobody reads yet, pushes nothing out
 * of the cache that is being pulled, and leaves its final sync nothing to do. What does not fill a buffer, and
 * filesystems without O_DIRECT, go the ordinary way.
 */
export class FileWriter implements UploadWriter {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #resources: WriterResources;
  /** Undefined until it is needed, null where there is none. */
  #direct: Promise<FileHandle | null> | undefined;
  #staging: Uint8Array | null = null;
  #filled = 0;
  /** Where the buffer that is being filled goes. */
  #position: number;
  /** Bytes of the file that are known to be durable. */
  #synced: number;
  #writes: Promise<void>[] = [];

  /** Takes over `handle`, which is open for writing at `path`; appends from `position` on. */
  constructor(path: string, handle: FileHandle, position: number, resources: WriterResources) {
    this.#path = path;
    this.#handle = handle;
    this.#position = position;
    this.#synced = position;
    this.#resources = resources;
  }

  async write(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.byteLength;) {
      this.#staging ??= this.#resources.buffers.take();
      // After an odd offset the first buffer ends at an aligned one, so that the following are aligned.
      const capacity = STAGING_BYTES - (this.#position % DIRECT_ALIGNMENT);
      const part = chunk.subarray(at, at + capacity - this.#filled);
      this.#staging.set(part, this.#filled);
      this.#filled += part.byteLength;
      at += part.byteLength;
      if (this.#filled === capacity) await this.#flush();
    }
    release(chunk);
  }

  async sync(): Promise<void> {
    await this.#flush();
    while (this.#writes.length > 0) await this.#writes.shift();
    await mapSyncFailure(this.#handle.datasync());
    this.#synced = this.#position;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#writes);
    if (this.#staging !== null) this.#resources.buffers.give(this.#staging);
    await (await this.#direct)?.close();
    // Bytes of a refused push must not fill the disk until their session ends.
    if (this.#position > this.#synced) await this.#handle.truncate(this.#synced).catch(() => null);
    await this.#handle.close();
  }

  /** Starts writing what is in the buffer, once there is room for one more write. */
  async #flush(): Promise<void> {
    const staging = this.#staging;
    if (staging === null || this.#filled === 0) return;
    const position = this.#position;
    const bytes = staging.subarray(0, this.#filled);
    this.#staging = null;
    this.#filled = 0;
    this.#position += bytes.byteLength;
    const write = this.#writeBytes(bytes, position).finally(() => this.#resources.buffers.give(staging));
    // A failure is thrown where the write is awaited; until then it must not count as unhandled.
    write.catch(() => null);
    this.#writes.push(write);
    while (this.#writes.length > WRITES_IN_FLIGHT_MAX) await this.#writes.shift();
  }

  async #writeBytes(bytes: Uint8Array, position: number): Promise<void> {
    await this.#resources.reserve.take(bytes.byteLength);
    const isFull = position % DIRECT_ALIGNMENT === 0 && bytes.byteLength === STAGING_BYTES;
    const direct = isFull ? await this.#openDirect() : null;
    let done = direct === null ? 0 : await this.#writeDirect(direct, bytes, position);
    while (done < bytes.byteLength) {
      const { bytesWritten } = await mapFull(
        this.#handle.write(bytes, done, bytes.byteLength - done, position + done),
      );
      if (bytesWritten === 0) throw new RegistryError("STORAGE_FULL");
      done += bytesWritten;
    }
  }

  /** How many bytes went past the cache; the rest, after a short write or on a filesystem that minds, goes through it. */
  async #writeDirect(direct: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
    try {
      return (await mapFull(direct.write(bytes, 0, bytes.byteLength, position))).bytesWritten;
    } catch (error) {
      if (!hasCode(error, "EINVAL")) throw error;
      return 0;
    }
  }

  #openDirect(): Promise<FileHandle | null> {
    this.#direct ??= open(this.#path, constants.O_WRONLY | constants.O_DIRECT).catch(() => null);
    return this.#direct;
  }
}

/**
 * Gives the memory of a copied chunk back now. Left to the garbage collector, the chunks of one large upload double
 * the memory of the process before it looks.
 */
function release({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}
