import { constants } from "node:fs";
import { mkdir, open, opendir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { algorithmOf, DIGEST_ALGORITHMS, type Digest, hexOf, parseDigest } from "@stowage/oci/digest";
import type { ByteRange } from "@stowage/oci/range";
import { parseUploadId, type UploadId } from "@stowage/oci/upload-id";
import {
  type BlobStore,
  type ObjectIdentity,
  type StorageKey,
  type StoredObject,
  UploadLost,
  type UploadWriter,
} from "../blob-store.ts";
import { DiskReserve } from "./disk-reserve.ts";
import { mapFull, sizeOf, syncDirectory } from "./files.ts";
import { StagingBuffers } from "./staging-buffers.ts";
import { FileWriter, type WriterResources } from "./file-writer.ts";

/** Folders of blobs, below the root: one for each beginning of a digest. */
const FAN_OUT_FOLDERS: readonly string[] = DIGEST_ALGORITHMS.flatMap((algorithm) =>
  Array.from({ length: 256 }, (_, at) => `blobs/${algorithm}/${at.toString(16).padStart(2, "0")}`),
);

/**
 * Blobs as plain files below one folder:
 *
 *     <root>/
 *       uploads/<upload id>                       bytes of a session, appended to
 *       blobs/<algorithm>/<first two hex>/<hex>.<upload id>
 *                                                 a blob; the upload id is its generation
 *
 * A blob file is made by renaming a synced upload, so it is complete from the moment it has its name. The
 * 512 fan-out folders are made at start, so that a commit has one folder to sync.
 */
export class FilesystemBlobStore implements BlobStore {
  readonly #root: string;
  readonly #resources: WriterResources;

  private constructor(root: string) {
    this.#root = root;
    this.#resources = { reserve: new DiskReserve(root), buffers: new StagingBuffers() };
  }

  /**
   * Opens or creates a store below `root`.
   * @throws Error when uploads and blobs are on different filesystems, so that renaming would not be atomic
   */
  static async open(root: string): Promise<FilesystemBlobStore> {
    const uploads = join(root, "uploads");
    const blobs = join(root, "blobs");
    await mkdir(uploads, { recursive: true });
    for (const folder of FAN_OUT_FOLDERS) await mkdir(join(root, folder), { recursive: true });
    for (const algorithm of DIGEST_ALGORITHMS) await syncDirectory(join(blobs, algorithm));
    await syncDirectory(blobs);
    await syncDirectory(root);
    const devices = await Promise.all([
      stat(uploads),
      ...DIGEST_ALGORITHMS.map((name) => stat(join(blobs, name))),
    ]);
    if (devices.some((found) => found.dev !== devices[0].dev)) {
      throw new Error(
        `cannot use data folder "${root}": "uploads" and "blobs" are on different filesystems; wanted one for both`,
      );
    }
    return new FilesystemBlobStore(root);
  }

  async openUpload(id: UploadId, offset: number): Promise<UploadWriter | null> {
    const path = this.#path(this.uploadKey(id));
    const start = offset === 0 ? constants.O_TRUNC : 0;
    const handle = await mapFull(open(path, constants.O_RDWR | constants.O_CREAT | start, 0o600));
    try {
      const size = offset === 0 ? 0 : (await handle.stat()).size;
      if (size < offset) {
        await handle.close();
        return null;
      }
      if (size > offset) await handle.truncate(offset);
      return new FileWriter(path, handle, offset, this.#resources);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  uploadKey(id: UploadId): StorageKey {
    return `uploads/${id}` as StorageKey;
  }

  blobKey(digest: Digest, id: UploadId): StorageKey {
    const hex = hexOf(digest);
    return `blobs/${algorithmOf(digest)}/${hex.slice(0, 2)}/${hex}.${id}` as StorageKey;
  }

  async commitUpload(id: UploadId, key: StorageKey, size: number): Promise<void> {
    const from = this.#path(this.uploadKey(id));
    const to = this.#path(key);
    const found = sizeOf(from);
    // A crash, or a cut connection, may have come between the renaming and its acknowledgement.
    if ((found ?? sizeOf(to)) !== size) throw new UploadLost();
    if (found !== null) await mapFull(rename(from, to));
    await syncDirectory(join(to, ".."));
  }

  async open(key: StorageKey): Promise<StoredObject | null> {
    const path = this.#path(key);
    const file = Bun.file(path);
    // A missing file has size 0 here, and so has an empty blob: only then it is worth a second question.
    const size = file.size;
    if (size === 0 && sizeOf(path) === null) return null;
    return {
      size,
      body: (range?: ByteRange) => (range === undefined ? file : file.slice(range.start, range.end + 1)),
    };
  }

  async delete(key: StorageKey): Promise<void> {
    await rm(this.#path(key), { force: true });
  }

  identify(key: StorageKey): ObjectIdentity | null {
    const [, id = ""] = /^uploads\/(.+)$/.exec(key) ?? [];
    const upload = parseUploadId(id);
    if (upload !== null) return { kind: "upload", id: upload };
    const [, algorithm = "", hex = "", generation = ""] =
      /^blobs\/(\w+)\/\w\w\/(\w+)\.(\w+)$/.exec(key) ?? [];
    const digest = parseDigest(`${algorithm}:${hex}`);
    return digest === null || parseUploadId(generation) === null ? null : { kind: "blob", digest };
  }

  async *list(): AsyncIterable<StorageKey> {
    yield* this.#listFolder("uploads");
    for (const folder of FAN_OUT_FOLDERS) yield* this.#listFolder(folder);
  }

  async *#listFolder(folder: string): AsyncIterable<StorageKey> {
    for await (const entry of await opendir(join(this.#root, folder)))
      yield `${folder}/${entry.name}` as StorageKey;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Files are opened per request and closed with it.
  }

  #path(key: StorageKey): string {
    return join(this.#root, key);
  }
}
