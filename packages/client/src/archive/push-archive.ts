import type { Digest, DigestAlgorithm } from "@stowage/oci/digest";
import type { BlobRef, IoOptions, RawManifest } from "../content.ts";
import { ClientError } from "../client-error.ts";

/** An upload session of a registry: it becomes a blob when it is finished, and nothing when it is cancelled. */
export interface ArchiveUpload {
  append(bytes: ReadableStream<Uint8Array<ArrayBuffer>>, options?: IoOptions): Promise<unknown>;
  finish(digest: Digest, options?: IoOptions): Promise<unknown>;
  cancel(): Promise<unknown>;
}

/** What of a repository an import needs; the client's `Repository` has it. */
export interface ArchiveRepository {
  readonly label: string;
  headBlob(digest: Digest, options?: IoOptions): Promise<BlobRef | null>;
  startUpload(
    options?: IoOptions & { readonly algorithm?: DigestAlgorithm | undefined },
  ): Promise<ArchiveUpload>;
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

/** What an import has put. */
export interface ImportedImage {
  readonly digest: Digest;
  readonly mediaType: string;
  /** What the archive calls it. */
  readonly names: readonly string[];
  readonly blobs: { readonly copied: number; readonly existed: number };
  /** Bytes of blobs that were sent. */
  readonly bytes: number;
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
  void [archive, options];
  throw new ClientError("invalid", `cannot push to ${repository.label}: archives come with the next commit`);
}
