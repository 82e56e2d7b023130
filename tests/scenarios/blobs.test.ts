import { afterEach, beforeEach, expect, test } from "bun:test";
import { blobOf, digestOf, imageOf, seededBytes } from "../support/content.ts";
import { errorCode, TestApp } from "../support/test-app.ts";

const R = "/v2/t/r";
const BLOB = blobOf("0123456789");
const EMPTY = blobOf("");

let app: TestApp;
beforeEach(async () => {
  app = new TestApp();
  await app.pushBlob("t/r", BLOB);
});
afterEach(async () => {
  await app[Symbol.asyncDispose]();
});

const get = (headers: Record<string, string> = {}) =>
  app.request("GET", `${R}/blobs/${BLOB.digest}`, { headers });

test("GET blob has the bytes and every header that clients and caches read", async () => {
  const response = await get();
  expect(response.status).toBe(200);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    "accept-ranges": "bytes",
    "cache-control": "max-age=31536000, immutable",
    "content-disposition": "attachment",
    "content-length": "10",
    "content-type": "application/octet-stream",
    "docker-content-digest": BLOB.digest,
    "docker-distribution-api-version": "registry/2.0",
    etag: `"${BLOB.digest}"`,
    "x-content-type-options": "nosniff",
  });
  expect(await response.text()).toBe("0123456789");
});

test("HEAD blob has the length and no body, also for an empty blob", async () => {
  const response = await app.request("HEAD", `${R}/blobs/${BLOB.digest}`);
  expect([response.status, response.headers.get("Content-Length"), response.body]).toEqual([200, "10", null]);
  await app.pushBlob("t/r", EMPTY);
  const empty = await app.request("HEAD", `${R}/blobs/${EMPTY.digest}`);
  expect([empty.status, empty.headers.get("Content-Length")]).toEqual([200, "0"]);
  const absent = await app.request("HEAD", `${R}/blobs/${digestOf("absent")}`);
  expect([absent.status, absent.body]).toEqual([404, null]);
});

test.each([
  ["bytes=2-4", 206, "234", "bytes 2-4/10"],
  ["bytes=7-", 206, "789", "bytes 7-9/10"],
  ["bytes=-2", 206, "89", "bytes 8-9/10"],
  ["bytes=8-99", 206, "89", "bytes 8-9/10"],
  ["bytes=0-0,2-3", 200, "0123456789", null],
  ["lines=0-1", 200, "0123456789", null],
] as const)("GET blob with Range %s -> %i", async (range, status, body, contentRange) => {
  const response = await get({ Range: range });
  expect(response.status).toBe(status);
  expect(response.headers.get("Content-Range")).toBe(contentRange);
  expect(response.headers.get("Content-Length")).toBe(String(body.length));
  expect(await response.text()).toBe(body);
});

test.each(["bytes=10-", "bytes=5-2", "bytes=-0"])(
  "GET blob with Range %s -> 416 that says the size",
  async (range) => {
    const response = await get({ Range: range });
    expect([response.status, await errorCode(response)]).toEqual([416, "RANGE_INVALID"]);
    expect(response.headers.get("Content-Range")).toBe("bytes */10");
  },
);

test("If-Range with another validator answers the whole blob", async () => {
  expect((await get({ Range: "bytes=0-1", "If-Range": '"other"' })).status).toBe(200);
  expect((await get({ Range: "bytes=0-1", "If-Range": `"${BLOB.digest}"` })).status).toBe(206);
});

test("If-None-Match answers 304, but not for a blob that the repository does not have", async () => {
  const response = await get({ "If-None-Match": `"x", W/"${BLOB.digest}"` });
  expect([response.status, response.body]).toEqual([304, null]);
  const digest = digestOf("absent");
  const absent = await app.request("GET", `${R}/blobs/${digest}`, {
    headers: { "If-None-Match": `"${digest}"` },
  });
  expect(absent.status).toBe(404);
});

test("a blob is reachable only through a repository that has it", async () => {
  expect((await app.request("GET", `/v2/t/other/blobs/${BLOB.digest}`)).status).toBe(404);
});

