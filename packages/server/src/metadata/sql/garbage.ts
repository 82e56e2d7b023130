import type { StorageKey } from "../../blobstore/blob-store.ts";
import type { UploadId } from "@stowage/oci/upload-id";
import { all, now, type Unit } from "./statement.ts";

/** Says that nothing refers to the object any more and that it may be deleted after `graceMs`. */
export function* addTombstone(key: StorageKey, graceMs: number): Unit<void> {
  yield* all(
    "INSERT INTO tombstones (storage_key, delete_after) VALUES (?, ?) ON CONFLICT DO NOTHING",
    key,
    (yield* now()) + graceMs,
  );
}

export function* expire(max: number, uploadKeyOf: (id: UploadId) => StorageKey): Unit<number> {
  const at = yield* now();
  const uploads = yield* all<{ id: UploadId }>(
    `DELETE FROM uploads WHERE id IN (SELECT id FROM uploads WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)
     RETURNING id`,
    at,
    max,
  );
  // A finished session has no bytes of its own left; its tombstone then finds nothing to delete.
  for (const { id } of uploads) yield* addTombstone(uploadKeyOf(id), 0);
  const intents = yield* all<{ storage_key: StorageKey }>(
    `DELETE FROM intents WHERE storage_key IN
       (SELECT storage_key FROM intents WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)
     RETURNING storage_key`,
    at,
    max,
  );
  for (const { storage_key } of intents) yield* addTombstone(storage_key, 0);
  return uploads.length + intents.length;
}

export function* due(max: number): Unit<readonly StorageKey[]> {
  const rows = yield* all<{ storage_key: StorageKey }>(
    "SELECT storage_key FROM tombstones WHERE delete_after <= ? ORDER BY delete_after LIMIT ?",
    yield* now(),
    max,
  );
  return rows.map((row) => row.storage_key);
}

export function* forget(keys: readonly StorageKey[]): Unit<void> {
  for (const key of keys) yield* all("DELETE FROM tombstones WHERE storage_key = ?", key);
}
