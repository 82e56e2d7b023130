import type { Digest } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Tag } from "@stowage/oci/tag";
import type {
  Actor,
  DeleteManifestOptions,
  DeleteManifestResult,
  DeletePreview,
  Deletion,
  Durations,
} from "../metadata.ts";
import { findRepository } from "./repositories.ts";
import { all, batchesOf, first, now, repeat, type Unit } from "./statement.ts";

/** Most manifests that one deletion takes along; further parts stay and are loose. */
const PARTS_MAX = 1_000;

/** Deletes a manifest with its tags (and its parts), and keeps a record that undoes it for a while. */
export function* deleteManifest(
  repository: RepositoryName,
  digest: Digest,
  options: DeleteManifestOptions,
  durations: Durations,
): Unit<DeleteManifestResult> {
  const id = yield* findRepository(repository);
  if (id === null || !(yield* hasManifest(id, digest))) return { kind: "absent" };
  if (!options.evenIfListed && (yield* isListed(id, digest, [digest]))) return { kind: "in-use" };
  const members = options.withParts ? yield* partsOf(id, digest) : [digest];
  const tags = yield* tagsOf(id, members);
  const immutable = tags.find(({ name }) => options.isImmutable(name));
  if (immutable !== undefined) return { kind: "immutable", tag: immutable.name };
  const deletion = yield* startDeletion("manifest", { repository, id, by: options.by }, durations);
  for (const member of members) yield* recordManifest(deletion, id, member);
  for (const tag of tags) yield* recordTag(deletion, tag);
  yield* dropManifests(id, members);
  return { kind: "deleted", deletion };
}

export function* deleteTag(
  repository: RepositoryName,
  tag: Tag,
  by: Actor,
  durations: Durations,
): Unit<number | null> {
  const id = yield* findRepository(repository);
  if (id === null) return null;
  const row = yield* first<TagRow>(
    "DELETE FROM tags WHERE repository_id = ? AND name = ? RETURNING name, digest, pushed_at, pushed_by, pulled_at",
    id,
    tag,
  );
  if (row === null) return null;
  const deletion = yield* startDeletion("tag", { repository, id, by }, durations);
  yield* recordTag(deletion, row);
  yield* markLoose(id, [row.digest]);
  return deletion;
}

/** The repository keeps its rows and loses its name: constant time, whatever it holds. */
export function* deleteRepository(
  repository: RepositoryName,
  by: Actor,
  durations: Durations,
): Unit<number | null> {
  const id = yield* findRepository(repository);
  if (id === null) return null;
  const deletion = yield* startDeletion("repository", { repository, id, by }, durations);
  // No repository can be called that, so nobody reaches it by a name any more.
  yield* all(
    "UPDATE repositories SET name = ?, deleted_at = ? WHERE id = ?",
    `~${deletion}`,
    yield* now(),
    id,
  );
  return deletion;
}

export function* previewDelete(
  repository: RepositoryName,
  digest: Digest,
  withParts: boolean,
): Unit<DeletePreview | null> {
  const id = yield* findRepository(repository);
  if (id === null || !(yield* hasManifest(id, digest))) return null;
  const manifests = withParts ? yield* partsOf(id, digest) : [digest];
  const tags = (yield* tagsOf(id, manifests)).map(({ name }) => name);
  let bytes = 0;
  for (const batch of batchesOf(manifests)) {
    const rows = yield* all<{ size: number }>(
      `SELECT size FROM manifests WHERE repository_id = ? AND digest IN (${repeat("?", batch)})`,
      id,
      ...batch,
    );
    for (const { size } of rows) bytes += size;
  }
  let blobs = 0;
  for (const blob of yield* blobsOf(id, manifests)) {
    const size = yield* freedBytes(id, blob, new Set(manifests));
    if (size === null) continue;
    blobs += 1;
    bytes += size;
  }
  return { manifests, tags, blobs, bytes };
}

