import type { Annotations } from "@stowage/oci/descriptor";
import type { Digest } from "@stowage/oci/digest";
import type { PageRequest } from "@stowage/oci/pagination";
import type { Reference } from "@stowage/oci/reference";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Tag } from "@stowage/oci/tag";
import type {
  ContentRef,
  Durations,
  ManifestRecord,
  NewManifest,
  PutManifestResult,
  Referrer,
  ReferrerQuery,
} from "../metadata.ts";
import { withinQuotas } from "./quotas.ts";
import { findRepository, requireRepository } from "./repositories.ts";
import { all, batchesOf, first, now, repeat, type Unit } from "./statement.ts";
import { findTag, putTag } from "./tags.ts";

export function* putManifest(manifest: NewManifest): Unit<PutManifestResult> {
  const repository = yield* findRepository(manifest.repository);
  const content = yield* checkContent(repository, manifest);
  if (content.kind !== "present") return content;
  const fixed = yield* findFixedTag(repository, manifest);
  if (fixed !== null) return fixed;
  yield* withinQuotas(manifest.repository, () => insertContent(manifest, content));
  return { kind: "stored" };
}

/** Manifest, edges and tags of a repository, which is made by them if need be. */
function* insertContent(manifest: NewManifest, content: PresentContent): Unit<void> {
  const id = yield* requireRepository(manifest.repository);
  yield* insertManifest(id, manifest, content.blobBytes);
  const edges = { repository: id, manifest: manifest.digest };
  yield* insertEdges("manifest_blobs", "blob_digest", { ...edges, to: content.blobs });
  yield* insertEdges("manifest_absent_blobs", "blob_digest", { ...edges, to: content.absent });
  yield* insertEdges("manifest_children", "child_digest", { ...edges, to: content.children });
  const { digest, pushedBy } = manifest;
  for (const { tag } of manifest.tags) yield* putTag(id, { tag, digest, pushedBy });
}

/** A tag of the push that must not move to the manifest, or null. */
function* findFixedTag(
  repository: number | null,
  { tags, digest }: NewManifest,
): Unit<Extract<PutManifestResult, { kind: "immutable" }> | null> {
  if (repository === null) return null;
  for (const { tag, immutable } of tags) {
    const target = immutable ? yield* findTag(repository, tag) : null;
    if (target !== null && target !== digest) return { kind: "immutable", tag, digest: target };
  }
  return null;
}

interface Edges {
  readonly repository: number;
  readonly manifest: Digest;
  readonly to: readonly Digest[];
}

export function* insertEdges(
  table: "manifest_blobs" | "manifest_absent_blobs" | "manifest_children",
  column: "blob_digest" | "child_digest",
  edges: Edges,
): Unit<void> {
  for (const batch of batchesOf(edges.to)) {
    yield* all(
      `INSERT INTO ${table} (repository_id, manifest_digest, ${column}) VALUES ${repeat("(?, ?, ?)", batch)}
       ON CONFLICT DO NOTHING`,
      ...batch.flatMap((to) => [edges.repository, edges.manifest, to]),
    );
  }
}

/** Where each piece of content was found: it decides which edge keeps it. */
interface PresentContent {
  readonly kind: "present";
  readonly blobs: readonly Digest[];
  readonly children: readonly Digest[];
  readonly absent: readonly Digest[];
  /** Bytes of the blobs that are there. */
  readonly blobBytes: number;
}

function* checkContent(
  repository: number | null,
  manifest: NewManifest,
): Unit<PresentContent | Exclude<PutManifestResult, { kind: "stored" }>> {
  const blobs: Digest[] = [];
  const children: Digest[] = [];
  const absent: Digest[] = [];
  const missing: Digest[] = [];
  let blobBytes = 0;
  const blobSizes = yield* sizesOf(BLOB_SIZES, repository, [...manifest.blobs, ...manifest.children]);
  const manifestSizes = yield* sizesOf(MANIFEST_SIZES, repository, manifest.children);
  for (const { digest, size, required } of manifest.blobs) {
    const stored = blobSizes.get(digest);
    if (isOtherSize(stored, size)) return { kind: "size-differs", digest, stored };
    blobBytes += stored ?? 0;
    if (stored !== undefined) blobs.push(digest);
    else (required ? missing : absent).push(digest);
  }
  for (const { digest, size, required } of manifest.children) {
    const stored = manifestSizes.get(digest) ?? blobSizes.get(digest);
    if (isOtherSize(stored, size)) return { kind: "size-differs", digest, stored };
    if (stored === undefined && required) missing.push(digest);
    else (stored !== undefined && !manifestSizes.has(digest) ? blobs : children).push(digest);
  }
  return missing.length > 0
    ? { kind: "unknown", missing }
    : { kind: "present", blobs, children, absent, blobBytes };
}

function isOtherSize(stored: number | undefined, wanted: number | null): stored is number {
  return stored !== undefined && wanted !== null && stored !== wanted;
}

const BLOB_SIZES = `SELECT b.digest, b.size FROM repository_blobs rb JOIN blobs b ON b.digest = rb.digest
  WHERE b.quarantined_at IS NULL AND rb.repository_id = ? AND rb.digest IN`;
const MANIFEST_SIZES = "SELECT digest, size FROM manifests WHERE repository_id = ? AND digest IN";

