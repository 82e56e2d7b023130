import { describe, expect, test } from "bun:test";
import type { Schema1Mode } from "@stowage/server/registry/manifest-form";
import { blobOf, digestOf, imageOf, type TestBlob, type TestImage } from "../support/content.ts";
import { openSchema1, PRETTY_JWS, SCHEMA1_JSON } from "../support/schema1.ts";
import { errorCode, TestApp } from "../support/test-app.ts";

const V2 = "application/vnd.docker.distribution.manifest.v2+json";
const LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
const OCI = "application/vnd.oci.image.manifest.v1+json";
const INDEX = "application/vnd.oci.image.index.v1+json";
const EMPTY = "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4";
const GZIP = "application/vnd.oci.image.layer.v1.tar+gzip";

const LAYERS = [blobOf("the oldest layer"), blobOf("the newest layer")];
const HISTORY = [
  { created: "2024-01-02T03:04:05.120Z", created_by: "ADD a < b && c" },
  { created: "2024-01-02T03:04:06Z", created_by: "ENV A=1", empty_layer: true, author: "me", comment: "why" },
  { created: "2024-01-02T03:04:07.5+02:00", created_by: "COPY d" },
];

interface Parts {
  readonly config?: Readonly<Record<string, unknown>> | string;
  readonly mediaType?: string;
  readonly layerType?: string;
  readonly configType?: string;
  readonly layers?: readonly TestBlob[];
}

function image({ config = {}, layers = LAYERS, ...types }: Parts = {}): TestImage {
  const rootfs = { type: "layers", diff_ids: layers.map(({ digest }) => digest) };
  const whole = { architecture: "amd64", os: "linux", config: { Env: ["A=1"] }, rootfs, history: HISTORY };
  const configBlob = blobOf(typeof config === "string" ? config : JSON.stringify({ ...whole, ...config }));
  const describe = ({ digest, bytes }: TestBlob, mediaType: string) => ({
    mediaType,
    digest,
    size: bytes.byteLength,
  });
  const mediaType = types.mediaType ?? OCI;
  const manifest = {
    schemaVersion: 2,
    mediaType,
    config: describe(configBlob, types.configType ?? "application/vnd.oci.image.config.v1+json"),
    layers: layers.map((layer) => describe(layer, types.layerType ?? GZIP)),
  };
  return { config: configBlob, layers, manifest: blobOf(JSON.stringify(manifest)), mediaType };
}

const SINGLE = image({ mediaType: V2 });
const AMD64 = image({ mediaType: V2, config: { author: "amd64" } });
const ARM64 = image({ mediaType: V2, config: { architecture: "arm64" } });

function indexOf(mediaType: string, entries: readonly (readonly [TestImage, string, string])[]) {
  const manifests = entries.map(([{ manifest, mediaType: type }, os, architecture]) => ({
    mediaType: type,
    digest: manifest.digest,
    size: manifest.bytes.byteLength,
    platform: { os, architecture },
  }));
  return { manifest: blobOf(JSON.stringify({ schemaVersion: 2, mediaType, manifests })), mediaType };
}

const MULTI = indexOf(LIST, [
  [ARM64, "linux", "arm64"],
  [AMD64, "linux", "amd64"],
]);

/** `t/r` with the tags `single`, `multi` (Docker's types), `oci` and `index` (OCI's). */
async function openApp(schema1: Schema1Mode): Promise<TestApp> {
  const app = new TestApp({ schema1 });
  const [ociArm, ociAmd] = [
    image({ config: { architecture: "arm64" } }),
    image({ config: { author: "amd64" } }),
  ];
  for (const one of [AMD64, ARM64, ociArm, ociAmd]) await app.pushImage("t/r", one.manifest.digest, one);
  await app.pushImage("t/r", "single", SINGLE);
  await app.pushImage("t/r", "oci", image());
  await app.pushManifest("t/r", "multi", MULTI);
  const index = indexOf(INDEX, [
    [ociArm, "linux", "arm64"],
    [ociAmd, "linux", "amd64"],
  ]);
  await app.pushManifest("t/r", "index", index);
  return app;
}

