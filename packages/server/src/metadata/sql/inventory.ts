import type { Digest } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type {
  BlobLink,
  BlobLinkQuery,
  BlobSummary,
  ExclusivePage,
  ExclusiveQuery,
  Position,
  RepositoryQuery,
  RepositorySummary,
} from "../inventory.ts";
import { withinQuotas } from "./quotas.ts";
import { findRepository } from "./repositories.ts";
import { all, first, now, type SqlValue, touched, type Unit } from "./statement.ts";

interface RepositoryRow {
  name: RepositoryName;
  manifest_count: number;
  tag_count: number;
  logical_bytes: number;
  blob_bytes: number;
  pushed_at: number | null;
  created_at: number;
}

const REPOSITORY_COLUMNS =
  "name, manifest_count, tag_count, logical_bytes, blob_bytes, pushed_at, created_at";

/** What a page of repositories can be sorted by; the name decides between equals. */
const REPOSITORY_ORDER: Readonly<Record<RepositoryQuery["sort"], string | null>> = {
  name: null,
  pushed: "COALESCE(pushed_at, 0)",
  size: "blob_bytes",
  tags: "tag_count",
};

export function* listRepositorySummaries(query: RepositoryQuery): Unit<readonly RepositorySummary[]> {
  const column = REPOSITORY_ORDER[query.sort];
  const page = keyset({ column, name: "name", descending: query.descending }, query.after);
  const conditions = ["deleted_at IS NULL", ...page.conditions];
  const values: SqlValue[] = [...page.values];
  if (query.prefix !== "") {
    // Every character of a name sorts before "~".
    conditions.push("name >= ?", "name < ?");
    values.push(query.prefix, `${query.prefix}~`);
  }
  if (query.search !== "") {
    // Names have no capitals, so both engines agree about the case.
    conditions.push("name LIKE ? ESCAPE '\\'");
    values.push(`%${query.search.toLowerCase().replaceAll(/[\\%_]/g, "\\$&")}%`);
  }
  if (query.until !== null) {
    conditions.push("COALESCE(pushed_at, 0) <= ?");
    values.push(query.until);
  }
  const rows = yield* all<RepositoryRow>(
    `SELECT ${REPOSITORY_COLUMNS} FROM repositories WHERE ${conditions.join(" AND ")} ${page.orderBy} LIMIT ?`,
    ...values,
    query.entriesMax,
  );
  return rows.map(toRepository);
}

interface Order {
  /** Expression that is sorted by, or null for the name alone. */
  readonly column: string | null;
  readonly name: string;
  readonly descending: boolean;
}

interface Keyset {
  readonly conditions: readonly string[];
  readonly values: readonly SqlValue[];
  readonly orderBy: string;
}

/** Conditions and order of the page after a position: what comes and goes between pages moves nothing else. */
export function keyset({ column, name, descending }: Order, after: Position | null): Keyset {
  const direction = descending ? "DESC" : "ASC";
  const beyond = descending ? "<" : ">";
  const by = column === null ? "" : `${column} ${direction}, `;
  const orderBy = `ORDER BY ${by}${name} ${direction}`;
  if (after === null) return { conditions: [], values: [], orderBy };
  if (column === null) return { conditions: [`${name} ${beyond} ?`], values: [after.name], orderBy };
  return {
    conditions: [`(${column}, ${name}) ${beyond} (?, ?)`],
    values: [after.value, after.name],
    orderBy,
  };
}

export function* findRepositorySummary(name: RepositoryName): Unit<RepositorySummary | null> {
  const row = yield* first<RepositoryRow>(
    `SELECT ${REPOSITORY_COLUMNS} FROM repositories WHERE name = ?`,
    name,
  );
  return row === null ? null : toRepository(row);
}

function toRepository(row: RepositoryRow): RepositorySummary {
  return {
    name: row.name,
    manifests: row.manifest_count,
    tags: row.tag_count,
    logicalBytes: row.logical_bytes,
    blobBytes: row.blob_bytes,
    pushedAt: row.pushed_at,
    createdAt: row.created_at,
  };
}

export function* createRepository(name: RepositoryName): Unit<boolean> {
  const at = yield* now();
  return yield* withinQuotas(name, () =>
    touched(
      "INSERT INTO repositories (name, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING id",
      name,
      at,
    ),
  );
}

/**
 * Of two repositories of a namespace that have the blob the older counts it; looked at in that order, a blob that all
 * of them have is decided by the first row.
 */
