import { expect, test } from "bun:test";
import { blobOf, imageOf } from "../support/content.ts";
import { errorCode, TestApp } from "../support/test-app.ts";

const one = imageOf([blobOf("one")]);
const two = imageOf([blobOf("two")]);
const DIGEST = two.manifest.digest;

async function openApp(options = {}): Promise<TestApp> {
  const app = new TestApp(options);
  await app.pushImage("t/r", "v1", one);
  await app.pushImage("t/r", DIGEST, two);
  return app;
}

test("GET of a tag says what it points at", async () => {
  await using app = await openApp();
  const response = await app.request("GET", "/v2/t/r/tags/v1");
  expect(response.headers.get("Docker-Content-Digest")).toBe(one.manifest.digest);
  expect(await response.json()).toEqual({
    name: "t/r",
    tag: "v1",
    digest: one.manifest.digest,
    mediaType: one.mediaType,
    size: one.manifest.bytes.byteLength,
  });
});

test.each([
  ["new", `?digest=${DIGEST}`, null],
  ["new", `?digest=${encodeURIComponent(DIGEST)}`, null],
  ["new", "", JSON.stringify({ digest: DIGEST })],
  ["v1", "", JSON.stringify({ digest: DIGEST })],
])("PUT of tag %s with %s and body %s sets it", async (tag, query, body) => {
  await using app = await openApp();
  const response = await app.request("PUT", `/v2/t/r/tags/${tag}${query}`, body === null ? {} : { body });
  expect(response.status).toBe(201);
  expect(response.headers.get("Docker-Content-Digest")).toBe(DIGEST);
  expect(response.headers.get("Location")).toBe(`/v2/t/r/manifests/${DIGEST}`);
  const pulled = await app.request("GET", `/v2/t/r/manifests/${tag}`);
  expect(pulled.headers.get("Docker-Content-Digest")).toBe(DIGEST);
});

test("DELETE takes the tag away and keeps the manifest; it is undone like any deletion", async () => {
  await using app = await openApp();
  expect((await app.request("DELETE", "/v2/t/r/tags/v1")).status).toBe(202);
  expect((await app.request("GET", "/v2/t/r/tags/v1")).status).toBe(404);
  expect((await app.request("GET", `/v2/t/r/manifests/${one.manifest.digest}`)).status).toBe(200);
  const listed = await app.request("GET", "/api/v1/deletions");
  expect(await listed.json()).toMatchObject({ deletions: [{ kind: "tag", tags: ["v1"] }] });
});

test("the listing stays the listing, whatever a tag is called", async () => {
  await using app = await openApp();
  await app.pushImage("t/r", "list", one);
  const response = await app.request("GET", "/v2/t/r/tags/list");
  expect(await response.json()).toEqual({ name: "t/r", tags: ["list", "v1"] });
  const put = await app.request("PUT", `/v2/t/r/tags/list?digest=${DIGEST}`);
  expect([put.status, await errorCode(put)]).toEqual([405, "UNSUPPORTED"]);
});

test.each([
  ["GET", "/v2/t/r/tags/none", null, 404, "MANIFEST_UNKNOWN"],
  ["GET", "/v2/t/r/tags/.x", null, 404, "MANIFEST_UNKNOWN"],
  ["GET", "/v2/none/tags/v1", null, 404, "MANIFEST_UNKNOWN"],
  ["DELETE", "/v2/t/r/tags/none", null, 404, "MANIFEST_UNKNOWN"],
  ["PUT", `/v2/t/r/tags/.x?digest=${DIGEST}`, null, 400, "TAG_INVALID"],
  ["PUT", `/v2/t/r/tags/x?digest=${blobOf("none").digest}`, null, 404, "MANIFEST_UNKNOWN"],
  ["PUT", `/v2/none/tags/x?digest=${DIGEST}`, null, 404, "MANIFEST_UNKNOWN"],
  ["PUT", `/v2/t/r/tags/x?digest=${DIGEST}&digest=${DIGEST}`, null, 400, "DIGEST_INVALID"],
  ["PUT", "/v2/t/r/tags/x?digest=sha256:z", null, 400, "DIGEST_INVALID"],
  ["PUT", "/v2/t/r/tags/x", null, 400, "DIGEST_INVALID"],
  ["PUT", "/v2/t/r/tags/x", "{}", 400, "DIGEST_INVALID"],
  ["PUT", "/v2/t/r/tags/x", "[]", 400, "DIGEST_INVALID"],
  ["PUT", "/v2/t/r/tags/x", '{"digest":1}', 400, "DIGEST_INVALID"],
  ["PUT", "/v2/t/r/tags/x", `{"digest":"${DIGEST}","digest":"${DIGEST}"}`, 400, "DIGEST_INVALID"],
  ["PUT", "/v2/t/r/tags/x", "x".repeat(5_000), 413, "SIZE_INVALID"],
  ["PUT", `/v2/UPPER/tags/x?digest=${DIGEST}`, null, 400, "NAME_INVALID"],
  ["POST", "/v2/t/r/tags/x", null, 405, "UNSUPPORTED"],
] as const)("%s %s with %j is refused", async (method, path, body, status, code) => {
  await using app = await openApp();
  const response = await app.request(method, path, body === null ? {} : { body });
  expect([response.status, await errorCode(response)]).toEqual([status, code]);
});

test("a blob of the repository, or a manifest of another one, is no manifest to tag", async () => {
  await using app = await openApp();
  await app.pushImage("other", "v1", imageOf([], { annotations: { other: "" } }));
  const other = imageOf([], { annotations: { other: "" } }).manifest.digest;
  for (const digest of [one.config.digest, other]) {
    const response = await app.request("PUT", `/v2/t/r/tags/x?digest=${digest}`);
    expect([response.status, await errorCode(response)]).toEqual([404, "MANIFEST_UNKNOWN"]);
  }
});

test("a manifest that got a tag is not collected as untagged, the one that lost it is", async () => {
  await using app = await openApp({ durations: { leaseMs: 1 }, collector: { untaggedMs: 10 } });
  await app.request("PUT", `/v2/t/r/tags/v1?digest=${DIGEST}`);
  app.clockAhead = 1_000;
  await app.collect();
  expect((await app.request("GET", `/v2/t/r/manifests/${DIGEST}`)).status).toBe(200);
  expect((await app.request("GET", `/v2/t/r/manifests/${one.manifest.digest}`)).status).toBe(404);
});

test("each method needs its own right on the repository", async () => {
  for (const [method, action] of [
    ["GET", "pull"],
    ["PUT", "push"],
    ["DELETE", "delete"],
  ] as const) {
    await using app = new TestApp({ authorize: (access) => access.action !== action });
    const response = await app.request(method, `/v2/t/r/tags/v1?digest=${DIGEST}`);
    expect([response.status, await errorCode(response)]).toEqual([403, "DENIED"]);
  }
});
