import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { migrate } from "./migrate.ts";
import { MIGRATIONS } from "./migrations.ts";

const now = () => 1_000;

test("migrate brings an empty database to the newest version, and doing it again changes nothing", () => {
  const database = new Database(":memory:", { strict: true });
  migrate(database, now);
  migrate(database, now);
  const applied = database.query("SELECT version, name, applied_at FROM migrations").all();
  expect(applied).toEqual(MIGRATIONS.map(({ version, name }) => ({ version, name, applied_at: 1_000 })));
  expect(MIGRATIONS.map(({ version }) => version)).toEqual(MIGRATIONS.map((_, at) => at + 1));
});

test("migrate refuses a database whose step is not the released one", () => {
  const database = new Database(":memory:", { strict: true });
  migrate(database, now);
  database.run("UPDATE migrations SET checksum = 'edited' WHERE version = 1");
  expect(() => migrate(database, now)).toThrow('migration 1 ("registry") is not the one that was applied');
});

test("migrate refuses a database of a newer release", () => {
  const database = new Database(":memory:", { strict: true });
  migrate(database, now);
  database.run("INSERT INTO migrations VALUES (99, 'future', 'x', 0)");
  expect(() => migrate(database, now)).toThrow('its schema has version 99 ("future")');
});

test("migrate leaves nothing of a step that fails in its middle", () => {
  const database = new Database(":memory:", { strict: true });
  database.run("CREATE TABLE tags (x TEXT)");
  expect(() => migrate(database, now)).toThrow("already exists");
  expect(database.query("SELECT name FROM sqlite_schema WHERE name = 'blobs'").all()).toEqual([]);
  expect(database.query("SELECT * FROM migrations").all()).toEqual([]);
});

test("migration 2 counts what a repository holds, and gives each link the lease of its blob", () => {
  const database = new Database(":memory:", { strict: true });
  const [first] = MIGRATIONS;
  if (first === undefined) throw new Error("no migration");
  database.run(first.sql);
  database.run(`
    INSERT INTO repositories VALUES (1, 'a', 5);
    INSERT INTO blobs VALUES ('used', 100, 'key/used', 77, 7, NULL, NULL), ('lost', 9, 'key/lost', 8, 8, NULL, NULL);
    INSERT INTO repository_blobs VALUES (1, 'used', 7);
    INSERT INTO manifests (repository_id, digest, media_type, size, content_size, pushed_at, bytes)
      VALUES (1, 'm', 'type', 10, 100, 50, x'00'), (1, 'untagged', 'type', 10, 0, 60, x'00');
    INSERT INTO manifest_blobs VALUES (1, 'm', 'used');
    INSERT INTO tags VALUES (1, 'v1', 'm', 50, NULL);`);
  database.run(`CREATE TABLE migrations (
    version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT`);
  const checksum = new Bun.CryptoHasher("sha256").update(first.sql).digest("hex");
  database.query("INSERT INTO migrations VALUES (1, ?, ?, 0)").run(first.name, checksum);
  migrate(database, now);
  expect(database.query("SELECT * FROM repositories").get()).toMatchObject({
    manifest_count: 2,
    tag_count: 1,
    logical_bytes: 120,
    blob_bytes: 100,
    pushed_at: 60,
  });
  expect(database.query("SELECT digest, review_at FROM repository_blobs").all()).toEqual([
    { digest: "used", review_at: 77 },
  ]);
  expect(database.query("SELECT digest, verified_at FROM blobs").all()).toEqual([
    { digest: "used", verified_at: 7 },
  ]);
  expect(database.query("SELECT storage_key FROM tombstones").all()).toEqual([{ storage_key: "key/lost" }]);
  expect(database.query("SELECT digest, loose_since FROM manifests ORDER BY digest").all()).toEqual([
    { digest: "m", loose_since: null },
    { digest: "untagged", loose_since: 60 },
  ]);
});

test("the migration of quotas counts the bytes of manifests, deleted ones too, for the name a repository had", () => {
  const database = new Database(":memory:", { strict: true });
  const before = MIGRATIONS.slice(
    0,
    MIGRATIONS.findIndex(({ name }) => name === "quotas"),
  );
  for (const { sql } of before) database.run(sql);
  database.run(`
    INSERT INTO repositories (id, name, created_at, deleted_at) VALUES (1, 'team/a', 5, NULL), (2, '~7', 5, 6), (3, 'b', 5, NULL);
    INSERT INTO manifests (repository_id, digest, media_type, size, content_size, pushed_at, bytes)
      VALUES (1, 'm', 'type', 10, 100, 50, x'00'), (2, 'm', 'type', 20, 0, 60, x'00');
    INSERT INTO deletions (id, kind, repository, repository_id, reason, deleted_at, undo_until) VALUES
      (7, 'repository', 'team/gone', 2, 'request', 6, 9), (8, 'manifest', 'team/a', 1, 'request', 6, 9),
      (9, 'manifest', 'whose/row/was/3', 3, 'request', 6, 9);
    INSERT INTO deleted_manifests VALUES (8, 'd', '{}', '{}', x'010203'), (9, 'd', '{}', '{}', x'01020304');`);
  database.run(`CREATE TABLE migrations (
    version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT`);
  for (const { version, name, sql } of before) {
    const checksum = new Bun.CryptoHasher("sha256").update(sql).digest("hex");
    database.query("INSERT INTO migrations VALUES (?, ?, ?, 0)").run(version, name, checksum);
  }
  migrate(database, now);
  expect(database.query("SELECT id, quota_name, manifest_bytes FROM repositories ORDER BY id").all()).toEqual(
    [
      { id: 1, quota_name: "team/a", manifest_bytes: 13 },
      { id: 2, quota_name: "team/gone", manifest_bytes: 20 },
      { id: 3, quota_name: "b", manifest_bytes: 0 },
    ],
  );
  expect(database.query("SELECT id, repository_id FROM deletions ORDER BY id").all()).toEqual([
    { id: 7, repository_id: 2 },
    { id: 8, repository_id: 1 },
    { id: 9, repository_id: 0 },
  ]);
});
