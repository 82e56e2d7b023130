import { expect, test } from "bun:test";
import { RegistryError } from "@stowage/oci/errors";
import { FaultyBlobStore } from "@stowage/server/blobstore/faulty";
import { MemoryBlobStore } from "@stowage/server/blobstore/memory";
import { blobOf, imageOf } from "../support/content.ts";
import { TestApp } from "../support/test-app.ts";

const LAYER = blobOf("a layer of some length");
const IMAGE = imageOf([LAYER]);

/** A store whose `nth` operation fails once. */
function failingAt(nth: number, failure: () => Error): { store: FaultyBlobStore; count: () => number } {
  let count = 0;
  const store = new FaultyBlobStore(new MemoryBlobStore(), () => {
    count += 1;
    if (count === nth) throw failure();
  });
  return { store, count: () => count };
}

/** Pushes an image in chunks, as far as it goes; every status in order. */
async function push(app: TestApp): Promise<readonly number[]> {
  const statuses: number[] = [];
  for (const blob of [IMAGE.config, LAYER]) {
    const opened = await app.request("POST", "/v2/t/r/blobs/uploads/");
    const location = opened.headers.get("Location") ?? "";
    const half = Math.floor(blob.bytes.byteLength / 2);
    statuses.push((await app.request("PATCH", location, { body: blob.bytes.slice(0, half) })).status);
    const rest = {
      body: blob.bytes.slice(half),
      headers: { "Content-Range": `${half}-${blob.bytes.byteLength - 1}` },
    };
    statuses.push((await app.request("PUT", `${location}?digest=${blob.digest}`, rest)).status);
  }
  statuses.push((await app.pushManifest("t/r", "v1", IMAGE)).status);
  return statuses;
}

async function operationsOfOnePush(): Promise<number> {
  const { store, count } = failingAt(0, () => new Error("never"));
  await using app = new TestApp({ store });
  expect(await push(app)).toEqual([202, 201, 202, 201, 201]);
  return count();
}

test.each([
  ["an I/O error", () => new Error("EIO: i/o error"), 500],
  ["a full disk", () => new RegistryError("STORAGE_FULL"), 507],
])(
  "%s at any operation of a push fails that push alone: nothing partial is visible and a retry succeeds",
  async (_, failure, status) => {
    const operations = await operationsOfOnePush();
    expect(operations).toBeGreaterThan(10);
    for (let nth = 1; nth <= operations; nth++) {
      const { store } = failingAt(nth, failure);
      await using app = new TestApp({ store });
      const statuses = await push(app);
      const isAcknowledged = statuses.at(-1) === 201;
      if (!isAcknowledged) expect(statuses).toContain(status);
      const manifest = await app.request("GET", "/v2/t/r/manifests/v1");
      expect(manifest.status).toBe(isAcknowledged ? 200 : 404);
      for (const blob of [IMAGE.config, LAYER]) {
        const response = await app.request("GET", `/v2/t/r/blobs/${blob.digest}`);
        if (response.status === 200)
          expect(Buffer.from(await response.bytes()).equals(blob.bytes)).toBe(true);
        else expect([isAcknowledged, response.status]).toEqual([false, 404]);
      }
      expect((await push(app)).at(-1)).toBe(201);
    }
  },
);
