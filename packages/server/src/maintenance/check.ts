import type { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
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
export async function checkDataFolder(folder: string, options: CheckOptions): Promise<CheckReport> {
  const findings: string[] = [];
  const first = snapshot(folder, (database) => {
    findings.push(...checkTables(database));
    return {
      manifests: checkManifests({ database, allowSparse: options.allowSparse }, findings),
      blobs: listBlobs(database),
    };
  });
  const objects = await listObjects(folder);
  findings.push(...(await findLostBlobs(folder, first.blobs, objects)));
  findings.push(...findOrphans(folder, objects));
  if (options.bytes) findings.push(...(await findDamagedBlobs(folder, first.blobs)));
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
  ];
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
      if (found !== null) objects.set(path.slice(folder.length + 1), found.size);
    }
  }
  return objects;
}

async function findLostBlobs(
  folder: string,
  blobs: readonly StoredBlob[],
  objects: ReadonlyMap<string, number>,
): Promise<readonly string[]> {
  const suspects = blobs.filter(({ key, size }) => objects.get(key) !== size);
  if (suspects.length === 0) return [];
  const current = new Set(snapshot(folder, listBlobs).map(({ key }) => key));
  const findings: string[] = [];
  for (const { digest, key, size } of suspects) {
    if (!current.has(key)) continue;
    const bytes = (await stat(join(folder, key)).catch(() => null))?.size ?? null;
    if (bytes === null) findings.push(`blob ${digest}: its file is missing`);
    else if (bytes !== size) findings.push(`blob ${digest}: its file has ${bytes} bytes; wanted ${size}`);
  }
  return findings;
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

async function findDamagedBlobs(folder: string, blobs: readonly StoredBlob[]): Promise<readonly string[]> {
  const damaged: [StoredBlob, string][] = [];
  for (const blob of blobs) {
    const problem = await verifyFile(join(folder, blob.key), blob);
    // A missing or short file was reported already.
    if (problem?.includes("digest")) damaged.push([blob, problem]);
  }
  if (damaged.length === 0) return [];
  const current = new Set(snapshot(folder, listBlobs).map(({ key }) => key));
  return damaged.filter(([{ key }]) => current.has(key)).map(([{ digest }, why]) => `blob ${digest}: ${why}`);
}
