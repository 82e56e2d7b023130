import { expect, test } from "bun:test";
import fc from "fast-check";
import { blobOf, imageOf } from "../support/content.ts";
import { errorCode, TestApp } from "../support/test-app.ts";

const IMAGE = imageOf([blobOf("layer")]);
const RUNS = process.env.STOWAGE_LONG === "1" ? 50_000 : 1_500;

const noise = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.constantFrom("%", "%2F", "%00", "..", ".", "\\", "%zz", "ä", "\u0000", "a".repeat(300), "?", "#", "//"),
);
const name = fc.oneof(
  fc.constantFrom("t/r", "t%2Fr", "a/b/c", "UPPER", "", "blobs/uploads", "manifests"),
  noise,
);
const digest = fc.oneof(
  fc.constantFrom(
    IMAGE.manifest.digest,
    IMAGE.config.digest,
    "sha256:abc",
    `sha512:${"0".repeat(128)}`,
    "sha256%3Aab",
  ),
  noise,
);
const target = fc.oneof(digest, fc.constantFrom("latest", "v1", ".x", "0".repeat(32)), noise);
const path = fc.oneof(
  fc
    .tuple(name, fc.constantFrom("blobs", "manifests", "referrers", "blobs/uploads", "tags"), target)
    .map((parts) => `/v2/${parts.join("/")}`),
  fc
    .tuple(name, fc.constantFrom("tags/list", "blobs/uploads/", "blobs/uploads"))
    .map((parts) => `/v2/${parts.join("/")}`),
  fc.constantFrom("/v2/", "/v2", "/v2/_catalog", "/", "", "/livez", "/readyz"),
  noise,
);
const query = fc.array(
  fc.tuple(
    fc.constantFrom("n", "last", "digest", "mount", "from", "tag", "artifactType", "digest-algorithm"),
    fc.oneof(digest, noise),
  ),
  { maxLength: 3 },
);
const headerValue = fc.oneof(
  fc.constantFrom(
    "bytes=0-1",
    "bytes=-",
    "0-5",
    "5-1",
    "*/*",
    IMAGE.mediaType,
    "a/b;c=d",
    "-1",
    '"x"',
    "*",
    "9".repeat(40),
  ),
  fc.string({ maxLength: 20, unit: fc.constantFrom(...'abc=-/,;*"0 ') }),
);
const headers = fc.dictionary(
  fc.constantFrom(
    "Range",
    "Content-Range",
    "Content-Type",
    "Accept",
    "If-None-Match",
    "If-Range",
    "Content-Length",
  ),
  headerValue,
  { maxKeys: 3, noNullPrototype: true },
);
const body = fc.oneof(
  fc.constant(null),
  fc.constantFrom(IMAGE.manifest.bytes, new TextEncoder().encode("{}"), new Uint8Array()),
  fc.uint8Array({ maxLength: 50 }).map((bytes) => Uint8Array.from(bytes)),
  fc.json().map((text) => new TextEncoder().encode(text)),
);
const method = fc.constantFrom("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS");

test("no request makes the registry fail, redirect or answer an error without the envelope", async () => {
  await using app = new TestApp();
  await app.pushImage("t/r", "v1", IMAGE);
  await fc.assert(
    fc.asyncProperty(method, path, query, headers, body, async (verb, route, parameters, head, content) => {
      const search = parameters.length === 0 ? "" : `?${parameters.map((pair) => pair.join("=")).join("&")}`;
      const hasBody = content !== null && verb !== "GET" && verb !== "HEAD";
      const response = await app.request(verb, `${route}${search}`, {
        headers: head,
        ...(hasBody ? { body: content } : {}),
      });
      expect(response.status).toBeLessThan(500);
      expect(Math.floor(response.status / 100) === 3 && response.status !== 304).toBe(false);
      if (response.status >= 400 && verb !== "HEAD") await errorCode(response);
      else await response.arrayBuffer();
    }),
    { numRuns: RUNS },
  );
  expect(app.log).not.toContain('"level":"error"');
});