async function get(app: TestApp, tag: string, accept: string | null, method = "GET"): Promise<Response> {
  const headers = accept === null ? {} : { Accept: accept };
  return await app.request(method, `/v2/t/r/manifests/${tag}`, { headers });
}

/** Accept; then what `single`, `multi`, `oci` and `index` are answered with in the mode `table`. 1 is schema 1. */
type Row = readonly [accept: string | null, single: string, multi: string, oci: string, index: string];

/** content-negotiation.md of the OCI Distribution Specification 1.1.1; rows of one accept and of the usual clients. */
const TABLE: readonly Row[] = [
  [null, "1", "1", "1", "1"],
  ["", "1", "1", "1", "1"],
  ["*/*", "1", "1", "1", "1"],
  ["application/json", "1", "1", "1", "1"],
  [SCHEMA1_JSON, "1", "1", "1", "1"],
  [PRETTY_JWS, "1", "1", "1", "1"],
  [V2, V2, V2, OCI, OCI],
  // The table says both; distribution's registry: a list is no image.
  [LIST, "1", LIST, "1", INDEX],
  [`${LIST}, ${V2}, ${SCHEMA1_JSON}`, V2, LIST, OCI, INDEX],
  // The table says both; distribution's registry: the order does not matter.
  [`${V2}, ${LIST}, ${SCHEMA1_JSON}`, V2, LIST, OCI, INDEX],
  // Docker 1.10 and 17; containerd; a browser.
  [`${V2}, ${PRETTY_JWS}, application/json`, V2, V2, OCI, OCI],
  [`${V2}, ${LIST}, application/json, ${PRETTY_JWS}`, V2, LIST, OCI, INDEX],
  [`${V2}, ${LIST}, ${OCI}, ${INDEX}, */*`, V2, LIST, OCI, INDEX],
  ["text/html, application/xml;q=0.9, */*;q=0.8", "1", "1", "1", "1"],
  [OCI, V2, LIST, OCI, INDEX],
  [INDEX, V2, LIST, OCI, INDEX],
  // Weights.
  [`${V2};q=0, ${SCHEMA1_JSON}`, "1", "1", "1", "1"],
  [`${V2}; q=0.000 ,*/*`, "1", "1", "1", "1"],
  [`${V2};q=0.001,${SCHEMA1_JSON}`, V2, V2, OCI, OCI],
  [`${V2.toUpperCase()} ; Q=1`, V2, V2, OCI, OCI],
  ["application/vnd.docker.container.image.v1+json", "1", "1", "1", "1"],
  ["complete nonsense;;;q=,,", "1", "1", "1", "1"],
];

const TAGS = ["single", "multi", "oci", "index"] as const;
const STORED: Readonly<Record<string, string>> = { single: V2, multi: LIST, oci: OCI, index: INDEX };

/** In the mode `asked` schema 1 goes to who names it and nothing that could mean something newer. */
const ASKED: ReadonlySet<string> = new Set([SCHEMA1_JSON, PRETTY_JWS, `${V2};q=0, ${SCHEMA1_JSON}`]);