test("DELETE blob takes it out of one repository", async () => {
  await app.request("POST", `/v2/t/other/blobs/uploads/?mount=${BLOB.digest}&from=t/r`);
  expect((await app.request("DELETE", `${R}/blobs/${BLOB.digest}`)).status).toBe(202);
  expect((await get()).status).toBe(404);
  expect((await app.request("GET", `/v2/t/other/blobs/${BLOB.digest}`)).status).toBe(200);
});

test("a blob whose file was cut short is an error, never a short answer", async () => {
  const record = await app.metadata.blobs.repositoriesWith(BLOB.digest, 1).then(async ([name]) => {
    return name === undefined ? null : await app.metadata.blobs.find(name, BLOB.digest);
  });
  if (record === null) throw new Error("no record");
  await app.store.delete(record.storageKey);
  const response = await get();
  expect([response.status, await errorCode(response)]).toEqual([500, "INTERNAL_ERROR"]);
  expect(app.log).toContain("has no bytes in the store");
});

test("sha512 blobs are pushed, read and deleted by their digest", async () => {
  const bytes = seededBytes(1_000, 1);
  const digest = digestOf(bytes, "sha512");
  expect((await app.pushBlob("t/r", { bytes, digest })).status).toBe(201);
  const response = await app.request("GET", `${R}/blobs/${digest}`);
  expect(response.headers.get("Docker-Content-Digest")).toBe(digest);
  expect(digestOf(await response.bytes(), "sha512")).toBe(digest);
});

test("mount answers 201 when the source has the blob and 202 with a session when it has not", async () => {
  const mounted = await app.request("POST", `/v2/t/b/blobs/uploads/?mount=${BLOB.digest}&from=t%2Fr`);
  expect([mounted.status, mounted.headers.get("Location")]).toEqual([201, `/v2/t/b/blobs/${BLOB.digest}`]);
  expect(mounted.headers.get("Docker-Content-Digest")).toBe(BLOB.digest);
  for (const query of [
    `mount=${BLOB.digest}&from=no/such`,
    `mount=${digestOf("x")}&from=t/r`,
    `mount=${BLOB.digest}&from=B AD`,
  ]) {
    const response = await app.request("POST", `/v2/t/c/blobs/uploads/?${query}`);
    expect(response.status).toBe(202);
    expect(response.headers.get("Location")).toMatch(/^\/v2\/t\/c\/blobs\/uploads\/[0-9a-f]{32}$/);
  }
});

test("mount without a source finds the blob anywhere the caller may pull from", async () => {
  expect((await app.request("POST", `/v2/t/b/blobs/uploads/?mount=${BLOB.digest}`)).status).toBe(201);
  expect((await app.request("POST", `/v2/t/b/blobs/uploads/?mount=${digestOf("x")}`)).status).toBe(202);
});

test("mount from a repository that the caller may not pull from looks like one that has nothing", async () => {
  await using closed = new TestApp({
    authorize: ({ action, repository }) => action !== "pull" || repository !== "t/r",
  });
  await closed.pushBlob("t/r", BLOB);
  for (const from of ["&from=t/r", ""]) {
    const response = await closed.request("POST", `/v2/t/b/blobs/uploads/?mount=${BLOB.digest}${from}`);
    expect(response.status).toBe(202);
  }
});

test("a name's slashes may come as %2F", async () => {
  expect((await app.request("GET", `/v2/t%2Fr/blobs/${BLOB.digest.replace(":", "%3A")}`)).status).toBe(200);
});

test("components of a name may be called like endpoints", async () => {
  for (const name of [
    "blobs/uploads",
    "manifests",
    "tags/list",
    "a/blobs/uploads/b",
    "referrers/manifests",
  ]) {
    const image = imageOf([BLOB]);
    expect((await app.pushImage(name, "latest", image)).status).toBe(201);
    expect((await app.request("GET", `/v2/${name}/manifests/latest`)).status).toBe(200);
    expect((await app.request("GET", `/v2/${name}/blobs/${BLOB.digest}`)).status).toBe(200);
    expect((await app.request("GET", `/v2/${name}/tags/list`)).status).toBe(200);
  }
});
