import { algorithmOf, type Digest, hexOf, parseDigest } from "@stowage/oci/digest";
import type { ByteRange } from "@stowage/oci/range";
import { parseUploadId, type UploadId } from "@stowage/oci/upload-id";
import {
  type BlobStore,
  type ObjectIdentity,
  type StorageKey,
  type StoredObject,
  UploadLost,
  type UploadWriter,
} from "./blob-store.ts";

/** Keeps everything in this process: for tests and `--ephemeral` registries. */
export class MemoryBlobStore implements BlobStore {
  readonly #objects = new Map<string, Blob>();

  async openUpload(id: UploadId, offset: number): Promise<UploadWriter | null> {
    const key = this.uploadKey(id);
    const held = this.#objects.get(key) ?? new Blob([]);
    if (held.size < offset) return null;
    this.#objects.set(key, held.slice(0, offset));
    return new MemoryWriter((chunks) => {
      const before = this.#objects.get(key);
      if (before !== undefined) this.#objects.set(key, new Blob([before, ...chunks]));
    });
  }

  uploadKey(id: UploadId): StorageKey {
    return `uploads/${id}` as StorageKey;
  }

  blobKey(digest: Digest, id: UploadId): StorageKey {
    return `blobs/${algorithmOf(digest)}/${hexOf(digest)}.${id}` as StorageKey;
  }

  async commitUpload(id: UploadId, key: StorageKey, size: number): Promise<void> {
    const uploadKey = this.uploadKey(id);
    const blob = this.#objects.get(uploadKey) ?? this.#objects.get(key);
    if (blob?.size !== size) throw new UploadLost();
    this.#objects.set(key, blob);
    this.#objects.delete(uploadKey);
  }

  async open(key: StorageKey): Promise<StoredObject | null> {
    const blob = this.#objects.get(key);
    if (blob === undefined) return null;
    return {
      size: blob.size,
      body: (range?: ByteRange) => (range === undefined ? blob : blob.slice(range.start, range.end + 1)),
    };
  }

  async delete(key: StorageKey): Promise<void> {
    this.#objects.delete(key);
  }

  async *list(): AsyncIterable<StorageKey> {
    for (const key of this.#objects.keys()) yield key as StorageKey;
  }

  identify(key: StorageKey): ObjectIdentity | null {
    const [, id = ""] = /^uploads\/(.+)$/.exec(key) ?? [];
    const upload = parseUploadId(id);
    if (upload !== null) return { kind: "upload", id: upload };
    const [, algorithm = "", hex = ""] = /^blobs\/(\w+)\/(\w+)\./.exec(key) ?? [];
    const digest = parseDigest(`${algorithm}:${hex}`);
    return digest === null ? null : { kind: "blob", digest };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#objects.clear();
  }
}

/** Adds what was written to its object when it is synced. */
class MemoryWriter implements UploadWriter {
  readonly #append: (chunks: readonly Blob[]) => void;
  #chunks: Blob[] = [];

  constructor(append: (chunks: readonly Blob[]) => void) {
    this.#append = append;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#chunks.push(new Blob([chunk.slice()]));
  }

  async sync(): Promise<void> {
    this.#append(this.#chunks);
    this.#chunks = [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#chunks = [];
  }
}
