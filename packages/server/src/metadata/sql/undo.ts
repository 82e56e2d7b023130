import type { Digest } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Tag } from "@stowage/oci/tag";
import type { Collected, Deletion, Durations, UndoResult } from "../metadata.ts";
import { dropUnlinkedBlobs } from "./blobs.ts";
import { MANIFEST_COLUMNS, type RecordedEdges } from "./deletions.ts";
import { insertEdges } from "./manifests.ts";
import { withinQuotas } from "./quotas.ts";
import { findRepository } from "./repositories.ts";
import { all, first, now, type SqlValue, touched, type Unit } from "./statement.ts";

interface DeletionRow {
  id: number;
  kind: Deletion["kind"];
  repository: RepositoryName;
  repository_id: number;
  reason: Deletion["reason"];
  deleted_at: number;
  deleted_by: string | null;
  undo_until: number;
}

export function* findDeletion(id: number): Unit<Deletion | null> {
  const row = yield* first<DeletionRow>(
    "SELECT * FROM deletions WHERE id = ? AND undo_until > ?",
    id,
    yield* now(),
  );
  return row === null ? null : yield* toDeletion(row);
}

export function* listDeletions(before: number | null, entriesMax: number): Unit<readonly Deletion[]> {
  const rows = yield* all<DeletionRow>(
    "SELECT * FROM deletions WHERE id < ? AND undo_until > ? ORDER BY id DESC LIMIT ?",
    before ?? Number.MAX_SAFE_INTEGER,
    yield* now(),
    entriesMax,
  );
  const deletions: Deletion[] = [];
  for (const row of rows) deletions.push(yield* toDeletion(row));
  return deletions;
}

function* toDeletion(row: DeletionRow): Unit<Deletion> {
  const manifests = yield* all<{ digest: Digest }>(
    "SELECT digest FROM deleted_manifests WHERE deletion_id = ? ORDER BY digest",
    row.id,
  );
  const tags = yield* all<{ name: Tag }>(
    "SELECT name FROM deleted_tags WHERE deletion_id = ? ORDER BY name",
    row.id,
  );
  return {
    id: row.id,
    kind: row.kind,
    repository: row.repository,
    manifests: manifests.map(({ digest }) => digest),
    tags: tags.map(({ name }) => name),
    deletedAt: row.deleted_at,
    deletedBy: row.deleted_by,
    reason: row.reason,
    undoUntil: row.undo_until,
  };
}

/** Thrown away with the transaction: what was restored so far must not stay. */
class ContentGone extends Error {
  readonly digest: Digest;

  constructor(digest: Digest) {
    super(`content ${digest} is gone`);
    this.digest = digest;
  }
}

/** The digest that keeps a deletion from being undone, or null for another error. */
export function goneDigest(error: unknown): Digest | null {
  return error instanceof ContentGone ? error.digest : null;
}

/**
 * Brings back what the deletion took. Throws when content is gone (see goneDigest) or a quota has no room for it any more,
 * so that nothing is restored and the record stays.
 */
export function* undoDeletion(id: number): Unit<UndoResult> {
  const row = yield* first<DeletionRow>(
    "SELECT * FROM deletions WHERE id = ? AND undo_until > ?",
    id,
    yield* now(),
  );
  if (row === null) return { kind: "absent" };
  return yield* withinQuotas(row.repository, () => restore(row));
}

function* restore(row: DeletionRow): Unit<UndoResult> {
  const { id } = row;
  if (row.kind === "repository") {
    if ((yield* findRepository(row.repository)) !== null) return { kind: "name-taken" };
    yield* all(
      "UPDATE repositories SET name = ?, deleted_at = NULL WHERE id = ?",
      row.repository,
      row.repository_id,
    );
    yield* all("DELETE FROM deletions WHERE id = ?", id);
    return { kind: "undone", skipped: [] };
  }
  const repository = yield* findRepository(row.repository);
  yield* restoreManifests(id, repository);
  const skipped = yield* restoreTags(id, repository);
  yield* all("DELETE FROM deletions WHERE id = ?", id);
  return { kind: "undone", skipped };
}

interface RecordedManifest {
  digest: Digest;
  row_json: string;
  edges_json: string;
  bytes: Uint8Array;
}

function* restoreManifests(deletion: number, repository: number | null): Unit<void> {
  const records = yield* all<RecordedManifest>(
    "SELECT digest, row_json, edges_json, bytes FROM deleted_manifests WHERE deletion_id = ?",
    deletion,
  );
  const restored = new Set(records.map(({ digest }) => digest));
  for (const record of records) {
    if (repository === null) throw new ContentGone(record.digest);
    yield* restoreManifest(repository, record, restored);
  }
}

