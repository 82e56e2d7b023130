import type { BlobStore } from "../blobstore/blob-store.ts";
import type { Metadata } from "../metadata/metadata.ts";
import { describeError, type Log } from "../observe/log.ts";
import { reclaim } from "../registry/reclaim.ts";

/** Time between two looks for what is past its time, in milliseconds. */
const RECLAIM_INTERVAL_MS = 60_000;

export interface ReclaimJob {
  readonly metadata: Metadata;
  readonly store: BlobStore;
  readonly log: Log;
}

/** Runs `reclaim` now and then until it is disposed, which waits for a run under way. */
export function startReclaiming({ metadata, store, log }: ReclaimJob): AsyncDisposable {
  const stop = new AbortController();
  let running = Promise.resolve();
  async function run(): Promise<void> {
    try {
      const { expired, deleted } = await reclaim(metadata, store, stop.signal);
      if (expired + deleted > 0) log.info("reclaimed", { expired, deleted });
    } catch (error) {
      log.warn("reclaiming failed; it is tried again later", { error: describeError(error) });
    }
  }
  const timer = setInterval(() => {
    running = running.then(run);
  }, RECLAIM_INTERVAL_MS);
  running = run();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      stop.abort();
      await running;
    },
  };
}
