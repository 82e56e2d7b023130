import { afterAll, beforeAll, expect, test } from "bun:test";
import { blobOf, digestOf, imageOf, type TestImage } from "../support/content.ts";
import { errorCode, type RequestParts, TestApp } from "../support/test-app.ts";

const R = "/v2/t/r";
const LAYER = blobOf("a layer");
const IMAGE = imageOf([LAYER]);
const ABSENT = digestOf("absent");
const ELSEWHERE = blobOf("only in another repository");
const OCI = { "Content-Type": IMAGE.mediaType };

let app: TestApp;
beforeAll(async () => {
  app = new TestApp();
  await app.pushImage("t/r", "v1", IMAGE);
  await app.pushBlob("t/other", ELSEWHERE);
});
afterAll(async () => {
  // Nothing that was refused may have left something behind.
  const tags = await app.request("GET", `${R}/tags/list`);
  expect(await tags.json()).toEqual({ name: "t/r", tags: ["v1"] });
  expect(app.log).not.toContain('"status":5');
  await app[Symbol.asyncDispose]();
});

type Row = readonly [method: string, path: string, status: number, code: string, parts?: RequestParts];

const ROWS: readonly Row[] = [
  ["GET", "/v2/UPPER/tags/list", 400, "NAME_INVALID"],
  ["GET", "/v2/-a/tags/list", 400, "NAME_INVALID"],
  ["GET", "/v2/a___b/manifests/x", 400, "NAME_INVALID"],
  ["GET", "/v2/a//b/tags/list", 400, "NAME_INVALID"],
  ["GET", "/v2/t%2fr%2e/tags/list", 400, "NAME_INVALID"],
  ["GET", "/v2/t%00r/tags/list", 400, "NAME_INVALID"],
  ["GET", "/v2/t%zz/tags/list", 400, "NAME_INVALID"],
  ["GET", "/v2/../../etc/passwd/tags/list", 400, "NAME_INVALID"],
  ["POST", `/v2/${"a".repeat(256)}/blobs/uploads/`, 400, "NAME_INVALID"],
  ["GET", `${R}/manifests/sha256:abcd`, 400, "DIGEST_INVALID"],
  ["GET", `${R}/manifests/md5:${"a".repeat(32)}`, 400, "DIGEST_INVALID"],
  ["GET", `${R}/manifests/sha256:${"A".repeat(64)}`, 400, "DIGEST_INVALID"],
  ["GET", `${R}/blobs/sha256:abcd`, 400, "DIGEST_INVALID"],
  ["GET", `${R}/blobs/latest`, 400, "DIGEST_INVALID"],
  ["GET", `${R}/manifests/%zz`, 404, "MANIFEST_UNKNOWN"],
  ["GET", `${R}/manifests/..%2f..%2fx`, 404, "MANIFEST_UNKNOWN"],
  ["PUT", `${R}/manifests/.x`, 400, "TAG_INVALID", { headers: OCI, body: IMAGE.manifest.bytes }],
  [
    "PUT",
    `${R}/manifests/${"a".repeat(129)}`,
    400,
    "TAG_INVALID",
    { headers: OCI, body: IMAGE.manifest.bytes },
  ],
  ["PUT", `${R}/manifests/x?tag=-`, 400, "TAG_INVALID", { headers: OCI, body: IMAGE.manifest.bytes }],
  ["GET", `${R}/manifests/absent`, 404, "MANIFEST_UNKNOWN"],
  ["GET", `${R}/manifests/${ABSENT}`, 404, "MANIFEST_UNKNOWN"],
  ["GET", `${R}/blobs/${ABSENT}`, 404, "BLOB_UNKNOWN"],
  ["GET", `${R}/blobs/${ELSEWHERE.digest}`, 404, "BLOB_UNKNOWN"],
  ["GET", "/v2/no/such/tags/list", 404, "NAME_UNKNOWN"],
  ["DELETE", `${R}/blobs/${ABSENT}`, 404, "BLOB_UNKNOWN"],
  ["DELETE", `${R}/blobs/${LAYER.digest}`, 405, "BLOB_IN_USE"],
  ["DELETE", `${R}/manifests/absent`, 404, "MANIFEST_UNKNOWN"],
  ["DELETE", `${R}/manifests/${ABSENT}`, 404, "MANIFEST_UNKNOWN"],
  ["GET", `${R}/tags/list?n=-1`, 400, "PAGINATION_NUMBER_INVALID"],
  ["GET", `${R}/tags/list?n=abc`, 400, "PAGINATION_NUMBER_INVALID"],
  ["GET", `${R}/tags/list?n=1.5`, 400, "PAGINATION_NUMBER_INVALID"],
  ["GET", "/v2/_catalog?n=-1", 400, "PAGINATION_NUMBER_INVALID"],
  ["GET", `${R}/referrers/sha256:zz`, 400, "DIGEST_INVALID"],
  ["GET", `${R}/blobs/uploads/${"0".repeat(32)}`, 404, "BLOB_UPLOAD_UNKNOWN"],
  ["GET", `${R}/blobs/uploads/../../x`, 404, "ROUTE_UNKNOWN"],
  ["PATCH", `${R}/blobs/uploads/not-an-id`, 404, "BLOB_UPLOAD_UNKNOWN", { body: "x" }],
  ["PUT", `${R}/blobs/uploads/not-an-id?digest=${ABSENT}`, 404, "BLOB_UPLOAD_UNKNOWN", { body: "x" }],
  ["DELETE", `${R}/blobs/uploads/${"0".repeat(32)}`, 404, "BLOB_UPLOAD_UNKNOWN"],
  ["POST", `${R}/blobs/uploads/?digest=${ABSENT}`, 400, "DIGEST_INVALID", { body: "x" }],
  ["POST", `${R}/blobs/uploads/?digest=`, 400, "DIGEST_INVALID", { body: "x" }],
  ["POST", `${R}/blobs/uploads/?mount=x&from=a`, 400, "DIGEST_INVALID"],
  ["POST", `${R}/blobs/uploads/?digest-algorithm=md5`, 400, "DIGEST_INVALID"],
  ["POST", "/v2/", 405, "UNSUPPORTED"],
  ["POST", `${R}/manifests/v1`, 405, "UNSUPPORTED"],
  ["PATCH", `${R}/tags/list`, 405, "UNSUPPORTED"],
  ["PUT", `${R}/blobs/${ABSENT}`, 405, "UNSUPPORTED", { body: "x" }],
  ["GET", `${R}/blobs/uploads/`, 405, "UNSUPPORTED"],
  ["GET", "/", 404, "ROUTE_UNKNOWN"],
  ["GET", "/v1/", 404, "ROUTE_UNKNOWN"],
  ["GET", "/v2", 200, ""],
  ["GET", "/v2/_catalog/x", 404, "ROUTE_UNKNOWN"],
  ["GET", "/v2/x", 404, "ROUTE_UNKNOWN"],
  ["GET", "/v2/blobs/uploads", 404, "ROUTE_UNKNOWN"],
];