/** Sizes, in bytes, of what the repository has of `wanted`. */
function* sizesOf(
  select: string,
  repository: number | null,
  wanted: readonly ContentRef[],
): Unit<ReadonlyMap<Digest, number>> {
  const sizes = new Map<Digest, number>();
  if (repository === null) return sizes;
  for (const batch of batchesOf(wanted)) {
    const rows = yield* all<{ digest: Digest; size: number }>(
      `${select} (${repeat("?", batch)})`,
      repository,
      ...batch.map(({ digest }) => digest),
    );
    for (const row of rows) sizes.set(row.digest, row.size);
  }
  return sizes;
}

function* insertManifest(repository: number, manifest: NewManifest, blobBytes: number): Unit<void> {
  const { platform } = manifest;
  const at = yield* now();
  // The same bytes again may come with another Content-Type when the body has no mediaType: the last one counts.
  yield* all(
    `INSERT INTO manifests (repository_id, digest, media_type, artifact_type, subject_digest, annotations,
       os, architecture, variant, size, content_size, pushed_at, pushed_by, bytes, loose_since)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (repository_id, digest) DO UPDATE SET media_type = excluded.media_type,
       artifact_type = excluded.artifact_type, pushed_at = excluded.pushed_at, pushed_by = excluded.pushed_by,
       loose_since = CASE WHEN manifests.loose_since IS NULL THEN NULL ELSE excluded.loose_since END`,
    repository,
    manifest.digest,
    manifest.mediaType,
    manifest.artifactType,
    manifest.subject,
    manifest.annotations === null ? null : JSON.stringify(manifest.annotations),
    platform?.os ?? null,
    platform?.architecture ?? null,
    platform?.variant ?? null,
    manifest.bytes.byteLength,
    manifest.contentSize ?? blobBytes,
    at,
    manifest.pushedBy,
    manifest.bytes,
    manifest.tags.length > 0 ? null : at,
  );
}

interface ManifestRow {
  digest: Digest;
  media_type: string;
  bytes: Uint8Array;
  loose_since: number | null;
}

export function* findManifest(repository: RepositoryName, reference: Reference): Unit<ManifestRecord | null> {
  const row =
    reference.kind === "tag"
      ? yield* first<ManifestRow>(
          `SELECT m.digest, m.media_type, m.bytes, m.loose_since
             FROM repositories r
             JOIN tags t ON t.repository_id = r.id AND t.name = ?
             JOIN manifests m ON m.repository_id = t.repository_id AND m.digest = t.digest
            WHERE r.name = ?`,
          reference.tag,
          repository,
        )
      : yield* first<ManifestRow>(
          `SELECT m.digest, m.media_type, m.bytes, m.loose_since
             FROM repositories r JOIN manifests m ON m.repository_id = r.id AND m.digest = ?
            WHERE r.name = ?`,
          reference.digest,
          repository,
        );
  if (row === null) return null;
  return { digest: row.digest, mediaType: row.media_type, bytes: row.bytes, looseSince: row.loose_since };
}

/** Whether less than half is left of the time for which a loose manifest is kept, so that it must be renewed. */
export function* isManifestLeaseShort(manifest: ManifestRecord, durations: Durations): Unit<boolean> {
  if (manifest.looseSince === null) return false;
  return (yield* now()) - manifest.looseSince > durations.leaseMs / 2;
}

/** Begins the lease anew if the manifest is still there: the check and the promise are one transaction. */
export function* leaseManifest(
  repository: RepositoryName,
  reference: Reference,
): Unit<ManifestRecord | null> {
  const found = yield* findManifest(repository, reference);
  if (found === null) return null;
  yield* all(
    `UPDATE manifests SET loose_since = ? WHERE loose_since < ? AND digest = ?
        AND repository_id = (SELECT id FROM repositories WHERE name = ?)`,
    yield* now(),
    yield* now(),
    found.digest,
    repository,
  );
  return found;
}

export function* listTags(repository: RepositoryName, page: PageRequest): Unit<readonly Tag[] | null> {
  const id = yield* findRepository(repository);
  if (id === null) return null;
  const rows = yield* all<{ name: Tag }>(
    "SELECT name FROM tags WHERE repository_id = ? AND name > ? ORDER BY name LIMIT ?",
    id,
    page.after,
    page.entriesMax,
  );
  return rows.map((row) => row.name);
}

interface ReferrerRow {
  digest: Digest;
  media_type: string;
  artifact_type: string | null;
  size: number;
  annotations: string | null;
}

export function* listReferrers(
  repository: RepositoryName,
  subject: Digest,
  query: ReferrerQuery,
): Unit<readonly Referrer[]> {
  const rows = yield* all<ReferrerRow>(
    `SELECT m.digest, m.media_type, m.artifact_type, m.size, m.annotations
       FROM repositories r JOIN manifests m ON m.repository_id = r.id
      WHERE r.name = ? AND m.subject_digest = ? AND m.digest > ?
        AND (? IS NULL OR m.artifact_type = ?)
      ORDER BY m.digest LIMIT ?`,
    repository,
    subject,
    query.after,
    query.artifactType,
    query.artifactType,
    query.entriesMax,
  );
  return rows.map((row) => ({
    digest: row.digest,
    mediaType: row.media_type,
    artifactType: row.artifact_type,
    size: row.size,
    annotations: row.annotations === null ? null : (JSON.parse(row.annotations) as Annotations),
  }));
}