describe("the Accept table", () => {
  test("table: every row, for images and indexes, GET and HEAD alike", async () => {
    await using app = await openApp("table");
    for (const [accept, ...wanted] of TABLE) {
      for (const [at, tag] of TAGS.entries()) {
        const type = wanted[at] === "1" ? PRETTY_JWS : wanted[at];
        await expectAnswer(app, tag, accept, type);
      }
    }
  });

  test("asked: only who asks for schema 1 alone gets it", async () => {
    await using app = await openApp("asked");
    for (const [accept] of TABLE) {
      for (const tag of TAGS) {
        await expectAnswer(app, tag, accept, ASKED.has(accept ?? "") ? PRETTY_JWS : STORED[tag]);
      }
    }
  });

  test("off: always what is stored", async () => {
    await using app = await openApp("off");
    for (const [accept] of TABLE) {
      for (const tag of TAGS) {
        await expectAnswer(app, tag, accept, STORED[tag]);
      }
    }
  });

  async function expectAnswer(app: TestApp, tag: string, accept: string | null, type: string | undefined) {
    const [got, head] = [await get(app, tag, accept), await get(app, tag, accept, "HEAD")];
    const bytes = await got.bytes();
    expect([tag, accept, got.status, got.headers.get("Content-Type")]).toEqual([
      tag,
      accept,
      200,
      type ?? "",
    ]);
    expect(Number(got.headers.get("Content-Length"))).toBe(bytes.byteLength);
    const payload = type === PRETTY_JWS ? openSchema1(bytes).payload : bytes;
    expect(got.headers.get("Docker-Content-Digest")).toBe(digestOf(payload));
    const withoutId = (headers: Headers) => [...headers].filter(([name]) => name !== "x-request-id");
    expect(withoutId(head.headers)).toEqual(withoutId(got.headers));
  }
});

test("a digest always gives exactly its content", async () => {
  await using app = await openApp("table");
  for (const { manifest } of [SINGLE, MULTI, AMD64]) {
    const answer = await get(app, manifest.digest, SCHEMA1_JSON);
    expect(digestOf(await answer.bytes())).toBe(manifest.digest);
  }
});

test("without list an index is its first image for linux/amd64", async () => {
  await using app = await openApp("table");
  const answer = await get(app, "multi", V2);
  expect(answer.headers.get("Docker-Content-Digest")).toBe(AMD64.manifest.digest);
  expect([answer.headers.get("ETag"), answer.headers.get("Vary")]).toEqual([
    `"${AMD64.manifest.digest}"`,
    "Accept",
  ]);
});

test("an index without linux/amd64 is unknown to who cannot read it", async () => {
  await using app = await openApp("table");
  await app.pushManifest("t/r", "arm", indexOf(LIST, [[ARM64, "linux", "arm64"]]));
  await app.pushManifest("t/r", "windows", indexOf(LIST, [[AMD64, "windows", "amd64"]]));
  for (const tag of ["arm", "windows"]) {
    for (const accept of [null, V2]) {
      const answer = await get(app, tag, accept);
      expect([answer.status, await errorCode(answer)]).toEqual([404, "MANIFEST_UNKNOWN"]);
    }
    expect((await get(app, tag, LIST)).status).toBe(200);
  }
});

test("If-None-Match speaks of the form that the client would get", async () => {
  await using app = await openApp("table");
  const forms = [null, V2, LIST].map(async (accept) => [
    accept,
    (await get(app, "multi", accept)).headers.get("ETag"),
  ]);
  const etags = await Promise.all(forms);
  for (const [accept] of etags) {
    for (const [other, etag] of etags) {
      const headers = { "If-None-Match": etag ?? "", ...(accept === null ? {} : { Accept: accept ?? "" }) };
      const answer = await app.request("GET", "/v2/t/r/manifests/multi", { headers });
      expect(answer.status).toBe(accept === other ? 304 : 200);
      expect(answer.headers.get("Vary")).toBe("Accept");
    }
  }
});

