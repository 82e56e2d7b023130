import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Digest } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import { testMetadata } from "./conformance.ts";
import { type MetadataUnderTest, TEST_DURATIONS } from "./conformance-content.ts";
import { FolderLock } from "./sqlite/folder-lock.ts";
import { SqliteMetadata } from "./sqlite/sqlite-metadata.ts";

function sqlite(path: string, onEnd: () => Promise<void>): MetadataUnderTest {
  let now = 1_000_000;
  const options = {
    now: () => now,
    durations: TEST_DURATIONS,
    onFatal: (error: unknown) => console.error(error),
  };
  const metadata = new SqliteMetadata(path, options);
  return {
    metadata,
    advanceClock: (ms) => {
      now += ms;
    },
    async [Symbol.asyncDispose]() {
      await metadata[Symbol.asyncDispose]();
      await onEnd();
    },
  };
}

testMetadata("SQLite in memory", async () => sqlite(":memory:", async () => undefined));

testMetadata("SQLite in a file", async () => {
  const folder = await mkdtemp(join(tmpdir(), "stowage-metadata-"));
  return sqlite(join(folder, "stowage.sqlite"), () => rm(folder, { recursive: true }));
});

test("SQLite: a write waits while another process holds the database, and is told UNAVAILABLE when that lasts", async () => {
  const folder = await mkdtemp(join(tmpdir(), "stowage-busy-"));
  const path = join(folder, "stowage.sqlite");
  const options = {
    now: Date.now,
    busyPatienceMs: 1_000,
    onFatal: (error: unknown) => expect(error).toBeNull(),
  };
  const metadata = new SqliteMetadata(path, options);
  const other = new Database(path);
  const blocked = () => metadata.blobs.unlink("a" as RepositoryName, "sha256:x" as Digest);
  other.run("BEGIN IMMEDIATE");
  const waiting = blocked();
  await Bun.sleep(200);
  other.run("ROLLBACK");
  expect(await waiting).toBe("absent");
  other.run("BEGIN IMMEDIATE");
  expect(await blocked().catch((error: unknown) => error)).toMatchObject({ code: "UNAVAILABLE" });
  other.run("ROLLBACK");
  expect(await blocked()).toBe("absent");
  other.close();
  await metadata[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

test("FolderLock lets one server have a folder, and the next one when it is gone", async () => {
  const folder = await mkdtemp(join(tmpdir(), "stowage-lock-"));
  {
    using _ = FolderLock.take(folder);
    expect(() => FolderLock.take(folder)).toThrow("another Stowage server is running on it");
  }
  FolderLock.take(folder)[Symbol.dispose]();
  await rm(folder, { recursive: true });
});
