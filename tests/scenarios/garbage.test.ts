import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FaultyBlobStore } from "@stowage/server/blobstore/faulty";
import { FilesystemBlobStore } from "@stowage/server/blobstore/filesystem/filesystem-blob-store";
import { MemoryBlobStore } from "@stowage/server/blobstore/memory";
import { blobOf, imageOf, seededBytes } from "../support/content.ts";
import { errorCode, TestApp } from "../support/test-app.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const LAYER = blobOf(seededBytes(50_000, 1));
const IMAGE = imageOf([LAYER]);

async function keysOf(app: TestApp): Promise<readonly string[]> {
  return await Array.fromAsync(app.store.list());
}

test("deleting an image frees its bytes when lease, undo time and grace have passed", async () => {
  const folder = await mkdtemp(join(tmpdir(), "stowage-garbage-"));
  await using app = new TestApp({ store: await FilesystemBlobStore.open(folder) });
  expect((await app.pushImage("t/r", "v1", IMAGE)).status).toBe(201);
  const { digest } = IMAGE.manifest;
  expect((await app.request("DELETE", `/v2/t/r/manifests/${digest}`)).status).toBe(202);
  app.clockAhead += DAY_MS + 1;
  expect(await app.collect()).toMatchObject({ deletionsEnded: 1, blobsCollected: 2, objectsDeleted: 0 });
  expect((await app.request("GET", `/v2/t/r/blobs/${LAYER.digest}`)).status).toBe(404);
  expect(await keysOf(app)).toHaveLength(2);
  app.clockAhead += HOUR_MS;
  expect(await app.collect()).toMatchObject({ objectsDeleted: 2, bytesFreed: 50_151 });
  expect(await keysOf(app)).toEqual([]);
  expect((await app.pushImage("t/r", "v1", IMAGE)).status).toBe(201);
  await rm(folder, { recursive: true });
});

test("a GET that began before the collection gets all bytes", async () => {
  await using app = new TestApp();
  await app.pushBlob("t/r", LAYER);
  app.clockAhead += DAY_MS;
  const response = await app.request("GET", `/v2/t/r/blobs/${LAYER.digest}`);
  expect(await app.collect()).toMatchObject({ blobsCollected: 1 });
  expect(Buffer.from(await response.bytes()).equals(LAYER.bytes)).toBe(true);
});

test("HEAD keeps a blob usable for the manifest that follows, and GET does not", async () => {
  await using app = new TestApp();
  for (const blob of [LAYER, IMAGE.config]) await app.pushBlob("t/r", blob);
  app.clockAhead += DAY_MS - HOUR_MS;
  expect((await app.request("HEAD", `/v2/t/r/blobs/${LAYER.digest}`)).status).toBe(200);
  expect((await app.request("GET", `/v2/t/r/blobs/${IMAGE.config.digest}`)).status).toBe(200);
  app.clockAhead += DAY_MS - HOUR_MS;
  await app.collect();
  expect((await app.request("HEAD", `/v2/t/r/blobs/${LAYER.digest}`)).status).toBe(200);
  expect((await app.request("HEAD", `/v2/t/r/blobs/${IMAGE.config.digest}`)).status).toBe(404);
  await app.pushBlob("t/r", IMAGE.config);
  expect((await app.pushManifest("t/r", "v1", IMAGE)).status).toBe(201);
});

test("who may not push gets no lease from HEAD", async () => {
  let mayPush = true;
  await using app = new TestApp({ authorize: ({ action }) => action !== "push" || mayPush });
  await app.pushBlob("t/r", LAYER);
  mayPush = false;
  app.clockAhead += DAY_MS - 1;
  expect((await app.request("HEAD", `/v2/t/r/blobs/${LAYER.digest}`)).status).toBe(200);
  app.clockAhead += 1;
  expect(await app.collect()).toMatchObject({ blobsCollected: 1 });
});

test("an abandoned upload is gone after a week, with its bytes", async () => {
  await using app = new TestApp();
  const location = (await app.request("POST", "/v2/t/r/blobs/uploads/")).headers.get("Location") ?? "";
  expect((await app.request("PATCH", location, { body: LAYER.bytes })).status).toBe(202);
  app.clockAhead += 7 * DAY_MS;
  expect(await errorCode(await app.request("GET", location))).toBe("BLOB_UPLOAD_UNKNOWN");
  expect(await app.collect()).toMatchObject({ uploadsExpired: 1, objectsDeleted: 1 });
  expect(await keysOf(app)).toEqual([]);
});

test("a store that fails to delete is asked again, and nothing is forgotten meanwhile", async () => {
  let isBroken = true;
  const store = new FaultyBlobStore(new MemoryBlobStore(), (operation) => {
    if (operation === "delete" && isBroken) throw new Error("disk on strike");
  });
  await using app = new TestApp({ store });
  await app.pushBlob("t/r", LAYER);
  app.clockAhead += 2 * DAY_MS;
  expect(await app.collect()).toMatchObject({ blobsCollected: 1, objectsDeleted: 0 });
  app.clockAhead += HOUR_MS;
  await expect(app.collect()).rejects.toThrow("disk on strike");
  expect((await keysOf(app)).length).toBeGreaterThan(0);
  isBroken = false;
  expect(await app.collect()).toMatchObject({ objectsDeleted: 1 });
  expect(await keysOf(app)).toEqual([]);
});

test("objects that a crash left without metadata are found and deleted, files of others are not", async () => {
  const folder = await mkdtemp(join(tmpdir(), "stowage-sweep-"));
  await using app = new TestApp({ store: await FilesystemBlobStore.open(folder) });
  await app.pushImage("t/r", "v1", IMAGE);
  const open = (await app.request("POST", "/v2/t/r/blobs/uploads/")).headers.get("Location") ?? "";
  await app.request("PATCH", open, { body: LAYER.bytes });
  const before = await keysOf(app);
  await Bun.write(join(folder, "uploads", "0123456789abcdef0123456789abcdef"), "left by a crash");
  const hex = LAYER.digest.slice("sha256:".length);
  const generation = "fedcba9876543210fedcba9876543210";
  await Bun.write(join(folder, "blobs", "sha256", hex.slice(0, 2), `${hex}.${generation}`), "left too");
  await Bun.write(join(folder, "uploads", "README"), "of somebody else");
  expect(await app.registry.collector.sweep(new AbortController().signal)).toBe(2);
  expect(await app.collect()).toMatchObject({ objectsDeleted: 2 });
  expect(new Set(await keysOf(app))).toEqual(new Set([...before, "uploads/README"]));
  await rm(folder, { recursive: true });
});

test("a jump of the clock pauses the collector until leases have had their time", async () => {
  await using app = new TestApp();
  await app.pushBlob("t/r", LAYER);
  await app.collect();
  app.wallAhead += 2 * DAY_MS;
  expect(await app.collect()).toMatchObject({ pausedMs: DAY_MS, blobsCollected: 0 });
  expect((await app.request("GET", `/v2/t/r/blobs/${LAYER.digest}`)).status).toBe(200);
  app.clockAhead += DAY_MS;
  expect(await app.collect()).toMatchObject({ pausedMs: 0, blobsCollected: 1 });
});

test("nothing is collected from a run that was told to stop", async () => {
  await using app = new TestApp();
  await app.pushBlob("t/r", LAYER);
  app.clockAhead += DAY_MS;
  const report = await app.registry.collector.run(AbortSignal.abort());
  expect(report).toMatchObject({ blobsCollected: 0, objectsDeleted: 0 });
});
