import { afterEach, beforeEach, expect, test } from "bun:test";
import { blobOf, digestOf, imageOf, type TestBlob } from "../support/content.ts";
import { errorCode, TestApp } from "../support/test-app.ts";

const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
const R = "/v2/t/r";
const LAYER = blobOf("a layer");
const IMAGE = imageOf([LAYER]);

let app: TestApp;
beforeEach(() => {
  app = new TestApp();
});
afterEach(async () => {
  await app[Symbol.asyncDispose]();
});

function indexOf(children: readonly TestBlob[], extra: object = {}) {
  const manifests = children.map((child) => ({
    mediaType: IMAGE.mediaType,
    digest: child.digest,
    size: child.bytes.byteLength,
  }));
  const manifest = blobOf(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests, ...extra }));
  return { manifest, mediaType: OCI_INDEX };
}

test("PUT then GET and HEAD by tag and digest: the bytes, their type, length and digest", async () => {
  const pushed = await app.pushImage("t/r", "v1", IMAGE);
  expect([pushed.status, pushed.headers.get("Location")]).toEqual([
    201,
    `${R}/manifests/${IMAGE.manifest.digest}`,
  ]);
  expect(pushed.headers.get("Docker-Content-Digest")).toBe(IMAGE.manifest.digest);
  for (const reference of ["v1", IMAGE.manifest.digest, IMAGE.manifest.digest.replace(":", "%3A")]) {
    for (const method of ["GET", "HEAD"]) {
      const response = await app.request(method, `${R}/manifests/${reference}`);
      expect(response.status).toBe(200);
      expect(Object.fromEntries(response.headers)).toMatchObject({
        "content-type": IMAGE.mediaType,
        "content-length": String(IMAGE.manifest.bytes.byteLength),
        "docker-content-digest": IMAGE.manifest.digest,
        etag: `"${IMAGE.manifest.digest}"`,
      });
      const body = Buffer.from(await response.bytes());
      expect(body.equals(method === "GET" ? IMAGE.manifest.bytes : Buffer.alloc(0))).toBe(true);
    }
  }
});

test("the stored type is answered whatever Accept says", async () => {
  await app.pushImage("t/r", "v1", IMAGE);
  for (const Accept of [
    "*/*",
    "application/json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "",
  ]) {
    const response = await app.request("GET", `${R}/manifests/v1`, { headers: { Accept } });
    expect([response.status, response.headers.get("Content-Type")]).toEqual([200, IMAGE.mediaType]);
  }
});

test("If-None-Match answers 304 by tag until the tag moves", async () => {
  await app.pushImage("t/r", "v1", IMAGE);
  const headers = { "If-None-Match": `"${IMAGE.manifest.digest}"` };
  expect((await app.request("GET", `${R}/manifests/v1`, { headers })).status).toBe(304);
  await app.pushImage("t/r", "v1", imageOf([LAYER], { annotations: { a: "b" } }));
  expect((await app.request("GET", `${R}/manifests/v1`, { headers })).status).toBe(200);
});

test("Content-Type parameters are not stored", async () => {
  await app.pushImage("t/r", "v0", IMAGE);
  const headers = { "Content-Type": `${IMAGE.mediaType}; charset=utf-8` };
  await app.request("PUT", `${R}/manifests/v1`, { headers, body: IMAGE.manifest.bytes });
  const response = await app.request("GET", `${R}/manifests/v1`);
  expect(response.headers.get("Content-Type")).toBe(IMAGE.mediaType);
});

test("PUT by digest with ?tag= sets every tag and names them in OCI-Tag", async () => {
  await app.pushImage("t/r", IMAGE.manifest.digest, IMAGE);
  const response = await app.pushManifest("t/r", `${IMAGE.manifest.digest}?tag=a&tag=b`, IMAGE);
  expect(response.status).toBe(201);
  expect(response.headers.get("OCI-Tag")).toBe("a, b");
  const tags = await app.request("GET", `${R}/tags/list`);
  expect(await tags.json()).toEqual({ name: "t/r", tags: ["a", "b"] });
});

