import type { Digest, DigestAlgorithm } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { StorageKey } from "../../blobstore/blob-store.ts";
import type { UploadId } from "@stowage/oci/upload-id";
import type { BlobRecord, Durations, UploadProgress, UploadSession } from "../metadata.ts";
import { linkBlob } from "./blobs.ts";
import { chargedBytes, hasQuotas, withinQuotas } from "./quotas.ts";
import { setRepaired } from "./scrub.ts";
import { all, first, now, touched, type Unit } from "./statement.ts";
import { addTombstone, dropNow } from "./tombstones.ts";

interface UploadRow {
  id: UploadId;
  repository: RepositoryName;
  principal: string | null;
  algorithm: DigestAlgorithm;
  byte_offset: number;
  digest_so_far: Digest | null;
  finished_digest: Digest | null;
  reserved_bytes: number;
}

export function* startUpload(
  session: Pick<UploadSession, "id" | "repository" | "principal" | "algorithm">,
  durations: Durations,
): Unit<void> {
  const at = yield* now();
  yield* all(
    `INSERT INTO uploads (id, repository, principal, algorithm, byte_offset, started_at, expires_at)
     VALUES (?, ?, ?, ?, 0, ?, ?)`,
    session.id,
    session.repository,
    session.principal,
    session.algorithm,
    at,
    at + durations.uploadAgeMsMax,
  );
}

/** The session while its time has not passed; an expired one is gone before the collector comes by. */
export function* findUpload(id: UploadId): Unit<UploadSession | null> {
  const row = yield* first<UploadRow>(
    `SELECT id, repository, principal, algorithm, byte_offset, digest_so_far, finished_digest,
            reserved_bytes
       FROM uploads WHERE id = ? AND expires_at > ?`,
    id,
    yield* now(),
  );
  if (row === null) return null;
  return {
    id: row.id,
    repository: row.repository,
    principal: row.principal,
    algorithm: row.algorithm,
    offset: row.byte_offset,
    digestSoFar: row.digest_so_far,
    finished: row.finished_digest,
    charged: Math.max(row.byte_offset, row.reserved_bytes),
  };
}

export function* advanceUpload(id: UploadId, progress: UploadProgress, durations: Durations): Unit<boolean> {
  const session = yield* findUpload(id);
  if (session === null) return false;
  return yield* withinQuotas(session.repository, () => moveOffset(id, progress, durations));
}

function* moveOffset(id: UploadId, progress: UploadProgress, durations: Durations): Unit<boolean> {
  const at = yield* now();
  return yield* touched(
    `UPDATE uploads SET byte_offset = ?, digest_so_far = ?, expires_at = ?
      WHERE id = ? AND byte_offset = ? AND finished_digest IS NULL AND expires_at > ? RETURNING id`,
    progress.to,
    progress.digestSoFar,
    at + durations.uploadAgeMsMax,
    id,
    progress.from,
    at,
  );
}

export function* touchUpload(id: UploadId, durations: Durations): Unit<void> {
  yield* all(
    "UPDATE uploads SET expires_at = ? WHERE id = ? AND finished_digest IS NULL",
    (yield* now()) + durations.uploadAgeMsMax,
    id,
  );
}

export function* prepareFinish(
  id: UploadId,
  blob: BlobRecord,
  uploadKey: StorageKey,
  durations: Durations,
): Unit<"exists" | "proceed" | "gone"> {
  const session = yield* findUpload(id);
  if (session?.finished === blob.digest) return "exists";
  if (session === null || session.finished !== null) return "gone";
  // An earlier attempt's intent ran out: the object at this key is about to be deleted, and so would a new one be.
  const doomed = yield* first("SELECT 1 FROM tombstones WHERE storage_key = ?", blob.storageKey);
  if (doomed !== null) return "gone";
  const present = yield* first(
    "SELECT 1 FROM blobs WHERE digest = ? AND quarantined_at IS NULL",
    blob.digest,
  );
  if (present !== null) {
    yield* withinQuotas(session.repository, () => endSession(session, blob.digest, durations));
    yield* dropNow(uploadKey, blob.size);
    return "exists";
  }
  if (yield* hasQuotas()) yield* withinQuotas(session.repository, () => reserve(session, blob));
  yield* all(
    `INSERT INTO intents (storage_key, expires_at, upload_id) VALUES (?, ?, ?)
     ON CONFLICT (storage_key) DO UPDATE SET expires_at = excluded.expires_at`,
    blob.storageKey,
    (yield* now()) + durations.intentMs,
    id,
  );
  return "proceed";
}