describe("what becomes of an image", () => {
  test("history and layers, newest first, with the empty layer where nothing changed", async () => {
    await using app = await openApp("table");
    const { payload } = openSchema1(await (await get(app, "single", null)).bytes());
    const manifest = JSON.parse(payload);
    expect(Object.keys(manifest)).toEqual([
      "schemaVersion",
      "name",
      "tag",
      "architecture",
      "fsLayers",
      "history",
    ]);
    expect(manifest).toMatchObject({ schemaVersion: 1, name: "t/r", tag: "single", architecture: "amd64" });
    expect(manifest.fsLayers.map((layer: { blobSum: string }) => layer.blobSum)).toEqual([
      LAYERS[1]?.digest,
      EMPTY,
      LAYERS[0]?.digest,
    ]);
    const history = manifest.history.map((entry: { v1Compatibility: string }) =>
      JSON.parse(entry.v1Compatibility),
    );
    const hex = (digest = "") => digest.slice("sha256:".length);
    const sha256 = (text: string) => hex(digestOf(text));
    const oldest = sha256(`${hex(LAYERS[0]?.digest)} `);
    const middle = sha256(`${hex(EMPTY)} ${oldest}`);
    const config = Buffer.from(SINGLE.config.bytes).toString();
    expect(history).toEqual([
      {
        id: sha256(`${hex(LAYERS[1]?.digest)} ${middle} ${config}`),
        parent: middle,
        architecture: "amd64",
        os: "linux",
        config: { Env: ["A=1"] },
      },
      {
        id: middle,
        parent: oldest,
        comment: "why",
        author: "me",
        created: "2024-01-02T03:04:06Z",
        container_config: { Cmd: ["ENV A=1"] },
        throwaway: true,
      },
      { id: oldest, created: "2024-01-02T03:04:05.12Z", container_config: { Cmd: ["ADD a < b && c"] } },
    ]);
  });

  test("a newest step that changed nothing is thrown away as well", async () => {
    const steps = [{ created_by: "a" }, { created_by: "b" }, { created_by: "c", empty_layer: true }];
    const [newest] = await historyOf(image({ config: { history: steps } }));
    expect(newest).toMatchObject({ throwaway: true, os: "linux" });
  });

  test.each([
    ["absent", undefined],
    ["null", null],
    ["empty", []],
  ])("a history that is %s: one step per layer", async (_, history) => {
    const created = "2020-02-02T02:02:02Z";
    const steps = await historyOf(image({ config: { history, created } }));
    expect(steps).toHaveLength(2);
    expect(steps[1]).toMatchObject({ created, container_config: { Cmd: [""] } });
  });

  test("times that are none are Go's zero time", async () => {
    const history = ["yesterday", 7].map((created) => ({ created }));
    expect((await historyOf(image({ config: { history } })))[1]).toMatchObject({
      created: "0001-01-01T00:00:00Z",
    });
  });

  test("the same image gives the same digest in every process, and another one under another tag", async () => {
    const digests = new Set<string | null>();
    for (let at = 0; at < 2; at++) {
      await using app = await openApp("table");
      digests.add((await get(app, "single", null)).headers.get("Docker-Content-Digest"));
      await app.pushManifest("t/r", "other", SINGLE);
      if (at === 1) digests.add((await get(app, "other", null)).headers.get("Docker-Content-Digest"));
    }
    expect(digests.size).toBe(2);
  });

  test("a tag that moves is converted anew", async () => {
    await using app = await openApp("table");
    const before = (await get(app, "single", null)).headers.get("Docker-Content-Digest");
    await app.pushManifest("t/r", "single", ARM64);
    const { payload } = openSchema1(await (await get(app, "single", null)).bytes());
    expect(JSON.parse(payload)).toMatchObject({ architecture: "arm64" });
    expect<string | null>(digestOf(payload)).not.toBe(before);
  });

  async function historyOf(one: TestImage): Promise<readonly unknown[]> {
    await using app = new TestApp({ schema1: "asked" });
    await app.pushImage("t/r", "v1", one);
    const answer = await get(app, "v1", SCHEMA1_JSON);
    const { history } = JSON.parse(openSchema1(await answer.bytes()).payload);
    return history.map((entry: { v1Compatibility: string }) => JSON.parse(entry.v1Compatibility));
  }
});

