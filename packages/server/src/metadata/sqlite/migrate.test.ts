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
