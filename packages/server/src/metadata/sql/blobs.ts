import type { Digest } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { StorageKey } from "../../blobstore/blob-store.ts";
import type { BlobRecord, Durations } from "../metadata.ts";
import { findRepository, requireRepository } from "./repositories.ts";
import { all, first, now, touched, type Unit } from "./statement.ts";

interface BlobRow {
  digest: Digest;
  size: number;
  storage_key: StorageKey;
  lease_until: number;
}

/** A blob of a repository, with the time until which it is leased. */
export interface LeasedBlob {
  readonly blob: BlobRecord;
  readonly leaseUntil: number;
}

export function* findBlob(repository: RepositoryName, digest: Digest): Unit<LeasedBlob | null> {
  const row = yield* first<BlobRow>(
    `SELECT b.digest, b.size, b.storage_key, b.lease_until
       FROM repositories r
       JOIN repository_blobs rb ON rb.repository_id = r.id AND rb.digest = ?
       JOIN blobs b ON b.digest = rb.digest
      WHERE r.name = ? AND b.quarantined_at IS NULL`,
    digest,
    repository,
  );
  if (row === null) return null;
  const blob = { digest: row.digest, size: row.size, storageKey: row.storage_key };
  return { blob, leaseUntil: row.lease_until };
}

/** Whether less than half of the lease is left, so that it must be renewed before a pusher is answered. */
export function* isLeaseShort({ leaseUntil }: LeasedBlob, durations: Durations): Unit<boolean> {
  return leaseUntil - (yield* now()) < durations.leaseMs / 2;
}

/** Keeps the blob for a whole lease from now. Never shortens one. */
export function* renewLease(digest: Digest, durations: Durations): Unit<void> {
  const until = (yield* now()) + durations.leaseMs;
  yield* all("UPDATE blobs SET lease_until = ? WHERE digest = ? AND lease_until < ?", until, digest, until);
}

/** Leases the blob if the repository still has it: the check and the promise are one transaction. */
export function* leaseBlob(
  repository: RepositoryName,
  digest: Digest,
  durations: Durations,
): Unit<BlobRecord | null> {
  const found = yield* findBlob(repository, digest);
  if (found === null) return null;
  yield* renewLease(digest, durations);
  return found.blob;
}

export function* mountBlob(
  digest: Digest,
  from: RepositoryName,
  to: RepositoryName,
  durations: Durations,
): Unit<BlobRecord | null> {
  const blob = yield* leaseBlob(from, digest, durations);
  if (blob !== null) yield* linkBlob(to, digest);
  return blob;
}

/**
 * The authorization edge: makes the blob readable through the repository. Manifests that were waiting for it
 * hold on to it from now on.
 */
export function* linkBlob(repository: RepositoryName, digest: Digest): Unit<void> {
  const id = yield* requireRepository(repository);
  yield* all(
    "INSERT INTO repository_blobs (repository_id, digest, linked_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    id,
    digest,
    yield* now(),
  );
  yield* all(
    `INSERT INTO manifest_blobs (repository_id, manifest_digest, blob_digest)
       SELECT repository_id, manifest_digest, blob_digest FROM manifest_absent_blobs
        WHERE repository_id = ? AND blob_digest = ? ON CONFLICT DO NOTHING`,
    id,
    digest,
  );
  yield* all("DELETE FROM manifest_absent_blobs WHERE repository_id = ? AND blob_digest = ?", id, digest);
}

export function* repositoriesWith(digest: Digest, entriesMax: number): Unit<readonly RepositoryName[]> {
  const rows = yield* all<{ name: RepositoryName }>(
    `SELECT r.name FROM repository_blobs rb JOIN repositories r ON r.id = rb.repository_id
      WHERE rb.digest = ? ORDER BY rb.repository_id LIMIT ?`,
    digest,
    entriesMax,
  );
  return rows.map((row) => row.name);
}

export function* unlinkBlob(
  repository: RepositoryName,
  digest: Digest,
): Unit<"deleted" | "absent" | "in-use"> {
  const id = yield* findRepository(repository);
  if (id === null) return "absent";
  const used = yield* first(
    "SELECT 1 FROM manifest_blobs WHERE repository_id = ? AND blob_digest = ? LIMIT 1",
    id,
    digest,
  );
  if (used !== null) return "in-use";
  const deleted = yield* touched(
    "DELETE FROM repository_blobs WHERE repository_id = ? AND digest = ? RETURNING digest",
    id,
    digest,
  );
  return deleted ? "deleted" : "absent";
}
