import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cp, mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { FilesystemBlobStore } from "@stowage/server/blobstore/filesystem/filesystem-blob-store";
import { checkDataFolder } from "@stowage/server/maintenance/check";
import { blobOf, imageOf, seededBytes } from "../support/content.ts";
import { TestApp } from "../support/test-app.ts";

const LAYER = blobOf(seededBytes(5_000, 1));
const IMAGE = imageOf([LAYER]);

const INDEX_TYPE = "application/vnd.oci.image.index.v1+json";
const INDEX = {
  mediaType: INDEX_TYPE,
  manifest: blobOf(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: INDEX_TYPE,
      manifests: [
        {
          mediaType: IMAGE.mediaType,
          digest: IMAGE.manifest.digest,
          size: IMAGE.manifest.bytes.byteLength,
        },
      ],
    }),
  ),
};

/** One thing that is wrong, how it comes about, and what the check has to say. */
interface Wrong {
  readonly name: string;
  readonly break: (folder: string) => Promise<unknown>;
  readonly finding: RegExp;
  /** Only reading the bytes shows it. */
  readonly bytes?: boolean;
}

const WRONGS: readonly Wrong[] = [
  {
    name: "a file is missing",
    break: async (folder) => await rm(await layerOf(folder)),
    finding: /^blob .*: its file is missing$/,
  },
  {
    name: "a quota has lost count of its tags",
    break: sql("UPDATE quotas SET tags_used = tags_used + 1 WHERE namespace = 't'"),
    finding: /^the quota of "t" counts \d+ bytes, 1 repositories, 3 tags, which is wrong$/,
  },
  {
    name: "a quota has lost count of its bytes",
    break: sql("UPDATE quotas SET bytes_used = bytes_used - 1 WHERE namespace = ''"),
    finding: /^the quota of "" counts \d+ bytes, 1 repositories, 2 tags, which is wrong$/,
  },
  {
    name: "a file is short",
    break: async (folder) => await truncate(await layerOf(folder), 4_999),
    finding: /its file has 4999 bytes; wanted 5000/,
  },
  {
    name: "a bit is flipped",
    break: async (folder) => {
      const flipped = LAYER.bytes.slice();
      flipped[77] = (flipped[77] ?? 0) ^ 4;
      await writeFile(await layerOf(folder), flipped);
    },
    finding: /its bytes have another digest/,
    bytes: true,
  },
  {
    name: "a file belongs to nothing",
    break: async (folder) => await writeFile(join(folder, "uploads", "f".repeat(32)), "lost"),
    finding: /^file uploads\/f+ belongs to nothing$/,
  },
  {
    name: "a manifest has other bytes",
    break: sql("UPDATE manifests SET bytes = CAST(bytes || x'20' AS BLOB)"),
    finding: /^manifest .*: its bytes have another digest/,
  },
  {
    name: "a manifest lost an edge",
    break: sql("DELETE FROM manifest_blobs WHERE blob_digest = ?", LAYER.digest),
    finding: /it needs sha256:\w+, which nothing keeps for it/,
  },
  {
    name: "a blob has another size in its row",
    break: sql("UPDATE blobs SET size = size + 1 WHERE digest = ?", LAYER.digest),
    finding: /has 5001 bytes; wanted 5000/,
  },
  {
    name: "a link is missing",
    break: sql("DELETE FROM repository_blobs WHERE digest = ?", LAYER.digest),
    finding: /belongs to no repository/,
  },
  {
    name: "a tag points at nothing",
    break: sql("UPDATE tags SET digest = 'sha256:0'"),
    finding: /a row of tags refers to nothing in manifests/,
  },
  {
    name: "a blob is gone under its links",
    break: sql("DELETE FROM blobs WHERE digest = ?", LAYER.digest),
    finding: /a row of repository_blobs refers to nothing in blobs/,
  },
  {
    name: "a child of an index is gone",
    break: sql("DELETE FROM manifests WHERE media_type LIKE '%manifest.v1%'"),
    finding: /it needs sha256:\w+, which is not there/,
  },
  {
    name: "a counter is wrong",
    break: sql("UPDATE repositories SET tag_count = tag_count + 1"),
    finding: /repository "t\/r" counts 2 manifests, 3 tags/,
  },
  {
    name: "a blob is quarantined",
    break: sql("UPDATE blobs SET quarantined_at = 1 WHERE digest = ?", LAYER.digest),
    finding: /is quarantined: push it again/,
  },
];

function sql(text: string, ...params: readonly string[]) {
  return async (folder: string): Promise<void> => {
    using database = new Database(join(folder, "stowage.sqlite"), { readwrite: true, strict: true });
    // What is wrong must come about in spite of every rule of the schema.
    database.run("PRAGMA foreign_keys = OFF");
    database.query(text).run(...params);
  };
}

async function layerOf(folder: string): Promise<string> {
  const files = await readdir(join(folder, "blobs"), { recursive: true });
  const name = files.find((file) => file.includes(LAYER.digest.slice("sha256:".length)));
  return join(folder, "blobs", name ?? "");
}

describe("check", () => {
  let sound = "";
  beforeAll(async () => {
    sound = await mkdtemp(join(tmpdir(), "stowage-check-"));
    const store = await FilesystemBlobStore.open(sound);
    await using app = new TestApp({ store, databasePath: join(sound, "stowage.sqlite") });
    for (const namespace of ["-", "t", "t2"]) {
      const body = { headers: { "Content-Type": "application/json" }, body: '{"tags":100}' };
      expect((await app.request("PUT", `/api/v1/quotas/${namespace}`, body)).status).toBe(200);
    }
    await app.pushImage("t/r", "v1", IMAGE);
    await app.pushManifest("t/r", "all", INDEX);
    await app.request("POST", "/v2/t/r/blobs/uploads/");
  });
  afterAll(async () => await rm(sound, { recursive: true }));

  test("a sound registry has no findings, however its folder is written", async () => {
    for (const folder of [
      sound,
      `${sound}/`,
      relative(process.cwd(), sound),
      `${sound}/../${sound.split("/").at(-1)}`,
    ]) {
      const report = await checkDataFolder(folder, { bytes: true, allowSparse: false });
      expect(report).toEqual({ findings: [], manifests: 2, blobs: 2, objects: 2 });
    }
  });

  for (const { name, break: breakIt, finding, bytes = false } of WRONGS) {
    test(`${name}: found`, async () => {
      const folder = await mkdtemp(join(tmpdir(), "stowage-check-"));
      await cp(sound, folder, { recursive: true });
      await breakIt(folder);
      const findingsOf = async (isRead: boolean) =>
        (await checkDataFolder(folder, { bytes: isRead, allowSparse: false })).findings.join("\n");
      expect(await findingsOf(true)).toMatch(new RegExp(finding, "m"));
      if (bytes) expect(await findingsOf(false)).toBe("");
      else expect(await findingsOf(false)).toMatch(new RegExp(finding, "m"));
      await rm(folder, { recursive: true });
    });
  }

  test("a folder without a registry is refused, and nothing is made in it", async () => {
    const folder = await mkdtemp(join(tmpdir(), "stowage-check-"));
    const check = checkDataFolder(folder, { bytes: false, allowSparse: false });
    expect(check).rejects.toThrow("has no stowage.sqlite");
    await check.catch(() => null);
    expect(await readdir(folder)).toEqual([]);
    await rm(folder, { recursive: true });
  });
});
