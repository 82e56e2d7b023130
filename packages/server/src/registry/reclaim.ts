import type { BlobStore } from "../blobstore/blob-store.ts";
import type { Metadata } from "../metadata/metadata.ts";

/** Most sessions, intents or objects that one step handles. */
const RECLAIM_BATCH = 500;

export interface Reclaimed {
  /** Upload sessions and intents of crashed writers that were ended. */
  readonly expired: number;
  /** Objects that were deleted. */
  readonly deleted: number;
}

/**
 * Ends what is past its time and deletes the objects whose tombstones are due. Repeatable and safe to run by
 * several servers at once: deleting an object twice does nothing, and its tombstone goes last.
 */
export async function reclaim(metadata: Metadata, store: BlobStore, signal: AbortSignal): Promise<Reclaimed> {
  let expired = 0;
  let deleted = 0;
  while (!signal.aborted) {
    const ended = await metadata.garbage.expire(RECLAIM_BATCH, (id) => store.uploadKey(id));
    expired += ended;
    if (ended === 0) break;
  }
  while (!signal.aborted) {
    const keys = await metadata.garbage.due(RECLAIM_BATCH);
    if (keys.length === 0) break;
    for (const key of keys) await store.delete(key);
    await metadata.garbage.forget(keys);
    deleted += keys.length;
  }
  return { expired, deleted };
}
