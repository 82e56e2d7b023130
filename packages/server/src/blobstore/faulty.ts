import type { Digest } from "@stowage/oci/digest";
import type { UploadId } from "@stowage/oci/upload-id";
import type { BlobStore, ObjectIdentity, StorageKey, StoredObject, UploadWriter } from "./blob-store.ts";

/** Decides whether the next operation fails: gets its name, and throws the failure. */
export type Fault = (operation: string) => void;

/** A store that fails on demand, before or instead of the real operation: for tests of what a bad disk does. */
export class FaultyBlobStore implements BlobStore {
  readonly #store: BlobStore;
  readonly #fault: Fault;

  constructor(store: BlobStore, fault: Fault) {
    this.#store = store;
    this.#fault = fault;
  }

  async openUpload(id: UploadId, offset: number): Promise<UploadWriter | null> {
    this.#fault("openUpload");
    const writer = await this.#store.openUpload(id, offset);
    return writer === null ? null : new FaultyWriter(writer, this.#fault);
  }

  uploadKey(id: UploadId): StorageKey {
    return this.#store.uploadKey(id);
  }

  blobKey(digest: Digest, id: UploadId): StorageKey {
    return this.#store.blobKey(digest, id);
  }

  async commitUpload(id: UploadId, key: StorageKey, size: number): Promise<void> {
    this.#fault("commitUpload");
    await this.#store.commitUpload(id, key, size);
  }

  async open(key: StorageKey): Promise<StoredObject | null> {
    this.#fault("open");
    return await this.#store.open(key);
  }

  async delete(key: StorageKey): Promise<void> {
    this.#fault("delete");
    await this.#store.delete(key);
  }

  identify(key: StorageKey): ObjectIdentity | null {
    return this.#store.identify(key);
  }

  async *list(): AsyncIterable<StorageKey> {
    this.#fault("list");
    yield* this.#store.list();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]();
  }
}

class FaultyWriter implements UploadWriter {
  readonly #writer: UploadWriter;
  readonly #fault: Fault;

  constructor(writer: UploadWriter, fault: Fault) {
    this.#writer = writer;
    this.#fault = fault;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#fault("write");
    await this.#writer.write(chunk);
  }

  async sync(): Promise<void> {
    this.#fault("sync");
    await this.#writer.sync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]();
  }
}
