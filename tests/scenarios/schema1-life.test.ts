import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FilesystemBlobStore } from "@stowage/server/blobstore/filesystem/filesystem-blob-store";
import { backup } from "@stowage/server/maintenance/backup";
import { checkDataFolder } from "@stowage/server/maintenance/check";
import { restore } from "@stowage/server/maintenance/restore";
import { api } from "../support/api.ts";
import { blobOf, imageOf, seededBytes } from "../support/content.ts";
import { ecKey, PRETTY_JWS, schema1Of } from "../support/schema1.ts";
import { errorCode, TestApp } from "../support/test-app.ts";

const DAY_MS = 24 * 3_600_000;
const LAYERS = [blobOf(seededBytes(1_000, 1)), blobOf(seededBytes(2_000, 2))];
const [NEWEST = blobOf(""), OLDEST = blobOf("")] = LAYERS;
/** The newest layer twice: it counts once. */
const IMAGE = schema1Of({ name: "t/r", tag: "v1", key: ecKey() }, [NEWEST, OLDEST, NEWEST]);
const { digest } = IMAGE.manifest;
const SIZE = IMAGE.manifest.bytes.byteLength;

async function pushed(app: TestApp): Promise<TestApp> {
  for (const layer of LAYERS) await app.pushBlob("t/r", layer);
  expect((await app.pushManifest("t/r", "v1", IMAGE)).status).toBe(201);
  return app;
}

async function statuses(app: TestApp): Promise<readonly number[]> {
  const paths = ["manifests/v1", `manifests/${digest}`, ...LAYERS.map((layer) => `blobs/${layer.digest}`)];
  return await Promise.all(paths.map(async (path) => (await app.request("GET", `/v2/t/r/${path}`)).status));
}

test("the collector keeps its layers while it is there, and frees them after", async () => {
  await using app = await pushed(new TestApp());
  app.clockAhead += 3 * DAY_MS;
  expect(await app.collect()).toMatchObject({ blobsCollected: 0 });
  expect(await statuses(app)).toEqual([200, 200, 200, 200]);
  expect(await errorCode(await app.request("DELETE", `/v2/t/r/blobs/${OLDEST.digest}`))).toBe("BLOB_IN_USE");
  expect((await app.request("DELETE", `/v2/t/r/manifests/${digest}`)).status).toBe(202);
  expect((await statuses(app)).slice(0, 2)).toEqual([404, 404]);
  app.clockAhead += 3 * DAY_MS;
  expect(await app.collect()).toMatchObject({ blobsCollected: 2 });
});

test("a deletion is undone with manifest, tag and layers", async () => {
  await using app = await pushed(new TestApp());
  for (const path of [
    "/repositories/t/r",
    `/repositories/t/r/-/manifests/${digest}`,
    "/repositories/t/r/-/tags/v1",
  ]) {
    const done = await api(app, "DELETE", path);
    expect(done.status).toBe(200);
    app.clockAhead += 3_600_000;
    await app.collect();
    expect((await app.request("GET", "/v2/t/r/manifests/v1")).status).toBe(404);
    expect((await api(app, "POST", `/deletions/${String(done.body.deletion)}/undo`)).status).toBe(200);
    expect(await statuses(app)).toEqual([200, 200, 200, 200]);
  }
});

test("the management API shows it with its layers, size and platform", async () => {
  await using app = await pushed(new TestApp());
  const { body } = await api(app, "GET", `/repositories/t/r/-/manifests/${digest}`);
  expect(body).toMatchObject({
    digest,
    mediaType: PRETTY_JWS,
    artifactType: null,
    size: SIZE,
    contentSize: 3_000,
    platform: "linux/arm64",
    subject: null,
    tags: ["v1"],
    children: [],
  });
  expect(body.blobs).toHaveLength(2);
  const tags = await api(app, "GET", "/repositories/t/r/-/tags");
  expect(tags.body).toMatchObject({
    tags: [{ name: "v1", digest, mediaType: PRETTY_JWS, size: SIZE + 3_000 }],
  });
  const repositories = await api(app, "GET", "/repositories");
  expect(repositories.body).toMatchObject({ repositories: [{ name: "t/r", logicalBytes: SIZE + 3_000 }] });
});

test("it counts in a quota, and is refused where it does not fit", async () => {
  await using app = await pushed(new TestApp());
  expect((await api(app, "PUT", "/quotas/t", { body: { bytes: 3_000 + SIZE } })).status).toBe(200);
  expect((await api(app, "GET", "/quotas/t")).body).toMatchObject({ used: { bytes: 3_000 + SIZE, tags: 1 } });
  const other = schema1Of({ name: "t/r", tag: "v2", key: ecKey() }, LAYERS);
  const answer = await app.pushManifest("t/r", "v2", other);
  expect([answer.status, await errorCode(answer)]).toEqual([403, "DENIED"]);
});

test("it is a subject of referrers like any manifest, and a child of an index", async () => {
  await using app = await pushed(new TestApp());
  const descriptor = { mediaType: PRETTY_JWS, digest, size: SIZE };
  const signature = imageOf([], { subject: descriptor, artifactType: "a/b" });
  await app.pushImage("t/r", "signature", signature);
  const referrers = await (await app.request("GET", `/v2/t/r/referrers/${digest}`)).json();
  expect(referrers).toMatchObject({
    manifests: [{ digest: signature.manifest.digest, artifactType: "a/b" }],
  });
  const mediaType = "application/vnd.oci.image.index.v1+json";
  const index = blobOf(JSON.stringify({ schemaVersion: 2, mediaType, manifests: [descriptor] }));
  expect((await app.pushManifest("t/r", "index", { manifest: index, mediaType })).status).toBe(201);
  expect(await errorCode(await app.request("DELETE", `/v2/t/r/manifests/${digest}`))).toBe("MANIFEST_IN_USE");
});

test("an immutable tag stays on it", async () => {
  await using app = await pushed(new TestApp());
  const rules = { immutableTags: [{ repositories: ["t/**"], patterns: ["^v"] }] };
  const set = await api(app, "PUT", "/policies", { body: rules });
  if (set.status !== 200) throw new Error(set.message);
  const other = schema1Of({ name: "t/r", tag: "v1", key: ecKey() }, [OLDEST]);
  expect(await errorCode(await app.pushManifest("t/r", "v1", other))).toBe("TAG_IMMUTABLE");
  expect((await app.pushManifest("t/r", "v1", IMAGE)).status).toBe(201);
});

test("a restart, a check of the folder, a backup and what is restored of it know it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "stowage-schema1-"));
  const [dataDir, copy, restored] = ["data", "copy", "restored"].map((name) => join(folder, name));
  if (dataDir === undefined || copy === undefined || restored === undefined) throw new Error("three folders");
  try {
    await requireImage(dataDir, { isNew: true });
    await requireImage(dataDir);
    expect((await backup({ dataDir, target: copy, now: Date.now })).findings).toEqual([]);
    await restore({ source: copy, dataDir: restored });
    await requireImage(restored);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

/** Opens the folder, reads the image in it and checks the folder. */
async function requireImage(dataDir: string, { isNew = false } = {}): Promise<void> {
  const store = await FilesystemBlobStore.open(dataDir);
  {
    await using app = new TestApp({ store, databasePath: join(dataDir, "stowage.sqlite") });
    if (isNew) await pushed(app);
    const answer = await app.request("GET", "/v2/t/r/manifests/v1");
    expect(Buffer.from(await answer.bytes()).equals(IMAGE.manifest.bytes)).toBe(true);
  }
  expect((await checkDataFolder(dataDir, { bytes: true, allowSparse: false })).findings).toEqual([]);
}
