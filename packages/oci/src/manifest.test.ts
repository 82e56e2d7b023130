import { expect, test } from "bun:test";
import { parseManifest } from "./manifest.ts";
import { MEDIA_TYPE } from "./media-type.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const LAYER = { mediaType: "application/vnd.oci.image.layer.v1.tar", digest: DIGEST, size: 3 };
const CONFIG = { mediaType: MEDIA_TYPE.ociConfig, digest: DIGEST, size: 2 };
const FOREIGN = { ...LAYER, mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" };
const IMAGE = { schemaVersion: 2, mediaType: MEDIA_TYPE.ociManifest, config: CONFIG, layers: [LAYER] };
const INDEX = { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: [] };

function parse(body: unknown, contentType: string | null = MEDIA_TYPE.ociManifest) {
  return parseManifest(new TextEncoder().encode(JSON.stringify(body)), contentType);
}

test.each([
  ["an image", IMAGE, MEDIA_TYPE.ociManifest],
  ["an image without mediaType", { ...IMAGE, mediaType: undefined }, MEDIA_TYPE.ociManifest],
  ["an image without Content-Type", IMAGE, null],
  ["an image without layers", { ...IMAGE, layers: [] }, MEDIA_TYPE.ociManifest],
  ["a docker image", { ...IMAGE, mediaType: MEDIA_TYPE.dockerManifest }, MEDIA_TYPE.dockerManifest],
  ["an empty index", INDEX, MEDIA_TYPE.ociIndex],
  ["a docker list", { ...INDEX, mediaType: MEDIA_TYPE.dockerList }, MEDIA_TYPE.dockerList],
  ["inline data", { ...IMAGE, config: { ...CONFIG, data: "e30=" } }, MEDIA_TYPE.ociManifest],
  ["unknown fields", { ...IMAGE, "org.example": { x: 1 } }, MEDIA_TYPE.ociManifest],
  [
    "urls on a foreign layer",
    { ...IMAGE, layers: [{ ...FOREIGN, urls: ["https://x/y"] }] },
    MEDIA_TYPE.ociManifest,
  ],
])("parseManifest accepts %s", (_, body, contentType) => {
  expect(parse(body, contentType)).toMatchObject({ ok: true });
});

test.each([
  ["null", null, "not a JSON object"],
  ["an array", [], "not a JSON object"],
  ["an empty object", {}, "schemaVersion"],
  ["schema 1", { ...IMAGE, schemaVersion: 1 }, "schemaVersion"],
  ["a mediaType that contradicts Content-Type", { ...IMAGE, mediaType: MEDIA_TYPE.ociIndex }, "contradicts"],
  ["no config", { ...IMAGE, config: undefined }, "config"],
  ["no layers", { ...IMAGE, layers: undefined }, "layers is not a list"],
  ["manifests in an image", { ...IMAGE, manifests: [] }, "has no manifests"],
  ["a layer that is null", { ...IMAGE, layers: [null] }, "layers[0]"],
  ["a bad digest", { ...IMAGE, layers: [{ ...LAYER, digest: "sha256:x" }] }, "layers[0].digest"],
  ["no media type", { ...IMAGE, layers: [{ ...LAYER, mediaType: undefined }] }, "layers[0].mediaType"],
  ["size -1", { ...IMAGE, layers: [{ ...LAYER, size: -1 }] }, "layers[0].size"],
  ["size 1.5", { ...IMAGE, layers: [{ ...LAYER, size: 1.5 }] }, "layers[0].size"],
  ['size "900"', { ...IMAGE, layers: [{ ...LAYER, size: "900" }] }, "layers[0].size"],
  ["size 2^64", { ...IMAGE, layers: [{ ...LAYER, size: 2 ** 64 }] }, "layers[0].size"],
  ["urls on a layer", { ...IMAGE, layers: [{ ...LAYER, urls: ["https://x/y"] }] }, "urls"],
  ["file urls", { ...IMAGE, layers: [{ ...FOREIGN, urls: ["file:///x"] }] }, "urls"],
  ["annotations that are not text", { ...IMAGE, annotations: { a: 1 } }, "annotations"],
  ["a bad subject", { ...IMAGE, subject: { digest: DIGEST } }, "subject"],
])("parseManifest refuses %s", (_, body, problem) => {
  expect(parse(body)).toMatchObject({ ok: false, problem: expect.stringContaining(problem) });
});

test("parseManifest refuses an index with the parts of an image", () => {
  expect(parse({ ...INDEX, layers: [] }, MEDIA_TYPE.ociIndex)).toMatchObject({ ok: false });
  expect(parse({ ...INDEX, config: CONFIG }, MEDIA_TYPE.ociIndex)).toMatchObject({ ok: false });
});

test("parseManifest refuses media types that are no manifests", () => {
  expect(parse({ ...IMAGE, mediaType: undefined }, "application/json")).toMatchObject({ ok: false });
  expect(parse({ ...IMAGE, mediaType: undefined }, null)).toMatchObject({ ok: false });
});

test("parseManifest falls back to the config's type for an image, and to nothing for an index", () => {
  expect(parse(IMAGE)).toMatchObject({ manifest: { artifactType: MEDIA_TYPE.ociConfig } });
  expect(parse({ ...IMAGE, artifactType: "a/b" })).toMatchObject({ manifest: { artifactType: "a/b" } });
  expect(parse(INDEX, MEDIA_TYPE.ociIndex)).toMatchObject({ manifest: { artifactType: null } });
});
