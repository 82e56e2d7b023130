import type { Digest } from "@stowage/oci/digest";
import { ClientError } from "./client-error.ts";
import type { BlobRef, ContentSource, ContentTarget } from "./content.ts";
import type { BlobOutcome, CopyOptions } from "./copy-options.ts";
import { blobUnknown } from "./image.ts";
import { Semaphore } from "./semaphore.ts";

/** The blobs of one copy: each travels once, however often it is named, and few at a time. */
export class CopyBlobs {
  readonly #source: ContentSource;
  readonly #target: ContentTarget;
  readonly #options: CopyOptions & { readonly jobs: number };
  readonly #jobs: Semaphore;
  readonly #works = new Map<Digest, Promise<void>>();
  readonly #counts = { copied: 0, mounted: 0, existed: 0, skipped: 0 };
  /** Ends everything else when one blob has failed. */
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;
  bytes = 0;

  constructor(
    source: ContentSource,
    target: ContentTarget,
    options: CopyOptions & { readonly jobs: number },
  ) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
    this.#jobs = new Semaphore(options.jobs);
    const { signal } = options;
    this.#signal =
      signal === undefined ? this.#failed.signal : AbortSignal.any([signal, this.#failed.signal]);
  }

  get counts(): Readonly<Record<BlobOutcome, number>> {
    return { ...this.#counts };
  }

  /** Reads something small in turn with the blobs. */
  async read<T>(work: () => Promise<T>): Promise<T> {
    return await this.#jobs.run(work);
  }

  /** Sees to it that the target has the blob. `mayBeAbsent`: the source may not have it, and then nobody misses it. */
  async copy(blob: BlobRef, { mayBeAbsent }: { readonly mayBeAbsent: boolean }): Promise<void> {
    const known = this.#works.get(blob.digest);
    if (known !== undefined) return await known;
    const work = this.#jobs.run(async () => {
      this.#signal.throwIfAborted();
      const { digest, size } = blob;
      this.#options.onProgress?.({ kind: "start", digest, size });
      const outcome = await this.#copyOne(blob, mayBeAbsent).catch((error: unknown) => {
        this.#failed.abort(error);
        throw error;
      });
      this.#counts[outcome] += 1;
      this.#options.onProgress?.({ kind: "end", digest, size, outcome });
    });
    this.#works.set(blob.digest, work);
    await work;
  }

  async #copyOne(blob: BlobRef, mayBeAbsent: boolean): Promise<BlobOutcome> {
    const io = { signal: this.#signal };
    if (await this.#target.hasBlob(blob, io)) return "existed";
    // Layers that may not be distributed are not carried to where they are not.
    if (mayBeAbsent) return "skipped";
    if (this.#options.dryRun === true) return "copied";
    if (await this.#target.mountBlob(blob, this.#source, io)) return "mounted";
    const open = async (offset: number) => {
      const stream = await this.#source.openBlob(blob, { ...io, offset });
      if (stream === null) throw blobUnknown(this.#source, blob.digest);
      return stream;
    };
    const { digest, size } = blob;
    const { countsBytes = true, onProgress } = this.#options;
    const onBytes = (bytes: number) => onProgress?.({ kind: "bytes", digest, size, bytes });
    const wishes = countsBytes && onProgress !== undefined ? { ...io, onBytes } : io;
    await this.#target.putBlob(blob, open, wishes).catch((error: unknown) => {
      throw error instanceof ClientError || !this.#signal.aborted ? error : this.#signal.reason;
    });
    this.bytes += size;
    return "copied";
  }
}
