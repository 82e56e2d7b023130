import type { Database } from "bun:sqlite";
import { MIGRATIONS, type Migration } from "./migrations.ts";

interface AppliedRow {
  version: number;
  name: string;
  checksum: string;
}

/**
 * Brings the schema up to date, each step in a transaction of its own with the record of it.
 * @throws Error when the database was written by a newer Stowage, or a released step was edited
 */
export function migrate(database: Database, now: () => number): void {
  database.run(`CREATE TABLE IF NOT EXISTS migrations (
    version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT`);
  const applied = database
    .query<AppliedRow, []>("SELECT version, name, checksum FROM migrations ORDER BY version")
    .all();
  for (const row of applied) requireKnown(row);
  for (const migration of MIGRATIONS.slice(applied.length)) {
    database
      .transaction(() => {
        database.run(migration.sql);
        database
          .query("INSERT INTO migrations (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)")
          .run(migration.version, migration.name, checksum(migration), now());
      })
      .immediate();
  }
}

function requireKnown(row: AppliedRow): void {
  const migration = MIGRATIONS[row.version - 1];
  if (migration === undefined) {
    throw new Error(
      `cannot open the metadata: its schema has version ${row.version} ("${row.name}") and this Stowage knows ${MIGRATIONS.length}; start a newer Stowage`,
    );
  }
  if (checksum(migration) !== row.checksum) {
    throw new Error(
      `cannot open the metadata: migration ${row.version} ("${row.name}") is not the one that was applied; start the Stowage release that wrote it`,
    );
  }
}

function checksum(migration: Migration): string {
  return new Bun.CryptoHasher("sha256").update(migration.sql).digest("hex");
}
