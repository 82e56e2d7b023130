import type { RepositoryName } from "@stowage/oci/repository-name";
import type { BlobStore } from "../blobstore/blob-store.ts";
import type {
  Collected,
  CollectUntagged,
  GarbagePreview,
  ListedObject,
  Metadata,
} from "../metadata/metadata.ts";
import { ClockGuard } from "./clock-guard.ts";
import { OneAtATime } from "./one-at-a-time.ts";

export type { GarbagePreview };

/** A transaction of the collector that took longer makes the next batch smaller, in milliseconds. */
const BATCH_MS_MAX = 15;

/** A batch is never smaller than this: most of its time is then the disk's, which smaller ones would not shorten. */
const BATCH_MIN = 128;

/** A rest is not longer than this, or a slow store would rest most of the day, in milliseconds. */
const REST_MS_MAX = 100;

/** Objects that are being deleted at once. */
const DELETES_PARALLEL_MAX = 8;

/** Objects that are compared with the metadata at once. */
const SWEEP_PAGE = 200;

/** Repositories of one page while untagged manifests are looked for. */
const REPOSITORIES_PAGE = 500;

export interface CollectorRules {
  /** How long a positive answer to a pusher holds, in milliseconds. */
  readonly leaseMs: number;
  /** Most rows that one transaction looks at. */
  readonly batchMax: number;
  /** Least rest after each batch, in milliseconds; it is never shorter than the batch took. */
  readonly pauseMs: number;
  /** Manifests that nothing holds are deleted after this many milliseconds; null keeps them. */
  readonly untaggedMs: number | null;
}

/** What a run of the collector did. */
export interface GarbageReport {
  /** Milliseconds for which the clock's jump keeps the collector from working; then nothing else was done. */
  readonly pausedMs: number;
  /** Upload sessions and intents of crashed writers that were ended. */
  readonly uploadsExpired: number;
  /** Untagged manifests that were deleted; they can be brought back until their undo time ends. */
  readonly untaggedDeleted: number;
  /** Deletions that cannot be undone any more, and what was taken apart with them. */
  readonly deletionsEnded: number;
  /** Links of repositories to blobs that nothing needed. */
  readonly unlinked: number;
  /** Blobs that nothing refers to any more; their objects go when their grace ends. */
  readonly blobsCollected: number;
  readonly bytesCollected: number;
  /** Objects deleted from the store. */
  readonly objectsDeleted: number;
  readonly bytesFreed: number;
}

export interface CollectorOptions {
  readonly metadata: Metadata;
  readonly store: BlobStore;
  readonly rules: CollectorRules;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number;
}

/**
 * Frees what nobody needs, while everything runs. Each step is a short transaction that decides and acts at once, or
 * a deletion of an object that has lost its metadata before; so a run may be stopped anywhere, repeated, and go on in
 * several servers at the same time.
 */
export class Collector {
  readonly #metadata: Metadata;
  readonly #store: BlobStore;
  readonly #rules: CollectorRules;
  readonly #monotonic: () => number;
  readonly #guard: ClockGuard;
  readonly #runs = new OneAtATime("the collector");
  #batch: number;

  constructor({ metadata, store, rules, monotonic }: CollectorOptions) {
    this.#metadata = metadata;
    this.#store = store;
    this.#rules = rules;
    this.#monotonic = monotonic;
    this.#guard = new ClockGuard(rules.leaseMs);
    this.#batch = rules.batchMax;
  }

  /**
   * One run, after one that is under way. Stops between two steps when `signal` says so.
   * @throws RegistryError TOOMANYREQUESTS when too many wait
   */
  async run(signal: AbortSignal): Promise<GarbageReport> {
    return await this.#runs.run(() => this.#collect(signal));
  }

