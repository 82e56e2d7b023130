import { open } from "node:fs/promises";
import { RegistryError } from "@stowage/oci/errors";
import { SyncFailed } from "../blob-store.ts";

/** Makes the entries of a folder survive a power cut. @throws SyncFailed */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await mapSyncFailure(handle.sync());
  } finally {
    await handle.close();
  }
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
