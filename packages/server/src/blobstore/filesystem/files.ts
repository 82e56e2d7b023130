import { closeSync, fsync, openSync, statSync } from "node:fs";
import { promisify } from "node:util";
import { RegistryError } from "@stowage/oci/errors";
import { SyncFailed } from "../blob-store.ts";

/** Makes the entries of a folder survive a power cut. @throws SyncFailed */
export async function syncDirectory(path: string): Promise<void> {
  // Opening a folder that is in use costs less than the way to another thread and back; syncing it does not.
  const descriptor = openSync(path, "r");
  try {
    await mapSyncFailure(sync(descriptor));
  } finally {
    closeSync(descriptor);
  }
}

const sync = promisify(fsync);

/** Size of a file in bytes, or null when there is none. Asks on this thread: what was just written is in memory. */
export function sizeOf(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.size ?? null;
}

/** Marks the failure of a sync as one that is final. */
export async function mapSyncFailure(sync: Promise<void>): Promise<void> {
  try {
    await sync;
  } catch (cause) {
    throw new SyncFailed("sync failed", { cause });
  }
}

export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}

/** Turns the errors of a full disk into the answer of a full registry; other errors fly. */
export async function mapFull<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (hasCode(error, "ENOSPC", "EDQUOT")) throw new RegistryError("STORAGE_FULL", { cause: error });
    throw error;
  }
}
