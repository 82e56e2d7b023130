import type { Database } from "bun:sqlite";
import { algorithmOf, type Digest } from "@stowage/oci/digest";
import { digestedBytes, type Manifest, parseManifest } from "@stowage/oci/manifest";

/** Manifests that are in memory at once. */
const MANIFESTS_PAGE = 200;

interface ManifestRow {
  rowid: number;
  repository_id: number;
  name: string;
  digest: Digest;
  media_type: string;
  bytes: Uint8Array;
}

interface Content {
  readonly digest: Digest;
  /** Bytes; null when the manifest does not say (schema 1). */
  readonly size: number | null;
}

export interface ManifestCheck {
  readonly database: Database;
  /** Indexes may list what is not there. */
  readonly allowSparse: boolean;
}

/** Checks each manifest against its digest and what it says it needs; how many there are. */
export function checkManifests(check: ManifestCheck, findings: string[]): number {
  const { database } = check;
  const page = database.query<ManifestRow, [number, number]>(
    `SELECT m.rowid, m.repository_id, r.name, m.digest, m.media_type, m.bytes
       FROM manifests m JOIN repositories r ON r.id = m.repository_id
      WHERE m.rowid > ? ORDER BY m.rowid LIMIT ?`,
  );
  let count = 0;
  for (let after = 0; ;) {
    const rows = page.all(after, MANIFESTS_PAGE);
    for (const row of rows) {
      findings.push(
        ...problemsOf(check, row).map((text) => `manifest ${row.digest} of "${row.name}": ${text}`),
      );
    }
    count += rows.length;
    const last = rows.at(-1);
    if (last === undefined) return count;
    after = last.rowid;
  }
}

function problemsOf(check: ManifestCheck, row: ManifestRow): readonly string[] {
  const algorithm = algorithmOf(row.digest);
  const parsed = parseManifest(row.bytes, row.media_type);
  const digested = parsed.ok ? digestedBytes(parsed.manifest, row.bytes) : row.bytes;
  const digest = `${algorithm}:${new Bun.CryptoHasher(algorithm).update(digested).digest("hex")}`;
  if (digest !== row.digest) return ["its bytes have another digest"];
  if (!parsed.ok) return [`it cannot be read: ${parsed.problem}`];
  return needsOf(parsed.manifest).flatMap((content) => {
    const problem = problemOfContent(check, row, content);
    return problem === null ? [] : [problem];
  });
}

function needsOf(manifest: Manifest): readonly Content[] {
  switch (manifest.kind) {
    case "index":
      return manifest.manifests;
    case "image":
      return [manifest.config, ...manifest.layers];
    case "schema1":
      return manifest.fsLayers.map((digest) => ({ digest, size: null }));
    default:
      return manifest satisfies never;
  }
}

interface ContentRow {
  /** Bytes, as blob of the repository and as manifest of it. */
  blob: number | null;
  child: number | null;
  /** Whether the manifest has an edge of each kind. */
  held: number;
  listed: number;
  absent: number;
}

type ContentKey = Record<"repository" | "manifest" | "wanted", string | number>;

/** Content is a blob that the manifest holds, a manifest of the repository, or recorded as allowed to be absent. */
function problemOfContent(
  { database, allowSparse }: ManifestCheck,
  manifest: ManifestRow,
  { digest: wanted, size }: Content,
): string | null {
  const key = { repository: manifest.repository_id, manifest: manifest.digest, wanted };
  const row = database
    .query<ContentRow, ContentKey>(
      `SELECT
         (SELECT b.size FROM repository_blobs l JOIN blobs b ON b.digest = l.digest
           WHERE l.repository_id = $repository AND l.digest = $wanted) AS blob,
         (SELECT size FROM manifests WHERE repository_id = $repository AND digest = $wanted) AS child,
         EXISTS (SELECT 1 FROM manifest_blobs
           WHERE repository_id = $repository AND manifest_digest = $manifest AND blob_digest = $wanted) AS held,
         EXISTS (SELECT 1 FROM manifest_children
           WHERE repository_id = $repository AND manifest_digest = $manifest AND child_digest = $wanted) AS listed,
         EXISTS (SELECT 1 FROM manifest_absent_blobs
           WHERE repository_id = $repository AND manifest_digest = $manifest AND blob_digest = $wanted) AS absent`,
    )
    .get(key);
  if (row === null || !(row.held || row.listed || row.absent)) {
    return `it needs ${wanted}, which nothing keeps for it`;
  }
  if (row.absent) return null;
  const bytes = row.held ? row.blob : row.child;
  if (bytes !== null && (size === null || bytes === size)) return null;
  if (bytes !== null) return `${wanted} has ${bytes} bytes; wanted ${size}`;
  return allowSparse ? null : `it needs ${wanted}, which is not there (allowed with --allow-sparse only)`;
}
