import type { Platform } from "@stowage/oci/descriptor";
import type { Digest } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Tag } from "@stowage/oci/tag";
import type { ManifestChild, ManifestSummary, TagQuery, TagSummary } from "../inventory.ts";
import { keyset } from "./inventory.ts";
import { findRepository } from "./repositories.ts";
import { all, batchesOf, first, repeat, type SqlValue, type Unit } from "./statement.ts";

interface PlatformColumns {
  os: string | null;
  architecture: string | null;
  variant: string | null;
}

interface TagRow extends PlatformColumns {
  name: Tag;
  digest: Digest;
  media_type: string;
  artifact_type: string | null;
  size: number;
  pushed_at: number;
  pushed_by: string | null;
  pulled_at: number | null;
}

/** Only columns that stand before the bytes of a manifest: the others cost a walk over them. */
const SELECT_TAGS = `SELECT t.name, t.digest, m.media_type, m.artifact_type, m.os, m.architecture, m.variant,
    m.size + m.content_size + (SELECT COALESCE(SUM(c.size + c.content_size), 0)
      FROM manifest_children e
      JOIN manifests c ON c.repository_id = e.repository_id AND c.digest = e.child_digest
     WHERE e.repository_id = t.repository_id AND e.manifest_digest = t.digest) AS size,
    t.pushed_at, t.pushed_by, t.pulled_at
  FROM tags t JOIN manifests m ON m.repository_id = t.repository_id AND m.digest = t.digest`;

export function* listTagSummaries(
  repository: RepositoryName,
  query: TagQuery,
): Unit<readonly TagSummary[] | null> {
  const id = yield* findRepository(repository);
  if (id === null) return null;
  const column = query.sort === "name" ? null : "t.pushed_at";
  const page = keyset({ column, name: "t.name", descending: query.descending }, query.after);
  const conditions = ["t.repository_id = ?", ...page.conditions];
  const values: SqlValue[] = [id, ...page.values];
  if (query.until !== null) {
    conditions.push("t.pushed_at <= ?");
    values.push(query.until);
  }
  const rows = yield* all<TagRow>(
    `${SELECT_TAGS} WHERE ${conditions.join(" AND ")} ${page.orderBy} LIMIT ?`,
    ...values,
    query.entriesMax,
  );
  return yield* toTags(id, rows);
}

export function* findTagSummary(repository: RepositoryName, tag: Tag): Unit<TagSummary | null> {
  const id = yield* findRepository(repository);
  if (id === null) return null;
  const rows = yield* all<TagRow>(`${SELECT_TAGS} WHERE t.repository_id = ? AND t.name = ?`, id, tag);
  const [summary] = yield* toTags(id, rows);
  return summary ?? null;
}

function* toTags(id: number, rows: readonly TagRow[]): Unit<readonly TagSummary[]> {
  const counts = new Map<Digest, number>();
  // Each digest once: a thousand tags of one manifest are counted once, not a thousand times.
  for (const batch of batchesOf([...new Set(rows.map(({ digest }) => digest))])) {
    const found = yield* all<{ digest: Digest; count: number }>(
      `SELECT digest, COUNT(*) AS count FROM tags
        WHERE repository_id = ? AND digest IN (${repeat("?", batch)}) GROUP BY digest`,
      id,
      ...batch,
    );
    for (const { digest, count } of found) counts.set(digest, count);
  }
  return rows.map((row) => ({
    name: row.name,
    digest: row.digest,
    mediaType: row.media_type,
    artifactType: row.artifact_type,
    size: row.size,
    platform: toPlatform(row),
    pushedAt: row.pushed_at,
    pushedBy: row.pushed_by,
    pulledAt: row.pulled_at,
    sharedWith: (counts.get(row.digest) ?? 1) - 1,
  }));
}

function toPlatform({ os, architecture, variant }: PlatformColumns): Platform | null {
  return os === null || architecture === null ? null : { os, architecture, variant };
}

