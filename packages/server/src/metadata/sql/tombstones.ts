import type { StorageKey } from "../../blobstore/blob-store.ts";
import type { DueObject, ListedObject } from "../metadata.ts";
import { all, first, now, type Unit } from "./statement.ts";

/** Says that nothing refers to the object any more and that it may be deleted from `deleteAfter` on. */
export function* addTombstone({ key, size }: DueObject, deleteAfter: number): Unit<void> {
  yield* all(
    "INSERT INTO tombstones (storage_key, delete_after, size) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    key,
    deleteAfter,
    size,
  );
}

/** Like addTombstone, for what nobody can be reading: it may be deleted at once. */
export function* dropNow(key: StorageKey, size = 0): Unit<void> {
  yield* addTombstone({ key, size }, yield* now());
}

/** None while somebody holds the objects: a backup copies what its snapshot of the metadata names. */
export function* due(max: number): Unit<readonly DueObject[]> {
  const at = yield* now();
  return yield* all<DueObject>(
    `SELECT storage_key AS key, size FROM tombstones
      WHERE delete_after <= ? AND NOT EXISTS (SELECT 1 FROM holds WHERE expires_at > ?)
      ORDER BY delete_after LIMIT ?`,
    at,
    at,
    max,
  );
}

export function* forget(keys: readonly StorageKey[]): Unit<void> {
  for (const key of keys) yield* all("DELETE FROM tombstones WHERE storage_key = ?", key);
}

export function* findOrphans(objects: readonly ListedObject[]): Unit<readonly ListedObject[]> {
  const orphans: ListedObject[] = [];
  for (const object of objects) if (!(yield* isLedTo(object))) orphans.push(object);
  return orphans;
}

function* isLedTo({ key, identity }: ListedObject): Unit<boolean> {
  const owner =
    identity.kind === "upload"
      ? yield* first("SELECT 1 FROM uploads WHERE id = ?", identity.id)
      : yield* first("SELECT 1 FROM blobs WHERE digest = ? AND storage_key = ?", identity.digest, key);
  if (owner !== null) return true;
  const planned = yield* first("SELECT 1 FROM intents WHERE storage_key = ?", key);
  if (planned !== null) return true;
  return (yield* first("SELECT 1 FROM tombstones WHERE storage_key = ?", key)) !== null;
}

export function* adopt(objects: readonly ListedObject[]): Unit<number> {
  const orphans = yield* findOrphans(objects);
  for (const { key } of orphans) yield* dropNow(key);
  return orphans.length;
}

export function* hold(id: string, ms: number): Unit<void> {
  const at = yield* now();
  yield* all("DELETE FROM holds WHERE expires_at <= ?", at);
  yield* all(
    "INSERT INTO holds (id, expires_at) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at",
    id,
    at + ms,
  );
}

export function* release(id: string): Unit<void> {
  yield* all("DELETE FROM holds WHERE id = ?", id);
}
