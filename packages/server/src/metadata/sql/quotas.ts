import type { Digest } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import {
  type Quota,
  QUOTA_RESOURCES,
  QuotaExceeded,
  type QuotaLimits,
  type QuotaNamespace,
} from "../quotas.ts";
import { all, batchesOf, first, repeat, type SqlValue, touched, type Unit } from "./statement.ts";

interface QuotaRow {
  namespace: QuotaNamespace;
  bytes_max: number | null;
  repositories_max: number | null;
  tags_max: number | null;
  bytes_used: number;
  repositories_used: number;
  tags_used: number;
}

const COLUMNS = "namespace, bytes_max, repositories_max, tags_max, bytes_used, repositories_used, tags_used";

function toQuota(row: QuotaRow): Quota {
  return {
    namespace: row.namespace,
    limits: { bytes: row.bytes_max, repositories: row.repositories_max, tags: row.tags_max },
    used: { bytes: row.bytes_used, repositories: row.repositories_used, tags: row.tags_used },
  };
}

/**
 * Runs what adds something to a repository, and refuses it as a whole when a quota would be passed by more than before:
 * what adds nothing always passes. What is in use is counted with each row, so the unit itself need not say what it adds.
 * @throws QuotaExceeded, which rolls the unit back
 */
export function* withinQuotas<T>(repository: RepositoryName, unit: () => Unit<T>): Unit<T> {
  const before = yield* quotasFor(repository);
  const result = yield* unit();
  if (before.length === 0) return result;
  const after = new Map((yield* quotasFor(repository)).map(({ namespace, used }) => [namespace, used]));
  for (const { namespace, limits, used } of before) {
    for (const resource of QUOTA_RESOURCES) {
      const limit = limits[resource];
      const now = after.get(namespace)?.[resource] ?? 0;
      if (limit === null || now <= limit || now <= used[resource]) continue;
      throw new QuotaExceeded({ namespace, resource, limit, used: used[resource] });
    }
  }
  return result;
}

/** The quotas that hold for a repository, the widest first. */
export function* quotasFor(repository: RepositoryName): Unit<readonly Quota[]> {
  const quotas: Quota[] = [];
  if (!(yield* hasQuotas())) return quotas;
  for (const batch of batchesOf(namespacesOf(repository))) {
    const rows = yield* all<QuotaRow>(
      `SELECT ${COLUMNS} FROM quotas WHERE namespace IN (${repeat("?", batch)}) ORDER BY namespace`,
      ...batch,
    );
    quotas.push(...rows.map(toQuota));
  }
  return quotas;
}

/** Whether anything is limited at all; most registries have no quotas, and pay for this question alone. */
export function* hasQuotas(): Unit<boolean> {
  return (yield* first("SELECT 1 FROM quotas LIMIT 1")) !== null;
}

/** "", "team", "team/app" of `team/app`. */
function namespacesOf(repository: RepositoryName): readonly string[] {
  const namespaces = [""];
  for (let end = repository.indexOf("/"); end !== -1; end = repository.indexOf("/", end + 1)) {
    namespaces.push(repository.slice(0, end));
  }
  return [...namespaces, repository];
}

export function* listQuotas(after: QuotaNamespace | null, entriesMax: number): Unit<readonly Quota[]> {
  const rows = yield* all<QuotaRow>(
    `SELECT ${COLUMNS} FROM quotas WHERE ? IS NULL OR namespace > ? ORDER BY namespace LIMIT ?`,
    after,
    after,
    entriesMax,
  );
  return rows.map(toQuota);
}

export function* findQuota(namespace: QuotaNamespace): Unit<Quota | null> {
  const row = yield* first<QuotaRow>(`SELECT ${COLUMNS} FROM quotas WHERE namespace = ?`, namespace);
  return row === null ? null : toQuota(row);
}

export function* deleteQuota(namespace: QuotaNamespace): Unit<boolean> {
  return yield* touched("DELETE FROM quotas WHERE namespace = ? RETURNING namespace", namespace);
}

/** Counts what is in use once, here; from then on it is counted with each row that comes and goes. */
export function* putQuota(
  namespace: QuotaNamespace,
  limits: QuotaLimits,
  quotasMax: number,
): Unit<Quota | null> {
  const others = yield* first<{ count: number }>(
    "SELECT COUNT(*) AS count FROM quotas WHERE namespace <> ?",
    namespace,
  );
  if ((others?.count ?? 0) >= quotasMax) return null;
  const used = yield* countUse(namespace);
  yield* all(
    `INSERT INTO quotas (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (namespace) DO UPDATE SET bytes_max = excluded.bytes_max,
       repositories_max = excluded.repositories_max, tags_max = excluded.tags_max,
       bytes_used = excluded.bytes_used, repositories_used = excluded.repositories_used,
       tags_used = excluded.tags_used`,
    namespace,
    limits.bytes,
    limits.repositories,
    limits.tags,
    used.bytes,
    used.repositories,
    used.tags,
  );
  return { namespace, limits, used };
}

function* countUse(namespace: QuotaNamespace): Unit<Quota["used"]> {
  const held = yield* first<{ bytes: number; repositories: number; tags: number }>(
    `SELECT COALESCE(SUM(blob_bytes + manifest_bytes), 0) AS bytes,
            COALESCE(SUM(CASE WHEN deleted_at IS NULL THEN 1 ELSE 0 END), 0) AS repositories,
            COALESCE(SUM(CASE WHEN deleted_at IS NULL THEN tag_count ELSE 0 END), 0) AS tags
       FROM repositories WHERE ${isBelow("quota_name")}`,
    ...rangeOf(namespace),
  );
  const coming = yield* first<{ bytes: number }>(
    `SELECT COALESCE(SUM(CASE WHEN reserved_bytes > byte_offset THEN reserved_bytes ELSE byte_offset END), 0) AS bytes
       FROM uploads WHERE finished_digest IS NULL AND ${isBelow("repository")}`,
    ...rangeOf(namespace),
  );
  return {
    bytes: (held?.bytes ?? 0) + (coming?.bytes ?? 0),
    repositories: held?.repositories ?? 0,
    tags: held?.tags ?? 0,
  };
}

function isBelow(column: "quota_name" | "repository"): string {
  return `(? = '' OR ${column} = ? OR (${column} >= ? AND ${column} < ?))`;
}

/** "0" is the character after "/". */
function rangeOf(namespace: QuotaNamespace): readonly SqlValue[] {
  return [namespace, namespace, `${namespace}/`, `${namespace}0`];
}

export function* chargedBytes(repository: RepositoryName, digest: Digest): Unit<number | null> {
  const row = yield* first<{ size: number }>(
    `SELECT b.size FROM repositories r
       JOIN repository_blobs l ON l.repository_id = r.id AND l.digest = ?
       JOIN blobs b ON b.digest = l.digest WHERE r.name = ?`,
    digest,
    repository,
  );
  return row?.size ?? null;
}
