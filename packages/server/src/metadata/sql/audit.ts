import type { Digest } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Tag } from "@stowage/oci/tag";
import type {
  AuditAction,
  AuditDetail,
  AuditEntry,
  AuditFilter,
  AuditLimits,
  AuditPage,
  AuditQuery,
  StoredAuditEntry,
} from "../audit.ts";
import { all, first, type SqlValue, type Unit } from "./statement.ts";

export function* appendAudit(entries: readonly AuditEntry[]): Unit<void> {
  for (const entry of entries) {
    yield* all(
      `INSERT INTO audit (at, request_id, caller, credential, address, user_agent, action, repository, reference,
                          status, count, is_refusal, detail_json)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      entry.at,
      entry.requestId,
      entry.caller,
      entry.credential,
      entry.address,
      entry.userAgent,
      entry.action,
      entry.repository,
      entry.reference,
      entry.status,
      entry.count,
      entry.isRefusal ? 1 : 0,
      JSON.stringify(entry.detail),
    );
  }
}

interface AuditRow {
  id: number;
  at: number;
  request_id: string | null;
  caller: string | null;
  credential: string | null;
  address: string | null;
  user_agent: string | null;
  action: AuditAction;
  repository: RepositoryName | null;
  reference: Tag | Digest | null;
  status: number;
  count: number;
  is_refusal: number;
  detail_json: string;
}

/** Looks at a range of ids, so that a filter that nothing matches holds nobody up. */
export function* listAudit(query: AuditQuery): Unit<AuditPage> {
  const newest = yield* first<{ id: number | null }>("SELECT MAX(id) AS id FROM audit");
  const end = Math.min(query.before ?? Number.MAX_SAFE_INTEGER, (newest?.id ?? 0) + 1);
  const start = end - query.scannedMax;
  const { conditions, values } = conditionsOf(query);
  const rows = yield* all<AuditRow>(
    `SELECT * FROM audit WHERE ${["id < ?", "id >= ?", ...conditions].join(" AND ")} ORDER BY id DESC LIMIT ?`,
    end,
    start,
    ...values,
    query.entriesMax,
  );
  const entries = rows.map(toEntry);
  const last = entries.length === query.entriesMax ? (entries.at(-1)?.id ?? start) : start;
  const older = yield* first<{ id: number }>(
    "SELECT id FROM audit WHERE id < ? ORDER BY id DESC LIMIT 1",
    last,
  );
  return { entries, next: older === null ? null : older.id + 1 };
}

function conditionsOf(filter: AuditFilter) {
  const conditions: string[] = [];
  const values: SqlValue[] = [];
  const add = (condition: string, value: SqlValue) => {
    if (value === null || value === "") return;
    conditions.push(condition);
    values.push(value);
  };
  add("caller = ?", filter.caller);
  add("repository = ?", filter.repository);
  add("repository >= ?", filter.prefix);
  // Every character of a name sorts before "~".
  add("repository < ?", filter.prefix === "" ? "" : `${filter.prefix}~`);
  add("action = ?", filter.action);
  add("at >= ?", filter.since);
  add("at < ?", filter.until);
  return { conditions, values };
}

function toEntry(row: AuditRow): StoredAuditEntry {
  return {
    id: row.id,
    at: row.at,
    requestId: row.request_id,
    caller: row.caller,
    credential: row.credential,
    address: row.address,
    userAgent: row.user_agent,
    action: row.action,
    repository: row.repository,
    reference: row.reference,
    status: row.status,
    count: row.count,
    isRefusal: row.is_refusal === 1,
    detail: JSON.parse(row.detail_json) as AuditDetail,
  };
}

export function* expireAudit({ before, changesMax, refusalsMax, max }: AuditLimits): Unit<number> {
  const old = yield* all(
    "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ? ORDER BY at LIMIT ?) RETURNING id",
    before,
    max,
  );
  let deleted = old.length;
  // A flood of refusals must not push changes out, so each has a number of its own.
  for (const [isRefusal, kept] of [
    [0, changesMax],
    [1, refusalsMax],
  ] as const) {
    if (deleted >= max) break;
    const excess = yield* first<{ id: number }>(
      `SELECT id FROM audit WHERE is_refusal = ${isRefusal} ORDER BY id DESC LIMIT 1 OFFSET ?`,
      kept,
    );
    if (excess === null) continue;
    const oldest = yield* all(
      `DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE is_refusal = ${isRefusal} AND id <= ?
        ORDER BY id LIMIT ?) RETURNING id`,
      excess.id,
      max - deleted,
    );
    deleted += oldest.length;
  }
  return deleted;
}