test("a sha512 manifest lives under its own digest", async () => {
  await app.pushImage("t/r", "v1", IMAGE);
  const digest = digestOf(IMAGE.manifest.bytes, "sha512");
  expect((await app.pushManifest("t/r", `${digest}?tag=v512`, IMAGE)).status).toBe(201);
  const response = await app.request("GET", `${R}/manifests/v512`);
  expect(response.headers.get("Docker-Content-Digest")).toBe(digest);
});

test("an index needs its children, unless sparse ones are allowed", async () => {
  const index = indexOf([IMAGE.manifest]);
  const refused = await app.pushManifest("t/r", "multi", index);
  expect([refused.status, await errorCode(refused)]).toEqual([400, "MANIFEST_BLOB_UNKNOWN"]);
  await app.pushImage("t/r", IMAGE.manifest.digest, IMAGE);
  expect((await app.pushManifest("t/r", "multi", index)).status).toBe(201);
  await using sparse = new TestApp({ allowSparse: true });
  expect((await sparse.pushManifest("t/r", "multi", index)).status).toBe(201);
  expect((await sparse.pushManifest("t/r", "image", IMAGE)).status).toBe(201);
});

test("empty and nested indexes, images without layers and foreign layers that are not here are stored", async () => {
  const empty = indexOf([]);
  expect((await app.pushManifest("t/r", "empty", empty)).status).toBe(201);
  const nested = indexOf([], {
    manifests: [
      { mediaType: OCI_INDEX, digest: empty.manifest.digest, size: empty.manifest.bytes.byteLength },
    ],
  });
  expect((await app.pushManifest("t/r", "nested", nested)).status).toBe(201);
  expect((await app.pushImage("t/r", "no-layers", imageOf([]))).status).toBe(201);
  const foreign = {
    mediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar",
    digest: digestOf("elsewhere"),
    size: 9,
    urls: ["https://example.com/layer"],
  };
  expect((await app.pushImage("t/r", "foreign", imageOf([], { layers: [foreign] }))).status).toBe(201);
});

test("an index may list blobs, as BuildKit's cache does", async () => {
  await app.pushBlob("t/r", LAYER);
  const layer = {
    mediaType: "application/vnd.oci.image.layer.v1.tar",
    digest: LAYER.digest,
    size: LAYER.bytes.byteLength,
  };
  expect((await app.pushManifest("t/r", "cache", indexOf([], { manifests: [layer] }))).status).toBe(201);
});

test("DELETE of a tag leaves the manifest, DELETE of a digest takes its tags along", async () => {
  await app.pushImage("t/r", "v1", IMAGE);
  await app.pushManifest("t/r", "v2", IMAGE);
  expect((await app.request("DELETE", `${R}/manifests/v1`)).status).toBe(202);
  expect((await app.request("GET", `${R}/manifests/v1`)).status).toBe(404);
  expect((await app.request("GET", `${R}/manifests/v2`)).status).toBe(200);
  expect((await app.request("DELETE", `${R}/manifests/${IMAGE.manifest.digest}`)).status).toBe(202);
  expect((await app.request("GET", `${R}/manifests/v2`)).status).toBe(404);
  const tags = await app.request("GET", `${R}/tags/list`);
  expect(await tags.json()).toEqual({ name: "t/r", tags: [] });
});

test("a manifest that an index lists cannot be deleted from under it", async () => {
  await app.pushImage("t/r", "v1", IMAGE);
  await app.pushManifest("t/r", "multi", indexOf([IMAGE.manifest]));
  const response = await app.request("DELETE", `${R}/manifests/${IMAGE.manifest.digest}`);
  expect([response.status, await errorCode(response)]).toEqual([405, "MANIFEST_IN_USE"]);
});