test.each(ROWS.map((row) => [...row, undefined].slice(0, 5) as unknown as Required<Row>))(
  "%s %s -> %i %s",
  async (method, path, status, code, parts) => {
    const response = await app.request(method, path, parts ?? {});
    expect(response.status).toBe(status);
    expect(response.headers.get("Location")).toBeNull();
    if (status < 400) return;
    expect(response.headers.get("Content-Type")).toBe("application/json; charset=utf-8");
    expect(await errorCode(response)).toBe(code);
    if (status === 405) expect(response.headers.get("Allow")).toMatch(/^[A-Z]+(, [A-Z]+)*$/);
  },
);

const text = new TextDecoder().decode(IMAGE.manifest.bytes);
const withLayer = (change: object): string => {
  const manifest = JSON.parse(text) as { layers: object[] };
  return JSON.stringify({ ...manifest, layers: [{ ...manifest.layers[0], ...change }] });
};

test.each([
  ["not JSON", "hello", "MANIFEST_INVALID"],
  ["null", "null", "MANIFEST_INVALID"],
  ["an empty object", "{}", "MANIFEST_INVALID"],
  ["a list", "[]", "MANIFEST_INVALID"],
  ["nothing", "", "MANIFEST_INVALID"],
  ["a byte order mark", `\uFEFF${text}`, "MANIFEST_INVALID"],
  ["trailing bytes", `${text}x`, "MANIFEST_INVALID"],
  ["a duplicate key", text.replace("{", '{"schemaVersion":2,'), "MANIFEST_INVALID"],
  ["a case-variant key", text.replace("{", '{"SchemaVersion":2,'), "MANIFEST_INVALID"],
  ["bad UTF-8", Uint8Array.of(0x7b, 0xff, 0x7d), "MANIFEST_INVALID"],
  ["deep nesting", "[".repeat(100_000), "MANIFEST_INVALID"],
  ["another size", withLayer({ size: 1 }), "MANIFEST_INVALID"],
  ["size -1", withLayer({ size: -1 }), "MANIFEST_INVALID"],
  ["size 1.5", withLayer({ size: 1.5 }), "MANIFEST_INVALID"],
  ['size "900"', withLayer({ size: "900" }), "MANIFEST_INVALID"],
  ["size 2^64", withLayer({ size: 2 ** 64 }), "MANIFEST_INVALID"],
  ["an unknown blob", withLayer({ digest: ABSENT }), "MANIFEST_BLOB_UNKNOWN"],
  ["a blob of another repository", withLayer({ digest: ELSEWHERE.digest }), "MANIFEST_BLOB_UNKNOWN"],
])("PUT manifest with %s -> 400", async (_, body, code) => {
  const response = await app.request("PUT", `${R}/manifests/bad`, { headers: OCI, body });
  expect(response.status).toBe(400);
  expect(await errorCode(response)).toBe(code);
  expect((await app.request("GET", `${R}/manifests/bad`)).status).toBe(404);
});

test("PUT manifest of 5 MiB -> 413, with and without Content-Length", async () => {
  const body = "x".repeat(5 * 1024 * 1024);
  const declared = await app.request("PUT", `${R}/manifests/big`, {
    headers: { "Content-Length": String(body.length) },
    body,
  });
  expect([declared.status, await errorCode(declared)]).toEqual([413, "SIZE_INVALID"]);
  const streamed = await app.request("PUT", `${R}/manifests/big`, { body: new Blob([body]).stream() });
  expect([streamed.status, await errorCode(streamed)]).toEqual([413, "SIZE_INVALID"]);
});

test("PUT manifest by a digest that is not its own -> 400", async () => {
  const image: TestImage = { ...IMAGE, manifest: blobOf(`${text} `) };
  const response = await app.pushManifest("t/r", IMAGE.manifest.digest, image);
  expect([response.status, await errorCode(response)]).toEqual([400, "DIGEST_INVALID"]);
});

test("an index with layers or an image with manifests -> 400", async () => {
  for (const extra of [{ manifests: [] }, { config: null, manifests: [] }]) {
    const body = JSON.stringify({ ...(JSON.parse(text) as object), ...extra });
    const response = await app.request("PUT", `${R}/manifests/bad`, { headers: OCI, body });
    expect(response.status).toBe(400);
  }
});