/** Charges the session for the whole blob from now on, so that `finish` finds room for it. */
function* reserve({ id, repository }: UploadSession, { digest, size }: BlobRecord): Unit<void> {
  // A repository that is charged for the blob already gets the bytes of a damaged one back.
  if ((yield* chargedBytes(repository, digest)) !== null) return;
  yield* all("UPDATE uploads SET reserved_bytes = ? WHERE id = ?", size, id);
}

export function* finishUpload(
  id: UploadId,
  blob: BlobRecord,
  durations: Durations,
): Unit<"finished" | "gone"> {
  const session = yield* findUpload(id);
  if (session?.finished === blob.digest) return "finished";
  // Without its intent the object at this key may be deleted at any moment: it must not become a blob.
  const intended = yield* touched(
    "DELETE FROM intents WHERE storage_key = ? RETURNING storage_key",
    blob.storageKey,
  );
  if (session === null || session.finished !== null || !intended) {
    if (intended) yield* dropNow(blob.storageKey, blob.size);
    return "gone";
  }
  yield* withinQuotas(session.repository, function* () {
    yield* insertBlob(blob, durations);
    yield* endSession(session, blob.digest, durations);
  });
  return "finished";
}

/** Makes `blob` the registry's copy, unless it has one that is sound: then the new copy is left to garbage. */
function* insertBlob(blob: BlobRecord, durations: Durations): Unit<void> {
  const at = yield* now();
  const present = yield* first<{ storage_key: StorageKey; quarantined_at: number | null }>(
    "SELECT storage_key, quarantined_at FROM blobs WHERE digest = ?",
    blob.digest,
  );
  if (present === null) {
    // It was hashed while it came: that counts as its first verification.
    yield* all(
      "INSERT INTO blobs (digest, size, storage_key, created_at, verified_at) VALUES (?, ?, ?, ?, ?)",
      blob.digest,
      blob.size,
      blob.storageKey,
      at,
      at,
    );
  } else if (present.quarantined_at === null) {
    yield* dropNow(blob.storageKey, blob.size);
  } else {
    yield* addTombstone({ key: present.storage_key, size: blob.size }, at + durations.tombstoneGraceMs);
    yield* all(
      "UPDATE blobs SET size = ?, storage_key = ?, quarantined_at = NULL, verified_at = ? WHERE digest = ?",
      blob.size,
      blob.storageKey,
      at,
      blob.digest,
    );
    yield* setRepaired(blob.digest);
  }
}

/** Links the blob and keeps the session for a while, so that a repeated finalise is answered the same. */
function* endSession(session: UploadSession, digest: Digest, durations: Durations): Unit<void> {
  yield* linkBlob(session.repository, digest, durations);
  yield* all(
    "UPDATE uploads SET finished_digest = ?, expires_at = ? WHERE id = ?",
    digest,
    (yield* now()) + durations.finishedUploadMs,
    session.id,
  );
}

export function* cancelUpload(id: UploadId, uploadKey: StorageKey): Unit<boolean> {
  const ended = yield* touched(
    "DELETE FROM uploads WHERE id = ? AND finished_digest IS NULL RETURNING id",
    id,
  );
  if (ended) yield* dropNow(uploadKey);
  return ended;
}