test("the same manifest under many tags at once is stored with all of them", async () => {
  await app.pushImage("t/r", "v0", IMAGE);
  const names = Array.from({ length: 30 }, (_, at) => `tag-${at}`);
  const responses = await Promise.all(names.map((name) => app.pushManifest("t/r", name, IMAGE)));
  expect(responses.every((response) => response.status === 201)).toBe(true);
});

test("the platform of an image is taken from its config", async () => {
  await app.pushImage("t/r", "v1", IMAGE);
  const odd = blobOf("this config is no JSON");
  const config = {
    mediaType: "application/vnd.oci.image.config.v1+json",
    digest: odd.digest,
    size: odd.bytes.byteLength,
  };
  await app.pushBlob("t/r", odd);
  expect((await app.pushManifest("t/r", "odd", imageOf([LAYER], { config }))).status).toBe(201);
});

test("a subject is answered with OCI-Subject, and lists its referrers whether it exists or not", async () => {
  const subject = { mediaType: IMAGE.mediaType, digest: digestOf("absent subject"), size: 3 };
  const referrer = imageOf([LAYER], {
    subject,
    artifactType: "example/sbom",
    annotations: { "org.example": "1" },
  });
  const pushed = await app.pushImage("t/r", referrer.manifest.digest, referrer);
  expect([pushed.status, pushed.headers.get("OCI-Subject")]).toEqual([201, subject.digest]);
  const response = await app.request("GET", `${R}/referrers/${subject.digest}`);
  expect(response.headers.get("Content-Type")).toBe(OCI_INDEX);
  expect(response.headers.get("OCI-Filters-Applied")).toBeNull();
  expect(await response.json()).toEqual({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [
      {
        mediaType: IMAGE.mediaType,
        digest: referrer.manifest.digest,
        size: referrer.manifest.bytes.byteLength,
        artifactType: "example/sbom",
        annotations: { "org.example": "1" },
      },
    ],
  });
});

test("referrers are filtered by type, and an unknown repository has none", async () => {
  const subject = { mediaType: IMAGE.mediaType, digest: digestOf("s"), size: 1 };
  for (const artifactType of ["a/a", "b/b", undefined]) {
    const referrer = imageOf([LAYER], { subject, artifactType });
    await app.pushImage("t/r", referrer.manifest.digest, referrer);
  }
  const filtered = await app.request("GET", `${R}/referrers/${subject.digest}?artifactType=b/b`);
  expect(filtered.headers.get("OCI-Filters-Applied")).toBe("artifactType");
  expect(((await filtered.json()) as { manifests: unknown[] }).manifests).toHaveLength(1);
  const zero = await app.request("GET", `/v2/no/such/referrers/sha256:${"0".repeat(64)}`);
  expect([zero.status, ((await zero.json()) as { manifests: unknown[] }).manifests]).toEqual([200, []]);
});

test("referrers come in pages that clients can read, joined by relative links", async () => {
  const subject = { mediaType: IMAGE.mediaType, digest: digestOf("s"), size: 1 };
  const wanted = new Set<string>();
  for (let at = 0; at < 6; at++) {
    const annotations = { filler: String(at).repeat(1_500_000) };
    const referrer = imageOf([LAYER], { subject, artifactType: "a/a", annotations });
    await app.pushImage("t/r", referrer.manifest.digest, referrer);
    wanted.add(referrer.manifest.digest);
  }
  const seen: string[] = [];
  let path: string | null = `${R}/referrers/${subject.digest}?artifactType=a/a`;
  while (path !== null) {
    const response: Response = await app.request("GET", path);
    const text = await response.text();
    expect(text.length).toBeLessThan(4 * 1024 * 1024);
    expect(response.headers.get("OCI-Filters-Applied")).toBe("artifactType");
    for (const { digest } of (JSON.parse(text) as { manifests: { digest: string }[] }).manifests)
      seen.push(digest);
    path = /^<(\/[^>]+)>; rel="next"$/.exec(response.headers.get("Link") ?? "")?.[1] ?? null;
  }
  expect(new Set(seen)).toEqual(wanted);
  expect(seen).toHaveLength(wanted.size);
});