export function* listTagsOf(
  repository: RepositoryName,
  digest: Digest,
  entriesMax: number,
): Unit<readonly Tag[]> {
  const id = yield* findRepository(repository);
  return id === null ? [] : yield* tagsOf(id, digest, entriesMax);
}

function* tagsOf(id: number, digest: Digest, entriesMax: number): Unit<readonly Tag[]> {
  const rows = yield* all<{ name: Tag }>(
    "SELECT name FROM tags WHERE repository_id = ? AND digest = ? ORDER BY name LIMIT ?",
    id,
    digest,
    entriesMax,
  );
  return rows.map(({ name }) => name);
}

interface ManifestRow extends PlatformColumns {
  media_type: string;
  artifact_type: string | null;
  subject_digest: Digest | null;
  size: number;
  content_size: number;
  pushed_at: number;
  pushed_by: string | null;
  pulled_at: number | null;
}

export function* findManifestSummary(
  repository: RepositoryName,
  digest: Digest,
  entriesMax: number,
): Unit<ManifestSummary | null> {
  const id = yield* findRepository(repository);
  if (id === null) return null;
  const row = yield* first<ManifestRow>(
    `SELECT media_type, artifact_type, subject_digest, os, architecture, variant, size, content_size,
            pushed_at, pushed_by,
            (SELECT pulled_at FROM manifest_pulls p
              WHERE p.repository_id = manifests.repository_id AND p.digest = manifests.digest) AS pulled_at
       FROM manifests WHERE repository_id = ? AND digest = ?`,
    id,
    digest,
  );
  if (row === null) return null;
  const parents = yield* all<{ digest: Digest }>(
    `SELECT manifest_digest AS digest FROM manifest_children
      WHERE repository_id = ? AND child_digest = ? ORDER BY manifest_digest LIMIT ?`,
    id,
    digest,
    entriesMax,
  );
  const referrers = yield* first<{ count: number }>(
    "SELECT COUNT(*) AS count FROM manifests WHERE repository_id = ? AND subject_digest = ?",
    id,
    digest,
  );
  const blobs = yield* all<{ digest: Digest; size: number }>(
    `SELECT b.digest, b.size FROM manifest_blobs e JOIN blobs b ON b.digest = e.blob_digest
      WHERE e.repository_id = ? AND e.manifest_digest = ? ORDER BY e.blob_digest LIMIT ?`,
    id,
    digest,
    entriesMax,
  );
  return {
    digest,
    mediaType: row.media_type,
    artifactType: row.artifact_type,
    size: row.size,
    contentSize: row.content_size,
    platform: toPlatform(row),
    pushedAt: row.pushed_at,
    pushedBy: row.pushed_by,
    pulledAt: row.pulled_at,
    subject: row.subject_digest,
    tags: yield* tagsOf(id, digest, entriesMax),
    children: yield* childrenOf(id, digest, entriesMax),
    parents: parents.map((parent) => parent.digest),
    referrers: referrers?.count ?? 0,
    blobs: blobs.map((blob) => ({ digest: blob.digest, size: blob.size })),
  };
}

interface ChildRow extends PlatformColumns {
  digest: Digest;
  media_type: string | null;
  size: number | null;
}

function* childrenOf(id: number, digest: Digest, entriesMax: number): Unit<readonly ManifestChild[]> {
  const rows = yield* all<ChildRow>(
    `SELECT e.child_digest AS digest, m.media_type, m.os, m.architecture, m.variant,
            m.size + m.content_size AS size
       FROM manifest_children e
       LEFT JOIN manifests m ON m.repository_id = e.repository_id AND m.digest = e.child_digest
      WHERE e.repository_id = ? AND e.manifest_digest = ? ORDER BY e.child_digest LIMIT ?`,
    id,
    digest,
    entriesMax,
  );
  return rows.map((row) => ({
    digest: row.digest,
    size: row.size,
    mediaType: row.media_type,
    platform: toPlatform(row),
  }));
}
