import type { Digest } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { StorageKey } from "../../blobstore/blob-store.ts";
import type { BlobRecord, Durations } from "../metadata.ts";
import { withinQuotas } from "./quotas.ts";
import { findRepository, requireRepository } from "./repositories.ts";
import { all, batchesOf, first, now, repeat, touched, type Unit } from "./statement.ts";
import { addTombstone } from "./tombstones.ts";

interface BlobRow {
  digest: Digest;
  size: number;
  storage_key: StorageKey;
  review_at: number | null;
}

/** A blob of a repository, with the time at which the collector looks whether it is still needed there. */
export interface LinkedBlob {
  readonly blob: BlobRecord;
  /** Null while a manifest is known to hold it. A lease is a review that lies ahead. */
  readonly reviewAt: number | null;
}

export function* findBlob(repository: RepositoryName, digest: Digest): Unit<LinkedBlob | null> {
  const row = yield* first<BlobRow>(
    `SELECT b.digest, b.size, b.storage_key, rb.review_at
       FROM repositories r
       JOIN repository_blobs rb ON rb.repository_id = r.id AND rb.digest = ?
       JOIN blobs b ON b.digest = rb.digest
      WHERE r.name = ? AND b.quarantined_at IS NULL`,
    digest,
    repository,
  );
  if (row === null) return null;
  const blob = { digest: row.digest, size: row.size, storageKey: row.storage_key };
  return { blob, reviewAt: row.review_at };
}

/** Whether less than half of the lease is left, so that it must be renewed before a pusher is answered. */
export function* isLeaseShort({ reviewAt }: LinkedBlob, durations: Durations): Unit<boolean> {
  return (reviewAt ?? 0) - (yield* now()) < durations.leaseMs / 2;
}

/** Leases the blob if the repository still has it: the check and the promise are one transaction. */
export function* leaseBlob(
  repository: RepositoryName,
  digest: Digest,
  durations: Durations,
): Unit<BlobRecord | null> {
  const found = yield* findBlob(repository, digest);
  if (found !== null) yield* linkBlob(repository, digest, durations);
  return found?.blob ?? null;
}

export function* mountBlob(
  digest: Digest,
  from: RepositoryName,
  to: RepositoryName,
  durations: Durations,
): Unit<BlobRecord | null> {
  const found = yield* findBlob(from, digest);
  if (found !== null) yield* withinQuotas(to, () => linkBlob(to, digest, durations));
  return found?.blob ?? null;
}

/**
 * The authorization edge: makes the blob readable through the repository, and leases it there. Manifests that were
 * waiting for it hold on to it from now on.
 */
export function* linkBlob(repository: RepositoryName, digest: Digest, durations: Durations): Unit<void> {
  const id = yield* requireRepository(repository);
  const at = yield* now();
  const isNew = yield* touched(
    `INSERT INTO repository_blobs (repository_id, digest, linked_at, review_at) VALUES (?, ?, ?, ?)
     ON CONFLICT DO NOTHING RETURNING digest`,
    id,
    digest,
    at,
    at + durations.leaseMs,
  );
  if (!isNew) yield* renewLease(id, digest, at + durations.leaseMs);
  yield* all(
    `INSERT INTO manifest_blobs (repository_id, manifest_digest, blob_digest)
       SELECT repository_id, manifest_digest, blob_digest FROM manifest_absent_blobs
        WHERE repository_id = ? AND blob_digest = ? ON CONFLICT DO NOTHING`,
    id,
    digest,
  );
  yield* all("DELETE FROM manifest_absent_blobs WHERE repository_id = ? AND blob_digest = ?", id, digest);
}

/** Never shortens a lease. */
function* renewLease(repository: number, digest: Digest, until: number): Unit<void> {
  yield* all(
    `UPDATE repository_blobs SET review_at = ?
      WHERE repository_id = ? AND digest = ? AND (review_at IS NULL OR review_at < ?)`,
    until,
    repository,
    digest,
    until,
  );
}

/** Deletes those of the blobs that no repository has any more, leaving tombstones; they were just unlinked. */
export function* dropUnlinkedBlobs(
  digests: readonly Digest[],
  durations: Durations,
): Unit<{ readonly blobs: number; readonly bytes: number }> {
  let blobs = 0;
  let bytes = 0;
  const deleteAfter = (yield* now()) + durations.tombstoneGraceMs;
  for (const batch of batchesOf(digests)) {
    const dropped = yield* all<{ storage_key: StorageKey; size: number }>(
      `DELETE FROM blobs WHERE digest IN (${repeat("?", batch)})
          AND NOT EXISTS (SELECT 1 FROM repository_blobs rb WHERE rb.digest = blobs.digest)
       RETURNING storage_key, size`,
      ...batch,
    );
    for (const { storage_key, size } of dropped) {
      yield* addTombstone({ key: storage_key, size }, deleteAfter);
      bytes += size;
    }
    blobs += dropped.length;
  }
  return { blobs, bytes };
}

export function* repositoriesWith(digest: Digest, entriesMax: number): Unit<readonly RepositoryName[]> {
  const rows = yield* all<{ name: RepositoryName }>(
    `SELECT r.name FROM repository_blobs rb JOIN repositories r ON r.id = rb.repository_id
      WHERE rb.digest = ? AND r.deleted_at IS NULL ORDER BY rb.repository_id LIMIT ?`,
    digest,
    entriesMax,
  );
  return rows.map((row) => row.name);
}

export function* unlinkBlob(
  repository: RepositoryName,
  digest: Digest,
  durations: Durations,
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
  if (!deleted) return "absent";
  yield* dropUnlinkedBlobs([digest], durations);
  return "deleted";
}
