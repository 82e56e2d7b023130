import { algorithmOf } from "@stowage/oci/digest";
import type { BlobStore } from "../blobstore/blob-store.ts";
import type { BlobRecord, Metadata, ScrubFinding, ScrubProblem } from "../metadata/metadata.ts";
import { RateLimit } from "./rate-limit.ts";
import { RunningDigest } from "./running-digest.ts";

export type { ScrubFinding };

/** Blobs between two notes of what was verified. */
const SCRUB_PAGE = 32;

/**
 * Errors that say the bytes of this one object cannot be read: a bad sector, a checksum of the filesystem. All others
 * (no more files, no permission, no network) may hit every object alike, and would take sound blobs out of sight.
 */
const OBJECT_ERRORS: readonly string[] = ["EIO", "EBADMSG", "EUCLEAN", "EISDIR"];

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
  /** It was stopped, or could not go on: not everything that it should read was read. */
  readonly endedEarly: boolean;
}

const NOTHING_READ: ScrubStatus = { running: false, blobs: 0, bytes: 0, findings: 0, endedEarly: false };

export interface ScrubberOptions {
  readonly metadata: Metadata;
  readonly store: BlobStore;
  readonly rules: ScrubRules;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

/**
 * Reads the bytes of blobs again and compares them with their digests. A blob whose bytes are wrong is taken out of
 * sight: HEAD and GET say 404 from then on, so the next push of it brings the bytes back.
 */
export class Scrubber {
  readonly #metadata: Metadata;
  readonly #store: BlobStore;
  readonly #rules: ScrubRules;
  readonly #rate: RateLimit;
  readonly #stop = new AbortController();
  #status = NOTHING_READ;
  #running: Promise<ScrubStatus> | null = null;
  /** Somebody asked for every blob and no run has begun with that yet. */
  #isAllWanted = false;

  constructor({ metadata, store, rules, monotonic, sleep }: ScrubberOptions) {
    this.#metadata = metadata;
    this.#store = store;
    this.#rules = rules;
    this.#rate = new RateLimit({ bytesPerSecond: rules.bytesPerSecond, monotonic, sleep });
  }

  status(): ScrubStatus {
    return this.#status;
  }

  /** What was found, newest first. */
  async findings(before: number | null, entriesMax: number): Promise<readonly ScrubFinding[]> {
    return await this.#metadata.scrub.findings(before, entriesMax);
  }

  /**
   * Begins a run in the background, unless one is under way, which then reads every blob if that is asked for;
   * `onFailure` hears why it ended early.
   */
  start(options: { readonly all: boolean }, onFailure: (error: unknown) => void): ScrubStatus {
    void this.run(this.#stop.signal, options).catch(onFailure);
    return { ...this.#status, running: true };
  }

  /**
   * Makes a run, or waits for the one under way: of every blob, or of those that were not verified for the interval.
   * Resolves with what it read; a run that had nothing to do leaves the status of the last one that had.
   */
  async run(signal: AbortSignal, { all }: { readonly all: boolean }): Promise<ScrubStatus> {
    this.#isAllWanted ||= all;
    this.#running ??= this.#run(AbortSignal.any([signal, this.#stop.signal]));
    return await this.#running;
  }

  /** Ends a run under way between two pieces of a blob. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running?.catch(() => null);
  }

  async #run(signal: AbortSignal): Promise<ScrubStatus> {
    const last = this.#status;
    this.#status = { ...NOTHING_READ, running: true };
    let isWhole = false;
    try {
      const { intervalMs } = this.#rules;
      const startedAt = await this.#metadata.garbage.now();
      if (intervalMs !== null && !this.#isAllWanted) await this.#verify(startedAt - intervalMs, signal);
      // Asked for now or while the others were read; those count from the start of this run on.
      if (this.#isAllWanted) await this.#verify(startedAt + 1, signal);
      isWhole = !signal.aborted;
    } finally {
      const isIdle = isWhole && !this.#isAllWanted && this.#status.blobs === 0;
      this.#status = isIdle ? last : { ...this.#status, running: false, endedEarly: !isWhole };
      this.#isAllWanted = false;
      this.#running = null;
    }
    return this.#status === last ? NOTHING_READ : this.#status;
  }

  /** Reads every blob that was not verified since `before`. */
  async #verify(before: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const blobs = await this.#metadata.scrub.next(before, SCRUB_PAGE);
      if (blobs.length === 0) return;
      const sound: BlobRecord[] = [];
      try {
        for (const blob of blobs) {
          const problem = await this.#problemOf(blob, signal);
          if (signal.aborted) break;
          if (problem === null) sound.push(blob);
          else if (await this.#metadata.scrub.quarantine(blob, problem)) this.#count({ findings: 1 });
          this.#count({ blobs: 1 });
        }
      } finally {
        await this.#metadata.scrub.verified(sound, before);
      }
    }
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
          await this.#rate.passed(piece.byteLength, signal);
        }
      }
      if (digest.bytes !== blob.size) return "size";
      return digest.soFar() === blob.digest ? null : "digest";
    } catch (error) {
      if (hasCode(error, ["ENOENT"])) return "missing";
      if (hasCode(error, OBJECT_ERRORS)) return "unreadable";
      // Nothing is known about this blob.
      throw error;
    }
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

function hasCode(error: unknown, codes: readonly string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}
