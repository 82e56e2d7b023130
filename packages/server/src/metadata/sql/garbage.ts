import type { UploadId } from "@stowage/oci/upload-id";
import type { Digest } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { StorageKey } from "../../blobstore/blob-store.ts";
import type { Actor, Collected, CollectUntagged, Durations, GarbagePreview } from "../metadata.ts";
import { dropUnlinkedBlobs } from "./blobs.ts";
import { deleteManifest, isListed } from "./deletions.ts";
import { findRepository } from "./repositories.ts";
import { all, first, now, type Unit } from "./statement.ts";
import { dropNow } from "./tombstones.ts";
import { cancelUpload } from "./uploads.ts";

export function* expire(max: number, uploadKeyOf: (id: UploadId) => StorageKey): Unit<number> {
  const at = yield* now();
  const uploads = yield* all<{ id: UploadId; finished_digest: string | null }>(
    `DELETE FROM uploads WHERE id IN (SELECT id FROM uploads WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)
     RETURNING id, finished_digest`,
    at,
    max,
  );
  // The bytes of a finished session have become a blob, or got their tombstone when it was finished.
  for (const { id, finished_digest } of uploads) {
    if (finished_digest === null) yield* dropNow(uploadKeyOf(id));
  }
  const intents = yield* all<{ storage_key: StorageKey; upload_id: UploadId }>(
    `DELETE FROM intents WHERE storage_key IN
       (SELECT storage_key FROM intents WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)
     RETURNING storage_key, upload_id`,
    at,
    max,
  );
  for (const { storage_key, upload_id } of intents) {
    yield* dropNow(storage_key);
    // A later attempt of the session would use the key again, which may be deleted at any moment from now on.
    yield* cancelUpload(upload_id, uploadKeyOf(upload_id));
  }
  return uploads.length + intents.length;
}

/** What keeps a link `l` of a repository: a manifest, or a deletion that can be undone. */
const IS_HELD = `(
  EXISTS (SELECT 1 FROM manifest_blobs e WHERE e.repository_id = l.repository_id AND e.blob_digest = l.digest)
  OR EXISTS (SELECT 1 FROM deleted_blobs d WHERE d.repository_id = l.repository_id AND d.digest = l.digest))`;

/**
 * Lets go of links whose lease has passed and that nothing holds, and of blobs that lost their last link. All of it
 * is decided inside this one transaction, so no lease and no manifest can come in between.
 */
export function* collect(max: number, durations: Durations): Unit<Collected> {
  const at = yield* now();
  const due = `SELECT repository_id, digest FROM repository_blobs
    WHERE review_at <= ? ORDER BY review_at, repository_id, digest LIMIT ?`;
  const unlinked = yield* all<{ digest: Digest }>(
    `DELETE FROM repository_blobs AS l WHERE (l.repository_id, l.digest) IN (${due}) AND NOT ${IS_HELD}
     RETURNING digest`,
    at,
    max,
  );
  // What is left of the same batch is held: it is looked at again when a holder lets it go.
  const held = yield* all(
    `UPDATE repository_blobs AS l SET review_at = NULL WHERE (l.repository_id, l.digest) IN (${due}) AND ${IS_HELD}
     RETURNING digest`,
    at,
    max,
  );
  const digests = [...new Set(unlinked.map(({ digest }) => digest))];
  const { blobs, bytes } = yield* dropUnlinkedBlobs(digests, durations);
  return { reviewed: unlinked.length + held.length, unlinked: unlinked.length, blobs, bytes };
}

const COLLECTOR: Actor = { name: null, reason: "untagged" };

const AMONG = {
  all: "",
  "without-subject": "AND subject_digest IS NULL",
  referrers: "AND subject_digest IS NOT NULL",
} satisfies Record<CollectUntagged["among"], string>;

export function* collectUntagged(
  repository: RepositoryName,
  { delayMs, max, among }: CollectUntagged,
  durations: Durations,
): Unit<{ readonly reviewed: number; readonly deleted: number }> {
  const id = yield* findRepository(repository);
  if (id === null) return { reviewed: 0, deleted: 0 };
  const loose = yield* all<{ digest: Digest; subject_digest: Digest | null }>(
    `SELECT digest, subject_digest FROM manifests WHERE repository_id = ? AND loose_since <= ?
        ${AMONG[among]} ORDER BY loose_since LIMIT ?`,
    id,
    // Pushing a manifest, or seeing it there, is a positive answer to a pusher like any other.
    (yield* now()) - Math.max(delayMs, durations.leaseMs),
    max,
  );
  let deleted = 0;
  for (const { digest, subject_digest } of loose) {
    if (yield* isHeld(id, digest, subject_digest)) {
      yield* all(
        "UPDATE manifests SET loose_since = NULL WHERE repository_id = ? AND digest = ?",
        id,
        digest,
      );
      continue;
    }
    const options = { evenIfListed: true, withParts: false, isImmutable: () => false, by: COLLECTOR };
    yield* deleteManifest(repository, digest, options, durations);
    deleted += 1;
  }
  return { reviewed: loose.length, deleted };
}

/** Whether a tag, an index or a subject that is there keeps the manifest. */
function* isHeld(id: number, digest: Digest, subject: Digest | null): Unit<boolean> {
  const tag = yield* first("SELECT 1 FROM tags WHERE repository_id = ? AND digest = ? LIMIT 1", id, digest);
  if (tag !== null || (yield* isListed(id, digest, [digest]))) return true;
  if (subject === null) return false;
  const found = yield* first("SELECT 1 FROM manifests WHERE repository_id = ? AND digest = ?", id, subject);
  return found !== null;
}

export function* preview(): Unit<GarbagePreview> {
  const at = yield* now();
  const collectable = yield* first<{ blobs: number; bytes: number }>(
    `SELECT COUNT(*) AS blobs, COALESCE(SUM(b.size), 0) AS bytes FROM blobs b
      WHERE b.digest IN (SELECT digest FROM repository_blobs WHERE review_at <= ?)
        AND NOT EXISTS (SELECT 1 FROM repository_blobs l
          WHERE l.digest = b.digest AND (l.review_at IS NULL OR l.review_at > ? OR ${IS_HELD}))`,
    at,
    at,
  );
  const tombstoned = yield* first<{ objects: number; bytes: number }>(
    "SELECT COUNT(*) AS objects, COALESCE(SUM(size), 0) AS bytes FROM tombstones",
  );
  const deletions = yield* first<{ count: number }>(
    "SELECT COUNT(*) AS count FROM deletions WHERE undo_until > ?",
    at,
  );
  const holds = yield* first<{ count: number }>(
    "SELECT COUNT(*) AS count FROM holds WHERE expires_at > ?",
    at,
  );
  return {
    collectable: collectable ?? { blobs: 0, bytes: 0 },
    tombstoned: tombstoned ?? { objects: 0, bytes: 0 },
    deletions: deletions?.count ?? 0,
    holds: holds?.count ?? 0,
  };
}