describe("what has no schema 1 form is MANIFEST_INVALID with the type to ask for", () => {
  const step = { created_by: "x" };
  test.each([
    ["a config that is no JSON", image({ config: "{" })],
    ["a config that is a list", image({ config: "[]" })],
    ["a config that says a thing twice", image({ config: '{"rootfs":{},"Rootfs":{}}' })],
    ["a config without rootfs", image({ config: { rootfs: undefined } })],
    ["a rootfs of null", image({ config: { rootfs: null } })],
    ["diff_ids that are no list", image({ config: { rootfs: { diff_ids: 2 } } })],
    ["fewer diff_ids than layers", image({ config: { rootfs: { diff_ids: ["sha256:0"] } } })],
    ["more steps than layers", image({ config: { history: [step, step, step] } })],
    ["fewer steps than layers", image({ config: { history: [step] } })],
    ["a history that is an object", image({ config: { history: { 0: step } } })],
    ["a step of null", image({ config: { history: [null, null] } })],
    ["a step that is a list", image({ config: { history: [[], []] } })],
    ["a history without end", image({ config: { history: Array(5_000).fill({ empty_layer: true }) } })],
    ["no layers and no history", image({ layers: [], config: { history: [] } })],
    ["a config of 2 MiB", image({ config: { junk: "x".repeat(2 * 1024 * 1024) } })],
    ["layers of zstd", image({ layerType: "application/vnd.oci.image.layer.v1.tar+zstd" })],
    ["encrypted layers", image({ layerType: `${GZIP}+encrypted` })],
    ["foreign layers", image({ layerType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" })],
    ["something that is no image", image({ configType: "application/vnd.cncf.helm.config.v1+json" })],
    [
      "an image that is none",
      imageOf(LAYERS, {
        config: { mediaType: "application/vnd.oci.empty.v1+json", digest: digestOf("{}"), size: 2 },
      }),
    ],
  ])("%s", async (_, one) => {
    await using app = new TestApp({ schema1: "table" });
    await app.pushBlob("t/r", blobOf("{}"));
    await app.pushImage("t/r", "v1", one);
    expect((await get(app, "v1", OCI)).status).toBe(200);
    const answer = await get(app, "v1", null);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({
      errors: [
        { code: "MANIFEST_INVALID", message: expect.stringContaining(`ask for it with Accept: ${OCI}`) },
      ],
    });
    expect((await get(app, "v1", null, "HEAD")).status).toBe(400);
  });

  test("a config that is not there (a sparse registry)", async () => {
    await using app = new TestApp({ schema1: "table", allowSparse: true });
    await app.pushManifest("t/r", "v1", SINGLE);
    expect(await errorCode(await get(app, "v1", null))).toBe("MANIFEST_INVALID");
    await app.pushBlob("t/r", SINGLE.config);
    expect((await get(app, "v1", null)).headers.get("Content-Type")).toBe(PRETTY_JWS);
  });

  test("asked again and again, the answer stays the same", async () => {
    await using app = new TestApp({ schema1: "table" });
    await app.pushImage("t/r", "v1", image({ config: "{" }));
    const answers = await Promise.all([1, 2, 3].map(async () => await (await get(app, "v1", null)).text()));
    expect(new Set(answers).size).toBe(1);
  });
});

describe("the empty layer", () => {
  const path = `/v2/never/pushed/blobs/${EMPTY}`;

  test("can be pulled from where nobody pushed it, whole and in part, and nothing is stored", async () => {
    await using app = new TestApp({ schema1: "asked" });
    const whole = await app.request("GET", path);
    const bytes = await whole.bytes();
    expect([whole.status, whole.headers.get("Content-Length")]).toEqual([200, "32"]);
    expect<string>(digestOf(bytes)).toBe(EMPTY);
    expect(Bun.gunzipSync(Uint8Array.from(bytes))).toEqual(new Uint8Array(1_024));
    const head = await app.request("HEAD", path);
    expect([head.status, head.headers.get("Content-Length")]).toEqual([200, "32"]);
    const part = await app.request("GET", path, { headers: { Range: "bytes=2-5" } });
    expect([part.status, await part.bytes()]).toEqual([206, bytes.slice(2, 6)]);
    const headers = { "If-None-Match": `"${EMPTY}"` };
    expect((await app.request("GET", path, { headers })).status).toBe(304);
    expect((await app.request("GET", "/v2/never/pushed/tags/list")).status).toBe(404);
    expect((await app.request("DELETE", path)).status).toBe(404);
  });

  test("is like any other blob when schema 1 is off", async () => {
    await using app = new TestApp({ schema1: "off" });
    for (const method of ["GET", "HEAD"]) expect((await app.request(method, path)).status).toBe(404);
  });
});
