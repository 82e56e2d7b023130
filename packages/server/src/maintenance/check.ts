import type { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { checkManifests } from "./check-manifests.ts";
import { listBlobs, openReadOnly, type StoredBlob, verifyFile } from "./data-folder.ts";

/** Findings of SQLite's own check that are shown. */
const INTEGRITY_ROWS_MAX = 20;

export interface CheckOptions {
  /** Read the bytes of every blob, too. */
  readonly bytes: boolean;
  /** The registry accepts indexes whose content is not there. */
  readonly allowSparse: boolean;
}

/** What is wrong, in words for a person. */
export interface CheckReport {
  readonly findings: readonly string[];
  readonly manifests: number;
  readonly blobs: number;
  readonly objects: number;
}

/**
 * Walks every invariant of a data folder, also while its server runs: it looks at one snapshot of the metadata, and
 * what looks wrong about files is looked at again in a newer one. It shares no SQL with the server, so a mistake there
 * is not repeated here.
 */
export async function checkDataFolder(dataDir: string, options: CheckOptions): Promise<CheckReport> {
  const folder = resolve(dataDir);
  const findings: string[] = [];
  const first = snapshot(folder, (database) => {
    findings.push(...checkTables(database));
    return {
      manifests: checkManifests({ database, allowSparse: options.allowSparse }, findings),
      blobs: listBlobs(database),
    };
  });
  const objects = await listObjects(folder);
  findings.push(...(await checkBlobs(folder, first.blobs, { objects, bytes: options.bytes })));
  findings.push(...findOrphans(folder, objects));
  return { findings, manifests: first.manifests, blobs: first.blobs.length, objects: objects.size };
}

function snapshot<T>(folder: string, read: (database: Database) => T): T {
  const database = openReadOnly(folder);
  try {
    return database.transaction(() => read(database)).deferred();
  } finally {
    database.close();
  }
}

function checkTables(database: Database): readonly string[] {
  const integrity = database
    .query<{ integrity_check: string }, []>(`PRAGMA integrity_check(${INTEGRITY_ROWS_MAX})`)
    .all()
    .map((row) => row.integrity_check)
    .filter((text) => text !== "ok");
  const foreign = database
    .query<{ table: string; parent: string }, []>("PRAGMA foreign_key_check")
    .all()
    .map(({ table, parent }) => `a row of ${table} refers to nothing in ${parent}`);
  const texts = (sql: string) =>
    database
      .query<{ text: string }, []>(sql)
      .all()
      .map((row) => row.text);
  return [
    ...integrity.map((text) => `database: ${text}`),
    ...foreign,
    ...texts(`SELECT 'blob ' || digest || ' belongs to no repository' AS text FROM blobs
               WHERE digest NOT IN (SELECT digest FROM repository_blobs)`),
    ...texts(`SELECT 'blob ' || digest || ' is quarantined: push it again' AS text FROM blobs
               WHERE quarantined_at IS NOT NULL`),
    ...texts(`SELECT 'repository "' || r.name || '" counts ' || r.manifest_count || ' manifests, ' || r.tag_count ||
                ' tags, ' || r.blob_bytes || ' bytes of blobs, which is wrong' AS text
               FROM repositories r
              WHERE r.manifest_count <> (SELECT COUNT(*) FROM manifests m WHERE m.repository_id = r.id)
                 OR r.tag_count <> (SELECT COUNT(*) FROM tags t WHERE t.repository_id = r.id)
                 OR r.logical_bytes <> (SELECT COALESCE(SUM(m.size + m.content_size), 0) FROM manifests m
                                         WHERE m.repository_id = r.id)
                 OR r.blob_bytes <> (SELECT COALESCE(SUM(b.size), 0) FROM repository_blobs l, blobs b
                                      WHERE l.repository_id = r.id AND b.digest = l.digest)`),
    ...texts(`SELECT 'the quota of "' || q.namespace || '" counts ' || q.bytes_used || ' bytes, ' || q.repositories_used ||
                ' repositories, ' || q.tags_used || ' tags, which is wrong' AS text FROM quotas q
               WHERE q.bytes_used <> (SELECT COALESCE(SUM(r.blob_bytes + r.manifest_bytes), 0) FROM repositories r
                                       WHERE ${isWithin("r.quota_name")})
                                   + (SELECT COALESCE(SUM(MAX(u.byte_offset, u.reserved_bytes)), 0) FROM uploads u
                                       WHERE u.finished_digest IS NULL AND ${isWithin("u.repository")})
                  OR q.repositories_used <> (SELECT COUNT(*) FROM repositories r
                                              WHERE r.deleted_at IS NULL AND ${isWithin("r.quota_name")})
                  OR q.tags_used <> (SELECT COALESCE(SUM(r.tag_count), 0) FROM repositories r
                                      WHERE r.deleted_at IS NULL AND ${isWithin("r.quota_name")})`),
  ];
}

/** Whether a name is the namespace of the quota `q` or lies below it; the empty one is the whole registry. */
function isWithin(name: string): string {
  return `(q.namespace = '' OR ${name} = q.namespace
           OR substr(${name}, 1, length(q.namespace) + 1) = q.namespace || '/')`;
}

/** Path below the folder -> bytes, of every file that a blob store writes. */
async function listObjects(folder: string): Promise<ReadonlyMap<string, number>> {
  const objects = new Map<string, number>();
  for (const top of ["uploads", "blobs"]) {
    const entries = await readdir(join(folder, top), { recursive: true, withFileTypes: true }).catch(
      () => [],
    );
    for (const entry of entries) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      // What was deleted since it was listed is no object any more.
      const found = await stat(path).catch(() => null);
      if (found !== null) objects.set(relative(folder, path), found.size);
    }
  }
  return objects;
}