function* restoreManifest(
  repository: number,
  record: RecordedManifest,
  restored: ReadonlySet<Digest>,
): Unit<void> {
  const columns = JSON.parse(record.row_json) as Readonly<Record<string, SqlValue>>;
  const edges = JSON.parse(record.edges_json) as RecordedEdges;
  const isNew = yield* touched(
    `INSERT INTO manifests (repository_id, digest, bytes, loose_since, ${MANIFEST_COLUMNS.join(", ")})
     VALUES (?, ?, ?, ?, ${MANIFEST_COLUMNS.map(() => "?").join(", ")})
     ON CONFLICT DO NOTHING RETURNING digest`,
    repository,
    record.digest,
    record.bytes,
    yield* now(),
    ...MANIFEST_COLUMNS.map((name) => columns[name] ?? null),
  );
  if (!isNew) return;
  const blobs: Digest[] = [];
  const absent: Digest[] = [];
  for (const digest of [...edges.blobs, ...edges.absent]) {
    const link = yield* first(
      "SELECT 1 FROM repository_blobs WHERE repository_id = ? AND digest = ?",
      repository,
      digest,
    );
    if (link !== null) blobs.push(digest);
    else if (edges.blobs.includes(digest)) throw new ContentGone(digest);
    else absent.push(digest);
  }
  for (const child of edges.present) {
    const found = yield* first(
      "SELECT 1 FROM manifests WHERE repository_id = ? AND digest = ?",
      repository,
      child,
    );
    if (found === null && !restored.has(child)) throw new ContentGone(child);
  }
  const to = { repository, manifest: record.digest };
  yield* insertEdges("manifest_blobs", "blob_digest", { ...to, to: blobs });
  yield* insertEdges("manifest_absent_blobs", "blob_digest", { ...to, to: absent });
  yield* insertEdges("manifest_children", "child_digest", { ...to, to: edges.children });
}

interface RecordedTag {
  name: Tag;
  digest: Digest;
  pushed_at: number;
  pushed_by: string | null;
  pulled_at: number | null;
}

/** Tags that point somewhere else by now stay there: who pushed them meant it. */
function* restoreTags(deletion: number, repository: number | null): Unit<readonly Tag[]> {
  const tags = yield* all<RecordedTag>(
    "SELECT name, digest, pushed_at, pushed_by, pulled_at FROM deleted_tags WHERE deletion_id = ?",
    deletion,
  );
  const skipped: Tag[] = [];
  for (const tag of tags) {
    const target = yield* first(
      "SELECT 1 FROM manifests WHERE repository_id = ? AND digest = ?",
      repository,
      tag.digest,
    );
    if (target === null) throw new ContentGone(tag.digest);
    const isNew = yield* touched(
      `INSERT INTO tags (repository_id, name, digest, pushed_at, pushed_by, pulled_at) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT DO NOTHING RETURNING name`,
      repository,
      tag.name,
      tag.digest,
      tag.pushed_at,
      tag.pushed_by,
      tag.pulled_at,
    );
    if (!isNew) skipped.push(tag.name);
    else {
      yield* all(
        "UPDATE manifests SET loose_since = NULL WHERE repository_id = ? AND digest = ?",
        repository,
        tag.digest,
      );
    }
  }
  return skipped;
}

/** Ends the undo time now: of one deletion, or of all. The collector then lets go of their content. */
export function* purgeDeletions(id: number | null): Unit<number> {
  const at = yield* now();
  const rows = yield* all(
    "UPDATE deletions SET undo_until = ? WHERE undo_until > ? AND (? IS NULL OR id = ?) RETURNING id",
    at,
    at,
    id,
    id,
  );
  return rows.length;
}

/** Forgets deletions past their undo time, and takes apart the repositories that they hid. */
export function* expireDeletions(max: number, durations: Durations): Unit<Collected> {
  const rows = yield* all<DeletionRow>(
    "SELECT * FROM deletions WHERE undo_until <= ? ORDER BY undo_until LIMIT ?",
    yield* now(),
    max,
  );
  let total = NOTHING;
  for (const row of rows) {
    if (total.reviewed >= max) break;
    if (row.kind === "repository") {
      total = add(total, yield* takeApart(row.repository_id, max - total.reviewed, durations));
      const isLeft = yield* first("SELECT 1 FROM repositories WHERE id = ?", row.repository_id);
      if (isLeft !== null) continue;
    }
    const released = yield* forgetDeletion(row.id);
    total = add(total, { ...NOTHING, reviewed: 1 + released });
  }
  return total;
}

const NOTHING: Collected = { reviewed: 0, unlinked: 0, blobs: 0, bytes: 0 };

function add(a: Collected, b: Collected): Collected {
  return {
    reviewed: a.reviewed + b.reviewed,
    unlinked: a.unlinked + b.unlinked,
    blobs: a.blobs + b.blobs,
    bytes: a.bytes + b.bytes,
  };
}

/** The record holds its blobs no more: the collector looks at them next. How many there were. */
function* forgetDeletion(id: number): Unit<number> {
  const links = yield* all(
    `UPDATE repository_blobs SET review_at = ?
      WHERE review_at IS NULL AND (repository_id, digest) IN
        (SELECT repository_id, digest FROM deleted_blobs WHERE deletion_id = ?) RETURNING digest`,
    yield* now(),
    id,
  );
  yield* all("DELETE FROM deletions WHERE id = ?", id);
  return links.length;
}

/** Deletes at most `max` manifests and links of a repository that lost its name, and at last the repository. */
function* takeApart(repository: number, max: number, durations: Durations): Unit<Collected> {
  const manifests = yield* all(
    `DELETE FROM manifests WHERE repository_id = ? AND digest IN
       (SELECT digest FROM manifests WHERE repository_id = ? LIMIT ?) RETURNING digest`,
    repository,
    repository,
    max,
  );
  if (manifests.length > 0) return { ...NOTHING, reviewed: manifests.length };
  const links = yield* all<{ digest: Digest }>(
    `DELETE FROM repository_blobs WHERE repository_id = ? AND digest IN
       (SELECT digest FROM repository_blobs WHERE repository_id = ? LIMIT ?) RETURNING digest`,
    repository,
    repository,
    max,
  );
  const dropped = yield* dropUnlinkedBlobs(
    links.map(({ digest }) => digest),
    durations,
  );
  if (links.length < max) yield* all("DELETE FROM repositories WHERE id = ?", repository);
  return { reviewed: links.length, unlinked: links.length, ...dropped };
}
