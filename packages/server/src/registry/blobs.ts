import type { Digest } from "@stowage/oci/digest";
import { RegistryError } from "@stowage/oci/errors";
import type { RepositoryName } from "@stowage/oci/repository-name";
import { breathe } from "./breathe.ts";
import { EMPTY_LAYER, EMPTY_LAYER_OBJECT } from "./empty-layer.ts";
import type { BlobStore, StoredObject } from "../blobstore/blob-store.ts";
import type { BlobRecord, Metadata } from "../metadata/metadata.ts";

/** Repositories that are tried for a mount that names no source. */
const MOUNT_CANDIDATES_MAX = 20;

/**
 * "No" to a mount without a source comes at a multiple of this, in milliseconds: how long looking took would tell whether
 * repositories that the caller may not see have the blob. An upload follows, which takes longer anyway.
 */
const MOUNT_REFUSAL_STEP_MS = 5;

export interface MountRequest {
  readonly digest: Digest;
  readonly to: RepositoryName;
  /** Null: any repository that has the blob and that the caller may pull from. */
  readonly from: RepositoryName | null;
  readonly mayPull: (repository: RepositoryName) => boolean;
  /** Nothing is hidden from the caller. */
  readonly mayPullEverything: boolean;
}

export interface BlobsOptions {
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** Every repository has the empty layer of schema 1, whether somebody pushed it or not. */
  readonly showsEmptyLayer: boolean;
}

/** Blobs as a repository shows them. */
export class Blobs {
  readonly #metadata: Metadata;
  readonly #store: BlobStore;
  readonly #options: BlobsOptions;

  constructor(metadata: Metadata, store: BlobStore, options: BlobsOptions) {
    this.#metadata = metadata;
    this.#store = store;
    this.#options = options;
  }

  /**
   * What is known of the blob, without touching its bytes. For a pusher the answer is a lease: the blob stays
   * usable for a manifest that is pushed next.
   * @throws RegistryError BLOB_UNKNOWN
   */
  async require(
    repository: RepositoryName,
    digest: Digest,
    options: { readonly forPush: boolean },
  ): Promise<Pick<BlobRecord, "size">> {
    const { blobs } = this.#metadata;
    const found = options.forPush
      ? await blobs.findForPush(repository, digest)
      : await blobs.find(repository, digest);
    if (found !== null) return found;
    if (this.#isShown(digest)) return EMPTY_LAYER_OBJECT;
    throw unknownBlob(digest);
  }

  /**
   * The blob's bytes.
   * @throws RegistryError BLOB_UNKNOWN; Error when the bytes are missing or not as many as were stored
   */
  async open(repository: RepositoryName, digest: Digest): Promise<StoredObject> {
    const record = await this.#metadata.blobs.find(repository, digest);
    if (record === null && this.#isShown(digest)) return EMPTY_LAYER_OBJECT;
    if (record === null) throw unknownBlob(digest);
    const object = await this.#store.open(record.storageKey);
    if (object?.size !== record.size) {
      throw new Error(`blob ${digest} has ${object?.size ?? "no"} bytes in the store; wanted ${record.size}`);
    }
    return object;
  }

  #isShown(digest: Digest): boolean {
    return digest === EMPTY_LAYER && this.#options.showsEmptyLayer;
  }

  /** Makes a blob of another repository readable through this one; null when that cannot be. */
  async mount(request: MountRequest): Promise<BlobRecord | null> {
    const startedAt = this.#options.monotonic();
    const { blobs } = this.#metadata;
    const candidates =
      request.from === null
        ? await blobs.repositoriesWith(request.digest, MOUNT_CANDIDATES_MAX)
        : [request.from];
    for (const from of candidates) {
      if (!request.mayPull(from)) continue;
      const mounted = await blobs.mount(request.digest, from, request.to);
      if (mounted !== null) return mounted;
    }
    if (request.from === null && !request.mayPullEverything) await this.#hideHowLong(startedAt);
    return null;
  }

  async #hideHowLong(startedAt: number): Promise<void> {
    const { monotonic, sleep } = this.#options;
    const took = monotonic() - startedAt;
    const until = startedAt + MOUNT_REFUSAL_STEP_MS * (Math.floor(took / MOUNT_REFUSAL_STEP_MS) + 1);
    await sleep(Math.max(0, Math.floor(until - monotonic()) - 1));
    // A timer is exact to a millisecond, which would tell it again.
    while (monotonic() < until) await breathe();
  }

  /**
   * Takes the blob out of the repository.
   * @throws RegistryError BLOB_UNKNOWN, or BLOB_IN_USE while a manifest of the repository needs it
   */
  async delete(repository: RepositoryName, digest: Digest): Promise<void> {
    const result = await this.#metadata.blobs.unlink(repository, digest);
    if (result === "absent") throw unknownBlob(digest);
    if (result === "in-use") {
      throw new RegistryError("BLOB_IN_USE", {
        message: `cannot delete blob ${digest}: a manifest of "${repository}" refers to it; delete the manifest first`,
        headers: { Allow: "GET, HEAD" },
      });
    }
  }
}

function unknownBlob(digest: Digest): RegistryError {
  return new RegistryError("BLOB_UNKNOWN", { detail: { digest } });
}
