import { expect } from "bun:test";
import type { StorageKey } from "@stowage/server/blobstore/blob-store";
import { digestOf, type TestBlob } from "../support/content.ts";
import type { RequestParts, TestApp } from "../support/test-app.ts";

const TAR = { "Content-Type": "application/x-tar" };
/** Sends an archive as a manifest. */
export async function putArchive(
  app: TestApp,
  path: string,
  body: Uint8Array<ArrayBuffer>,
  parts: RequestParts = {},
) {
  return await app.request("PUT", `/v2/${path}`, { headers: TAR, body, ...parts });
}

export async function manifestOf(app: TestApp, path: string) {
  const response = await app.request("GET", `/v2/${path}`);
  expect(response.status).toBe(200);
  const bytes = new Uint8Array(await response.arrayBuffer());
  return {
    bytes,
    type: response.headers.get("Content-Type"),
    json: JSON.parse(Buffer.from(bytes).toString()),
  };
}

export async function expectBlob(app: TestApp, repository: string, { bytes, digest }: TestBlob) {
  const response = await app.request("GET", `/v2/${repository}/blobs/${digest}`);
  expect(response.status).toBe(200);
  expect(digestOf(new Uint8Array(await response.arrayBuffer()))).toBe(digest);
  expect(response.headers.get("Content-Length")).toBe(String(bytes.byteLength));
}

/** Everything that lies in the blob store. */
export async function storedKeys(app: TestApp): Promise<readonly StorageKey[]> {
  const keys: StorageKey[] = [];
  for await (const key of app.store.list()) keys.push(key);
  return keys;
}

/** No manifest, no blob, no session, no byte. */
export async function expectNothing(app: TestApp) {
  expect(await storedKeys(app)).toEqual([]);
  const catalog = await app.request("GET", "/v2/_catalog");
  expect(await catalog.json()).toEqual({ repositories: [] });
}
