import type { Digest, DigestAlgorithm } from "@stowage/oci/digest";
import type { BlobRef, IoOptions, RawManifest } from "../content.ts";
import { plainBytes } from "./plain-bytes.ts";
import { ClientError } from "../client-error.ts";
import { createHasher, type Hasher } from "../hasher.ts";
import type { ChunkBody } from "../upload-session.ts";
import { streamOf } from "../streams.ts";
import {
  importArchive,
  type ImportedImage,
  type ImportPort,
  type OpenUpload,
  type SizedBytes,
} from "./import-archive.ts";

export type { ImportedImage } from "./import-archive.ts";

/** An upload session of a registry: it becomes a blob when it is finished, and nothing when it is cancelled. */
export interface ArchiveUpload {
  append(chunk: ChunkBody, options?: IoOptions): Promise<unknown>;
  finish(digest: Digest, last?: null, options?: IoOptions): Promise<unknown>;
  cancel(): Promise<unknown>;
}

/** What of a repository an import needs; {@link Repository} has it. */
export interface ArchiveRepository {
  readonly label: string;
  headBlob(digest: Digest, options?: IoOptions): Promise<BlobRef | null>;
  startUpload(options?: IoOptions & { readonly algorithm?: DigestAlgorithm }): Promise<ArchiveUpload>;
  putManifest(
    manifest: RawManifest,
    options?: IoOptions & { readonly tags?: readonly string[] },
  ): Promise<unknown>;
}

export interface PushArchiveOptions extends IoOptions {
  /** Tags that the image gets; without any it is only found by its digest. */
  readonly tags: readonly string[];
  /** Which image of several: one of its names, or its digest; null: the only one. */
  readonly image?: string | null | undefined;
  /** The image must have this digest. */
  readonly digest?: Digest | null | undefined;
}

/**
 * Pushes an image from an archive (`docker save`, podman, skopeo, crane; OCI archive or docker-archive, perhaps gzipped)
 * while it comes, for example from standard input: no copy of the whole is made. Each file that can be a blob goes into
 * an open upload session; these are finished, and the manifests put, when the archive has ended and everything in it is right.
 * Otherwise all of them are cancelled and nothing is left.
 * @throws ClientError `invalid`: not an archive, ambiguous, broken off, too much of something, several images and none chosen;
 * `mismatch`: a digest or size is not what it should be; and what the repository throws
 */
export async function pushArchive(
  archive: AsyncIterable<Uint8Array>,
  repository: ArchiveRepository,
  options: PushArchiveOptions,
): Promise<ImportedImage> {
  const { tags, image = null, digest = null } = options;
  const port = new RepositoryPort(repository, options);
  const [, path = null] = /^[^/]+\/(.+)$/.exec(repository.label) ?? [];
  return await importArchive(archive, port, { image, digest, repository: path, tag: tags[0] ?? null });
}

class RepositoryPort implements ImportPort {
  readonly #repository: ArchiveRepository;
  readonly #options: PushArchiveOptions;

  constructor(repository: ArchiveRepository, options: PushArchiveOptions) {
    this.#repository = repository;
    this.#options = options;
  }

  keep(): void {
    // One archive is bounded, and this is the only one.
  }

  async hasBlob(digest: Digest): Promise<boolean> {
    return (await this.#repository.headBlob(digest, this.#io())) !== null;
  }

  async upload(algorithm: DigestAlgorithm, { bytes, size }: SizedBytes): Promise<OpenUpload> {
    const session = await this.#repository.startUpload({ ...this.#io(), algorithm });
    const hasher = createHasher(algorithm);
    try {
      if (size > 0)
        await session.append({ open: onlyOnce(streamOf(hashed(bytes, hasher))), size }, this.#io());
    } catch (error) {
      await session.cancel().catch(() => undefined);
      throw error;
    }
    const digest = hasher.digest();
    const finish = async () => void (await session.finish(digest, null, this.#io()));
    return { digest, finish, cancel: async () => void (await session.cancel()) };
  }

  async admit(): Promise<void> {
    // A registry says what it minds when the manifest comes.
  }

  async putManifest(manifest: RawManifest, isRoot: boolean): Promise<void> {
    const tags = isRoot ? this.#options.tags : [];
    await this.#repository.putManifest(manifest, { ...this.#io(), tags });
  }

  #io(): IoOptions {
    this.#options.signal?.throwIfAborted();
    return { signal: this.#options.signal };
  }
}

/** What comes from a pipe cannot be sent again. */
function onlyOnce(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): () => Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  let isOpened = false;
  return async () => {
    if (isOpened)
      throw new ClientError("network", "the connection broke; an archive from a pipe cannot be read again");
    isOpened = true;
    return stream;
  };
}

async function* hashed(
  pieces: AsyncGenerator<Uint8Array, void, void>,
  hasher: Hasher,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  for await (const piece of pieces) {
    hasher.update(piece);
    yield plainBytes(piece);
  }
}
