import { algorithmOf } from "@stowage/oci/digest";
import { RegistryError } from "@stowage/oci/errors";
import type { BlobStore } from "../blobstore/blob-store.ts";
import type { BlobRecord, Metadata, ScrubFinding, ScrubProblem } from "../metadata/metadata.ts";
import { RunningDigest } from "./running-digest.ts";

export type { ScrubFinding };

/** Blobs between two notes of what was verified. */
const SCRUB_PAGE = 32;

/** Longest rest before it is looked whether the run shall end, in milliseconds. */
const WAIT_MS_MAX = 1_000;

export interface ScrubRules {
  /** Every blob is read again once in this many milliseconds; null: only when somebody asks. */
  readonly intervalMs: number | null;
  /** Bytes per second that are read; 0 does not hold back. */
  readonly bytesPerSecond: number;
}

export interface ScrubStatus {
  readonly running: boolean;
  /** Of the run under way, or of the last one. */
  readonly blobs: number;
  readonly bytes: number;
  readonly findings: number;
}

export interface ScrubberOptions {
  readonly metadata: Metadata;
  readonly store: BlobStore;
  readonly rules: ScrubRules;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number;
}

/**
 * Reads the bytes of blobs again and compares them with their digests. A blob whose bytes are wrong is taken out of
 * sight: HEAD and GET say 404 from then on, so the next push of it brings the bytes back.
 */
export class Scrubber {
  readonly #metadata: Metadata;
  readonly #store: BlobStore;
  readonly #rules: ScrubRules;
  readonly #monotonic: () => number;
  readonly #stop = new AbortController();
  #status: ScrubStatus = { running: false, blobs: 0, bytes: 0, findings: 0 };
  #running: Promise<void> | null = null;
  #startedAt = 0;

  constructor({ metadata, store, rules, monotonic }: ScrubberOptions) {
    this.#metadata = metadata;
    this.#store = store;
    this.#rules = rules;
    this.#monotonic = monotonic;
  }

  status(): ScrubStatus {
    return this.#status;
  }

  /** What was found, newest first. */
  async findings(before: number | null, entriesMax: number): Promise<readonly ScrubFinding[]> {
    return await this.#metadata.scrub.findings(before, entriesMax);
  }

  /** Begins a run in the background, unless one is under way; `onFailure` hears why it ended early. */
  start(options: { readonly all: boolean }, onFailure: (error: unknown) => void): ScrubStatus {
    void this.run(this.#stop.signal, options).catch(onFailure);
    return this.#status;
  }

  /** Waits for the run under way, or makes one: of every blob, or of those that were not verified for the interval. */
  async run(signal: AbortSignal, { all }: { readonly all: boolean }): Promise<void> {
    this.#running ??= this.#run(AbortSignal.any([signal, this.#stop.signal]), all).finally(() => {
      this.#running = null;
      this.#status = { ...this.#status, running: false };
    });
    await this.#running;
  }

  /** Ends a run under way between two pieces of a blob. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running?.catch(() => null);
  }

  async #run(signal: AbortSignal, all: boolean): Promise<void> {
    this.#status = { running: true, blobs: 0, bytes: 0, findings: 0 };
    this.#startedAt = this.#monotonic();
    const { intervalMs } = this.#rules;
    const startedAt = await this.#metadata.garbage.now();
    if (!all && intervalMs === null) return;
    const before = all ? startedAt + 1 : startedAt - (intervalMs ?? 0);
    const seen = new Set<string>();
    while (!signal.aborted) {
      const page = await this.#metadata.scrub.next(before, SCRUB_PAGE);
      // With everything verified in this very millisecond a page could come again.
      const blobs = page.filter(({ storageKey }) => !seen.has(storageKey));
      if (blobs.length === 0) return;
      seen.clear();
      for (const { storageKey } of page) seen.add(storageKey);
      await this.#verifyPage(blobs, signal);
    }
  }

  async #verifyPage(blobs: readonly BlobRecord[], signal: AbortSignal): Promise<void> {
    const sound: BlobRecord[] = [];
    for (const blob of blobs) {
      const problem = await this.#problemOf(blob, signal);
      if (signal.aborted) break;
      if (problem === null) sound.push(blob);
      else if (await this.#metadata.scrub.quarantine(blob, problem)) this.#count({ findings: 1 });
      this.#count({ blobs: 1 });
    }
    await this.#metadata.scrub.verified(sound);
  }

  async #problemOf(blob: BlobRecord, signal: AbortSignal): Promise<ScrubProblem | null> {
    try {
      const object = await this.#store.open(blob.storageKey);
      if (object === null) return "missing";
      if (object.size !== blob.size) return "size";
      const digest = new RunningDigest(algorithmOf(blob.digest));
      // An empty body is no stream for Response.
      const { body } = new Response(object.body());
      if (body !== null && blob.size > 0) {
        for await (const piece of body) {
          if (signal.aborted) return null;
          digest.update(piece);
          this.#count({ bytes: piece.byteLength });
          await this.#holdBack(signal);
        }
      }
      if (digest.bytes !== blob.size) return "size";
      return digest.soFar() === blob.digest ? null : "digest";
    } catch (error) {
      // The store as a whole is not there: that says nothing about this blob.
      if (error instanceof RegistryError) throw error;
      return isGone(error) ? "missing" : "unreadable";
    }
  }

  /** Waits as long as the bytes of this run were read faster than they should be. */
  async #holdBack(signal: AbortSignal): Promise<void> {
    const { bytesPerSecond } = this.#rules;
    if (bytesPerSecond === 0) return;
    const dueMs = (this.#status.bytes / bytesPerSecond) * 1_000 - (this.#monotonic() - this.#startedAt);
    if (dueMs > 1 && !signal.aborted) await Bun.sleep(Math.min(dueMs, WAIT_MS_MAX));
  }

  #count(more: Partial<Pick<ScrubStatus, "blobs" | "bytes" | "findings">>): void {
    const { blobs, bytes, findings } = this.#status;
    this.#status = {
      ...this.#status,
      blobs: blobs + (more.blobs ?? 0),
      bytes: bytes + (more.bytes ?? 0),
      findings: findings + (more.findings ?? 0),
    };
  }
}

function isGone(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