/** Bytes of a blob that nothing but `leaving` needs, in this repository or another; else null. */
function* freedBytes(id: number, blob: Digest, leaving: ReadonlySet<Digest>): Unit<number | null> {
  const elsewhere = yield* first(
    "SELECT 1 FROM repository_blobs WHERE digest = ? AND repository_id <> ? LIMIT 1",
    blob,
    id,
  );
  if (elsewhere !== null) return null;
  const users = yield* all<{ manifest_digest: Digest }>(
    "SELECT manifest_digest FROM manifest_blobs WHERE repository_id = ? AND blob_digest = ? LIMIT ?",
    id,
    blob,
    leaving.size + 1,
  );
  if (users.some(({ manifest_digest }) => !leaving.has(manifest_digest))) return null;
  return (yield* first<{ size: number }>("SELECT size FROM blobs WHERE digest = ?", blob))?.size ?? null;
}

/**
 * The manifest and what only it holds: children that no other index lists and referrers of those, as far as they
 * have no tag of their own.
 */
function* partsOf(id: number, digest: Digest): Unit<readonly Digest[]> {
  const members: Digest[] = [digest];
  for (let at = 0; at < members.length; at++) {
    const member = members[at];
    if (member === undefined) break;
    for (const part of yield* dependantsOf(id, member)) {
      if (members.length >= PARTS_MAX) return members;
      if (members.includes(part) || (yield* isListed(id, part, members))) continue;
      members.push(part);
    }
  }
  return members;
}

/** Untagged children and referrers of a manifest that are in its repository. */
function* dependantsOf(id: number, digest: Digest): Unit<readonly Digest[]> {
  const rows = yield* all<{ digest: Digest }>(
    `SELECT m.digest FROM manifests m
      WHERE m.repository_id = ?
        AND (m.subject_digest = ? OR m.digest IN
             (SELECT child_digest FROM manifest_children WHERE repository_id = ? AND manifest_digest = ?))
        AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.repository_id = m.repository_id AND t.digest = m.digest)
      ORDER BY m.digest`,
    id,
    digest,
    id,
    digest,
  );
  return rows.map((row) => row.digest);
}

/** Whether an index of the repository lists the manifest, other than those in `except`. */
export function* isListed(id: number, digest: Digest, except: readonly Digest[]): Unit<boolean> {
  const parents = yield* all<{ manifest_digest: Digest }>(
    "SELECT manifest_digest FROM manifest_children WHERE repository_id = ? AND child_digest = ? LIMIT ?",
    id,
    digest,
    except.length + 1,
  );
  return parents.some((parent) => !except.includes(parent.manifest_digest));
}

function* hasManifest(id: number, digest: Digest): Unit<boolean> {
  return (
    (yield* first("SELECT 1 FROM manifests WHERE repository_id = ? AND digest = ?", id, digest)) !== null
  );
}

interface TagRow {
  name: Tag;
  digest: Digest;
  pushed_at: number;
  pushed_by: string | null;
  pulled_at: number | null;
}

function* tagsOf(id: number, manifests: readonly Digest[]): Unit<readonly TagRow[]> {
  const tags: TagRow[] = [];
  for (const digest of manifests) {
    const rows = yield* all<TagRow>(
      `SELECT name, digest, pushed_at, pushed_by, pulled_at FROM tags
        WHERE repository_id = ? AND digest = ? ORDER BY name`,
      id,
      digest,
    );
    tags.push(...rows);
  }
  return tags;
}

function* blobsOf(id: number, manifests: readonly Digest[]): Unit<readonly Digest[]> {
  return yield* edgesOf(id, manifests, { table: "manifest_blobs", column: "blob_digest" });
}

interface EdgeTable {
  readonly table: "manifest_blobs" | "manifest_absent_blobs" | "manifest_children";
  readonly column: "blob_digest" | "child_digest";
}

function* edgesOf(
  id: number,
  manifests: readonly Digest[],
  { table, column }: EdgeTable,
): Unit<readonly Digest[]> {
  const found = new Set<Digest>();
  for (const batch of batchesOf(manifests)) {
    const rows = yield* all<{ digest: Digest }>(
      `SELECT ${column} AS digest FROM ${table}
        WHERE repository_id = ? AND manifest_digest IN (${repeat("?", batch)})`,
      id,
      ...batch,
    );
    for (const { digest } of rows) found.add(digest);
  }
  return [...found];
}

/**
 * Deletes manifests with their tags and edges. The record of the deletion holds their blobs from now on; what they
 * listed, or were the subject of, is loose.
 */