  /** Milliseconds for which nothing may be deleted by its age, because the clock was set; 0 when all is well. */
  async pausedMs(): Promise<number> {
    const wall = await this.#metadata.garbage.now();
    return Math.ceil(this.#guard.pauseAt({ wall, monotonic: this.#monotonic() }));
  }

  /** What there is to free. Changes nothing. */
  async preview(): Promise<GarbagePreview> {
    return await this.#metadata.garbage.preview();
  }

  /** Keeps every object for `ms` from now, for a backup that copies them; the same id again renews it. */
  async hold(id: string, ms: number): Promise<void> {
    await this.#metadata.garbage.hold(id, ms);
  }

  /** Ends a hold before its time. */
  async release(id: string): Promise<void> {
    await this.#metadata.garbage.release(id);
  }

  /** After a jump of the clock: somebody says that it is right now. */
  resume(): void {
    this.#guard.resume();
  }

  /**
   * Compares all objects with the metadata and gives tombstones to those that nothing leads to: what a crash left in
   * the few places where it can leave something. How many there were.
   */
  async sweep(signal: AbortSignal): Promise<number> {
    const { garbage } = this.#metadata;
    let orphans = 0;
    let page: ListedObject[] = [];
    const compare = async () => {
      // Nearly always a read: a transaction is only entered for what looks like an orphan.
      const suspects = await garbage.findOrphans(page);
      page = [];
      if (suspects.length > 0) orphans += await garbage.adopt(suspects);
      await Bun.sleep(this.#rules.pauseMs);
    };
    for await (const key of this.#store.list()) {
      if (signal.aborted) return orphans;
      const identity = this.#store.identify(key);
      if (identity === null) continue;
      page.push({ key, identity });
      if (page.length >= SWEEP_PAGE) await compare();
    }
    await compare();
    return orphans;
  }

  async #collect(signal: AbortSignal): Promise<GarbageReport> {
    const { garbage } = this.#metadata;
    const pausedMs = await this.pausedMs();
    if (pausedMs > 0) return { ...NOTHING_DONE, pausedMs };
    const uploadsExpired = await this.#repeat(signal, (max) =>
      garbage.expire(max, (id) => this.#store.uploadKey(id)),
    );
    const untaggedDeleted = await this.#deleteUntagged(signal);
    let [unlinked, blobsCollected, bytesCollected] = [0, 0, 0];
    const count = (collected: Collected) => {
      unlinked += collected.unlinked;
      blobsCollected += collected.blobs;
      bytesCollected += collected.bytes;
      return collected.reviewed;
    };
    const deletionsEnded = await this.#repeat(signal, async (max) =>
      count(await garbage.expireDeletions(max)),
    );
    await this.#repeat(signal, async (max) => count(await garbage.collect(max)));
    return {
      pausedMs,
      uploadsExpired,
      untaggedDeleted,
      deletionsEnded,
      unlinked,
      blobsCollected,
      bytesCollected,
      ...(await this.#deleteObjects(signal)),
    };
  }

  /** Runs a unit of work until it finds nothing more, in batches that keep each transaction short. */
  async #repeat(signal: AbortSignal, step: (max: number) => Promise<number>): Promise<number> {
    let total = 0;
    while (!signal.aborted) {
      const startedAt = this.#monotonic();
      const done = await step(this.#batch);
      total += done;
      if (done === 0) break;
      const tookMs = this.#monotonic() - startedAt;
      const wanted = tookMs > BATCH_MS_MAX ? Math.floor(this.#batch / 2) : this.#batch * 2;
      this.#batch = Math.min(this.#rules.batchMax, Math.max(BATCH_MIN, wanted));
      // Pushes and pulls have at least half of the time, whatever there is to free.
      await Bun.sleep(Math.max(this.#rules.pauseMs, Math.min(tookMs, REST_MS_MAX)));
    }
    return total;
  }

  async #deleteUntagged(signal: AbortSignal): Promise<number> {
    const { untaggedMs } = this.#rules;
    if (untaggedMs === null) return 0;
    let deleted = 0;
    for await (const repository of this.#repositories()) {
      if (signal.aborted) break;
      const options = { delayMs: untaggedMs, among: "all" } as const;
      deleted += await this.deleteUntagged(repository, options, signal);
    }
    return deleted;
  }

  /** Deletes what has been loose in the repository for `delayMs`; how many manifests. */
  async deleteUntagged(
    repository: RepositoryName,
    options: Omit<CollectUntagged, "max">,
    signal: AbortSignal,
  ): Promise<number> {
    let deleted = 0;
    await this.#repeat(signal, async (max) => {
      const step = await this.#metadata.garbage.collectUntagged(repository, { ...options, max });
      deleted += step.deleted;
      return step.reviewed;
    });
    return deleted;
  }

  async *#repositories(): AsyncGenerator<RepositoryName, void, void> {
    for (let after = ""; ;) {
      const page = await this.#metadata.manifests.listRepositories({ after, entriesMax: REPOSITORIES_PAGE });
      yield* page;
      after = page.at(-1) ?? "";
      if (page.length < REPOSITORIES_PAGE) return;
    }
  }

  /** Deletes objects whose grace has passed. Twice does no harm: the tombstone goes last. */
  async #deleteObjects(signal: AbortSignal): Promise<Pick<GarbageReport, "objectsDeleted" | "bytesFreed">> {
    let [objectsDeleted, bytesFreed] = [0, 0];
    await this.#repeat(signal, async (max) => {
      const due = await this.#metadata.garbage.due(max);
      const queue = due.values();
      const work = async () => {
        for (const { key } of queue) await this.#store.delete(key);
      };
      await Promise.all(Array.from({ length: DELETES_PARALLEL_MAX }, work));
      if (due.length > 0) await this.#metadata.garbage.forget(due.map(({ key }) => key));
      objectsDeleted += due.length;
      bytesFreed += due.reduce((sum, { size }) => sum + size, 0);
      return due.length;
    });
    return { objectsDeleted, bytesFreed };
  }
}

const NOTHING_DONE: GarbageReport = {
  pausedMs: 0,
  uploadsExpired: 0,
  untaggedDeleted: 0,
  deletionsEnded: 0,
  unlinked: 0,
  blobsCollected: 0,
  bytesCollected: 0,
  objectsDeleted: 0,
  bytesFreed: 0,
};
