import type { Digest } from "@stowage/oci/digest";
import type { StorageKey } from "../../blobstore/blob-store.ts";
import type { BlobRecord, ScrubFinding, ScrubProblem } from "../metadata.ts";
import { all, now, touched, type Unit } from "./statement.ts";

export function* nextToVerify(before: number, max: number): Unit<readonly BlobRecord[]> {
  return yield* all<BlobRecord>(
    `SELECT digest, size, storage_key AS storageKey FROM blobs
      WHERE quarantined_at IS NULL AND verified_at < ? ORDER BY verified_at LIMIT ?`,
    before,
    max,
  );
}

export function* setVerified(blobs: readonly BlobRecord[], notBefore: number): Unit<void> {
  const at = Math.max(yield* now(), notBefore);
  for (const { digest, storageKey } of blobs) {
    yield* all(
      "UPDATE blobs SET verified_at = ? WHERE digest = ? AND storage_key = ?",
      at,
      digest,
      storageKey,
    );
  }
}

export function* quarantine({ digest, storageKey }: BlobRecord, problem: ScrubProblem): Unit<boolean> {
  const at = yield* now();
  const isHit = yield* touched(
    `UPDATE blobs SET quarantined_at = ? WHERE digest = ? AND storage_key = ? AND quarantined_at IS NULL
     RETURNING digest`,
    at,
    digest,
    storageKey,
  );
  if (!isHit) return false;
  yield* all(
    "INSERT INTO scrub_findings (digest, storage_key, problem, found_at) VALUES (?, ?, ?, ?)",
    digest,
    storageKey,
    problem,
    at,
  );
  return true;
}

/** A push brought the bytes of a quarantined blob back. */
export function* setRepaired(digest: Digest): Unit<void> {
  yield* all(
    "UPDATE scrub_findings SET repaired_at = ? WHERE digest = ? AND repaired_at IS NULL",
    yield* now(),
    digest,
  );
}

interface FindingRow {
  id: number;
  digest: Digest;
  storage_key: StorageKey;
  problem: ScrubProblem;
  found_at: number;
  repaired_at: number | null;
}

export function* listFindings(before: number | null, entriesMax: number): Unit<readonly ScrubFinding[]> {
  const rows = yield* all<FindingRow>(
    `SELECT id, digest, storage_key, problem, found_at, repaired_at FROM scrub_findings
      WHERE id < ? ORDER BY id DESC LIMIT ?`,
    before ?? Number.MAX_SAFE_INTEGER,
    entriesMax,
  );
  return rows.map((row) => ({
    id: row.id,
    digest: row.digest,
    storageKey: row.storage_key,
    problem: row.problem,
    foundAt: row.found_at,
    repairedAt: row.repaired_at,
  }));
}