function* dropManifests(id: number, members: readonly Digest[]): Unit<void> {
  const children = yield* edgesOf(id, members, { table: "manifest_children", column: "child_digest" });
  for (const batch of batchesOf(members)) {
    const places = repeat("?", batch);
    yield* all(`DELETE FROM manifests WHERE repository_id = ? AND digest IN (${places})`, id, ...batch);
    yield* all(
      `UPDATE manifests SET loose_since = ?
        WHERE repository_id = ? AND subject_digest IN (${places}) AND loose_since IS NULL`,
      yield* now(),
      id,
      ...batch,
    );
  }
  yield* markLoose(id, children);
}

/** Says since when nothing may hold these manifests any more; the collector looks whether that is so. */
export function* markLoose(id: number, manifests: readonly Digest[]): Unit<void> {
  for (const batch of batchesOf(manifests)) {
    yield* all(
      `UPDATE manifests SET loose_since = ?
        WHERE repository_id = ? AND digest IN (${repeat("?", batch)}) AND loose_since IS NULL
          AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.repository_id = manifests.repository_id AND t.digest = manifests.digest)`,
      yield* now(),
      id,
      ...batch,
    );
  }
}

interface DeletedFrom {
  readonly repository: RepositoryName;
  readonly id: number;
  readonly by: Actor;
}

function* startDeletion(
  kind: Deletion["kind"],
  { repository, id, by }: DeletedFrom,
  durations: Durations,
): Unit<number> {
  const at = yield* now();
  const row = yield* first<{ id: number }>(
    `INSERT INTO deletions (kind, repository, repository_id, reason, deleted_at, deleted_by, undo_until)
     VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id`,
    kind,
    repository,
    id,
    by.reason,
    at,
    by.name,
    at + durations.undoMs,
  );
  if (row === null) throw new Error("INSERT INTO deletions returned no row");
  return row.id;
}

/** The columns of a manifest's row that its record keeps, apart from key and bytes. */
export const MANIFEST_COLUMNS = [
  "media_type",
  "artifact_type",
  "subject_digest",
  "annotations",
  "os",
  "architecture",
  "variant",
  "size",
  "content_size",
  "pushed_at",
  "pushed_by",
] as const;

/** What a deleted manifest held. */
export interface RecordedEdges {
  readonly blobs: readonly Digest[];
  readonly absent: readonly Digest[];
  /** Entries of an index. */
  readonly children: readonly Digest[];
  /** Those of `children` that were there. */
  readonly present: readonly Digest[];
}

function* recordManifest(deletion: number, id: number, digest: Digest): Unit<void> {
  const children = yield* edgesOf(id, [digest], { table: "manifest_children", column: "child_digest" });
  const present: Digest[] = [];
  for (const child of children) if (yield* hasManifest(id, child)) present.push(child);
  const edges: RecordedEdges = {
    blobs: yield* blobsOf(id, [digest]),
    absent: yield* edgesOf(id, [digest], { table: "manifest_absent_blobs", column: "blob_digest" }),
    children,
    present,
  };
  const columns = MANIFEST_COLUMNS.map((name) => `'${name}', ${name}`).join(", ");
  yield* all(
    `INSERT INTO deleted_blobs (repository_id, digest, deletion_id)
       SELECT repository_id, blob_digest, ? FROM manifest_blobs WHERE repository_id = ? AND manifest_digest = ?
       ON CONFLICT DO NOTHING`,
    deletion,
    id,
    digest,
  );
  yield* all(
    `INSERT INTO deleted_manifests (deletion_id, digest, row_json, edges_json, bytes)
       SELECT ?, digest, json_object(${columns}), ?, bytes FROM manifests WHERE repository_id = ? AND digest = ?`,
    deletion,
    JSON.stringify(edges),
    id,
    digest,
  );
}

function* recordTag(deletion: number, tag: TagRow): Unit<void> {
  yield* all(
    "INSERT INTO deleted_tags (deletion_id, name, digest, pushed_at, pushed_by, pulled_at) VALUES (?, ?, ?, ?, ?, ?)",
    deletion,
    tag.name,
    tag.digest,
    tag.pushed_at,
    tag.pushed_by,
    tag.pulled_at,
  );
}