interface BlobCheck {
  readonly objects: ReadonlyMap<string, number>;
  /** Read them, too. */
  readonly bytes: boolean;
}

/**
 * Blobs whose file is not what the row says. A row that is still there after its file was looked at had that file all
 * the time; without one the blob was collected meanwhile, which is no finding.
 */
async function checkBlobs(
  folder: string,
  blobs: readonly StoredBlob[],
  { objects, bytes }: BlobCheck,
): Promise<readonly string[]> {
  const suspects: { readonly blob: StoredBlob; readonly problem: string }[] = [];
  for (const blob of blobs) {
    const path = join(folder, blob.key);
    const isListed = objects.get(blob.key) === blob.size;
    const problem = bytes ? await verifyFile(path, blob) : isListed ? null : await problemOfSize(path, blob);
    if (problem !== null) suspects.push({ blob, problem });
  }
  if (suspects.length === 0) return [];
  const current = new Set(snapshot(folder, listBlobs).map(({ key }) => key));
  return suspects
    .filter(({ blob }) => current.has(blob.key))
    .map(({ blob, problem }) => `blob ${blob.digest}: ${problem}`);
}

async function problemOfSize(path: string, { size }: StoredBlob): Promise<string | null> {
  const found = await stat(path).catch(() => null);
  if (found === null) return "its file is missing";
  return found.size === size ? null : `its file has ${found.size} bytes; wanted ${size}`;
}

/** Files that no row leads to. Rows are written before files, so a snapshot that is newer than the list knows all. */
function findOrphans(folder: string, objects: ReadonlyMap<string, number>): readonly string[] {
  const known = snapshot(folder, (database) => {
    const keys = database
      .query<{ key: string }, []>(
        `SELECT storage_key AS key FROM blobs UNION SELECT storage_key FROM intents
          UNION SELECT storage_key FROM tombstones UNION SELECT 'uploads/' || id FROM uploads`,
      )
      .all();
    return new Set(keys.map(({ key }) => key));
  });
  return [...objects.keys()]
    .filter((key) => !known.has(key) && existsSync(join(folder, key)))
    .map((key) => `file ${key} belongs to nothing`);
}
