import type { Descriptor } from "@stowage/oci/descriptor";
import type { Digest } from "@stowage/oci/digest";

/** A manifest as it is stored: its bytes are never parsed and written again, because its digest would change. */
export interface RawManifest {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface IoOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Digest and size of bytes that somebody is about to read or write; a whole {@link Descriptor} is one as well. */
export type BlobRef = Pick<Descriptor, "digest" | "size">;

/** Opens the bytes of a blob from an offset on. Who calls it reads the stream to its end or cancels it. */
export type OpenBytes = (offset: number) => Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;

/**
 * Where images can be read: a repository of a registry, an OCI layout, an archive. References are tags, digests, or null:
 * the only image that is there.
 */
export interface ContentSource {
  /** What people call it, for messages: `localhost:5000/team/app`, `oci:./folder`. */
  readonly label: string;
  /** The manifest, verified when asked for by digest; null when there is none. */
  getManifest(reference: string | null, options?: IoOptions): Promise<RawManifest | null>;
  /**
   * The bytes of a blob from `offset` on; null when there is none. A stream from 0 ends only when digest and size are
   * right; a ClientError of kind `mismatch` is its error otherwise.
   */
  openBlob(
    blob: BlobRef,
    options?: IoOptions & { readonly offset?: number },
  ): Promise<ReadableStream<Uint8Array<ArrayBuffer>> | null>;
  /** Manifests whose subject is `digest`. */
  referrers(
    digest: Digest,
    options?: IoOptions & { readonly artifactType?: string | undefined },
  ): AsyncIterable<Descriptor>;
  /** All tags, in the order of the source. */
  tags(options?: IoOptions): AsyncIterable<string>;
}

export interface PutBlobOptions extends IoOptions {
  /** Called with the bytes that were written since the last call; negative when some have to be sent again. */
  readonly onBytes?: ((count: number) => void) | undefined;
}

/** Where images can be written. Blobs first, then the manifests that name them. */
export interface ContentTarget {
  readonly label: string;
  hasBlob(blob: BlobRef, options?: IoOptions): Promise<boolean>;
  /** Digest and type of what a tag or digest names now; null when nothing. */
  headManifest(reference: string, options?: IoOptions): Promise<ManifestHead | null>;
  /** Takes the blob over from `source` without moving bytes, if both can; false: the bytes have to be put. */
  mountBlob(blob: BlobRef, source: ContentSource, options?: IoOptions): Promise<boolean>;
  /** Writes a blob; what is there afterwards has that digest and size. `open` may be called again, from where it broke. */
  putBlob(blob: BlobRef, open: OpenBytes, options?: PutBlobOptions): Promise<void>;
  /** Writes a manifest under its digest and each of `tags`. */
  putManifest(
    manifest: RawManifest,
    options?: IoOptions & { readonly tags?: readonly string[] },
  ): Promise<void>;
}

export interface ManifestHead {
  readonly digest: Digest;
  readonly mediaType: string;
  /** Bytes; null when the registry does not say. */
  readonly size: number | null;
}

/** A target has an end: what it holds is complete (an archive's index is written) once this has been called. */
export interface ClosableTarget extends ContentTarget {
  close(): Promise<void>;
}
