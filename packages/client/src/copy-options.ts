import type { Platform } from "@stowage/oci/descriptor";
import type { Digest } from "@stowage/oci/digest";

export type ProgressEvent =
  | { readonly kind: "start"; readonly digest: Digest; readonly size: number }
  /** `bytes` since the last event; negative when some have to travel again. */
  | { readonly kind: "bytes"; readonly digest: Digest; readonly size: number; readonly bytes: number }
  | { readonly kind: "end"; readonly digest: Digest; readonly size: number; readonly outcome: BlobOutcome }
  | { readonly kind: "manifest"; readonly digest: Digest; readonly size: number };

export type BlobOutcome = "copied" | "mounted" | "existed" | "skipped";

export interface CopyOptions {
  /** What the image is called at the target; without any it is there by its digest. */
  readonly tags?: readonly string[] | undefined;
  /** Of an index: all, or an image for each of these. One gives that image, more give an index of them. */
  readonly platforms?: "all" | readonly Platform[] | undefined;
  /** Whether manifests that refer to what is copied come along: signatures, SBOMs. */
  readonly referrers?: boolean | undefined;
  /** Blobs that travel at once; 4 by default. Memory is bounded by it, not by their sizes. */
  readonly jobs?: number | undefined;
  /** Nothing is written. */
  readonly dryRun?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((event: ProgressEvent) => void) | undefined;
  /** Whether `bytes` are told; they are by default, and cost a tenth of a copy's time on a fast network. */
  readonly countsBytes?: boolean | undefined;
}

export interface CopyResult {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly blobs: Readonly<Record<BlobOutcome, number>>;
  /** Bytes that travelled. */
  readonly bytes: number;
  /** Manifests that were written; 0: everything was there. */
  readonly manifests: number;
}