const HELD_OUTSIDE_NAMESPACE = `EXISTS (
  SELECT 1 FROM repository_blobs o JOIN repositories r ON r.id = o.repository_id
   WHERE o.digest = l.digest AND o.repository_id <> l.repository_id
     AND (o.repository_id < l.repository_id OR NOT (r.name = ? OR (r.name >= ? AND r.name < ?))))`;

const HELD_ELSEWHERE =
  "EXISTS (SELECT 1 FROM repository_blobs o WHERE o.digest = l.digest AND o.repository_id <> l.repository_id)";

export function* sumExclusive(repository: RepositoryName, query: ExclusiveQuery): Unit<ExclusivePage> {
  const { scope, after, entriesMax } = query;
  const id = yield* findRepository(repository);
  if (id === null) return { next: null, blobs: 0, bytes: 0 };
  const isAlone = scope === "repository";
  // "0" is the character after "/".
  const range = isAlone ? [] : [scope.namespace, `${scope.namespace}/`, `${scope.namespace}0`];
  const rows = yield* all<{ digest: Digest; size: number; is_held: number | boolean }>(
    `SELECT l.digest, b.size, ${isAlone ? HELD_ELSEWHERE : HELD_OUTSIDE_NAMESPACE} AS is_held
       FROM repository_blobs l JOIN blobs b ON b.digest = l.digest
      WHERE l.repository_id = ? AND l.digest > ? ORDER BY l.digest LIMIT ?`,
    ...range,
    id,
    after,
    entriesMax,
  );
  const exclusive = rows.filter((row) => !row.is_held);
  return {
    next: rows.length < entriesMax ? null : (rows.at(-1)?.digest ?? null),
    blobs: exclusive.length,
    bytes: exclusive.reduce((sum, { size }) => sum + size, 0),
  };
}

interface BlobRow {
  digest: Digest;
  size: number;
  created_at: number;
  verified_at: number | null;
  quarantined_at: number | null;
}

export function* findBlobSummary(digest: Digest): Unit<BlobSummary | null> {
  const row = yield* first<BlobRow>(
    "SELECT digest, size, created_at, verified_at, quarantined_at FROM blobs WHERE digest = ?",
    digest,
  );
  if (row === null) return null;
  return {
    digest: row.digest,
    size: row.size,
    createdAt: row.created_at,
    verifiedAt: row.verified_at,
    quarantinedAt: row.quarantined_at,
  };
}

interface LinkRow {
  id: number;
  name: string;
  deleted_at: number | null;
  linked_at: number;
  review_at: number | null;
}

export function* listBlobLinks(digest: Digest, query: BlobLinkQuery): Unit<readonly BlobLink[]> {
  const rows = yield* all<LinkRow>(
    `SELECT r.id, r.name, r.deleted_at, l.linked_at, l.review_at
       FROM repository_blobs l JOIN repositories r ON r.id = l.repository_id
      WHERE l.digest = ? AND l.repository_id > ? ORDER BY l.repository_id LIMIT ?`,
    digest,
    query.after,
    query.entriesMax,
  );
  const links: BlobLink[] = [];
  for (const row of rows) links.push(yield* toLink(row, digest, query.holdersMax));
  return links;
}

function* toLink(row: LinkRow, digest: Digest, holdersMax: number): Unit<BlobLink> {
  const manifests = yield* all<{ digest: Digest }>(
    `SELECT manifest_digest AS digest FROM manifest_blobs
      WHERE repository_id = ? AND blob_digest = ? ORDER BY manifest_digest LIMIT ?`,
    row.id,
    digest,
    holdersMax,
  );
  const deletions = yield* all<{ id: number }>(
    `SELECT deletion_id AS id FROM deleted_blobs WHERE repository_id = ? AND digest = ?
      ORDER BY deletion_id LIMIT ?`,
    row.id,
    digest,
    holdersMax,
  );
  // A deleted repository has the number of its deletion instead of a name.
  const hidden = row.deleted_at === null ? null : Number(row.name.slice(1));
  const before =
    hidden === null
      ? null
      : yield* first<{ repository: string }>("SELECT repository FROM deletions WHERE id = ?", hidden);
  return {
    id: row.id,
    repository: before?.repository ?? row.name,
    isDeleted: hidden !== null,
    linkedAt: row.linked_at,
    reviewAt: row.review_at,
    manifests: manifests.map((manifest) => manifest.digest),
    deletions: [...(hidden === null ? [] : [hidden]), ...deletions.map(({ id }) => id)],
  };
}
