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
