import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startRegistry, type TestRegistry } from "@stowage/server/testing";
import { blobOf, imageOf, seededBytes } from "../../support/content.ts";
import { dockerImage, DOCKER_MANIFEST, pushTo } from "../../support/docker-image.ts";
import { sendRow, TABLE_ROWS, tableDifferences } from "../../support/method-table.ts";
import { PRETTY_JWS } from "../../support/schema1.ts";
import { shell } from "../../support/shell.ts";
import { program, suite } from "../../support/suite.ts";
import { errorCode, TestApp } from "../../support/test-app.ts";

/** A blog's comparison of what a registry answers to each Accept header, counted with `wc -l`. */

/** An image of ten layers and nineteen steps has just the lines that were counted. */
const LAYERS = Array.from({ length: 10 }, (_, at) => blobOf(seededBytes(64, at + 1)));
const IMAGE = dockerImage({
  layers: LAYERS,
  history: Array.from({ length: 19 }, (_, at) => ({
    created: "2022-07-07T09:43:32Z",
    created_by: `step ${at}`,
    ...(at < 10 ? {} : { empty_layer: true }),
  })),
});

const TAG = "2022.07.07.094332";
const NEW = DOCKER_MANIFEST;
/** Everything else that is listed, with a name for the test. Null: without a header. */
const OTHERS: readonly (readonly [what: string, accept: string | null])[] = [
  ["no header", null],
  ["schema 1", "application/vnd.docker.distribution.manifest.v1+json"],
  ["manifest list", "application/vnd.docker.distribution.manifest.list.v2+json"],
  ["container config", "application/vnd.docker.container.image.v1+json"],
  ["layer", "application/vnd.docker.image.rootfs.diff.tar.gzip"],
  ["foreign layer", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"],
  ["plugin config", "application/vnd.docker.plugin.v1+json"],
];

interface Account {
  readonly user: string;
  readonly password: string;
}

async function startWithImage(mode: string): Promise<{ registry: TestRegistry; account: Account }> {
  const registry = await startRegistry({ args: ["--auth", "accounts", "--schema1", mode] });
  const account = { user: "admin", password: /password {2}(\S+)/.exec(registry.told)?.[1] ?? "" };
  const basic = Buffer.from(`${account.user}:${account.password}`).toString("base64");
  const target = { url: registry.url, headers: { Authorization: `Basic ${basic}` } };
  for (const name of ["gclife-agent-service", "gc-agent-service"])
    await pushTo(target, `admin/${name}`, TAG, IMAGE);
  return { registry, account };
}

suite("the blog's curl calls", [program("curl")], () => {
  let table: Awaited<ReturnType<typeof startWithImage>>;
  let asked: Awaited<ReturnType<typeof startWithImage>>;

  beforeAll(async () => {
    table = await startWithImage("table");
    asked = await startWithImage("asked");
  });
  afterAll(async () => {
    await table.registry[Symbol.asyncDispose]();
    await asked.registry[Symbol.asyncDispose]();
  });

  /** As it stands there, but for https: the registry of the test has no certificate. */
  async function count({ registry, account }: typeof table, name: string, accept: string | null) {
    const header = accept === null ? "" : ` -H 'Accept: ${accept}'`;
    const line = `curl -s -v -X GET -u \${DOCKER_REPO_USER}:\${DOCKER_REPO_PASSWORD}${header} https://\${DOCKER_REPO}/v2/\${DOCKER_REPO_USER}/${name}/manifests/${TAG} | wc -l`;
    const ran = await shell(line.replace("https:", "http:"), {
      DOCKER_REPO: registry.host,
      DOCKER_REPO_USER: account.user,
      DOCKER_REPO_PASSWORD: account.password,
    });
    expect(ran.stderr).toContain("< HTTP/1.1 200 OK");
    if (accept !== null) expect(ran.stderr).toContain(`> Accept: ${accept}`);
    const type = /^< content-type: (.*?)\r?$/im.exec(ran.stderr)?.[1];
    return { lines: Number(ran.stdout), type };
  }

  test("--schema1 table: schema 2 is asked for by its type, and has 60 lines", async () => {
    expect(await count(table, "gclife-agent-service", NEW)).toEqual({ lines: 60, type: DOCKER_MANIFEST });
  });

  test.each(OTHERS)("--schema1 table: %s is schema 1, of 139 lines", async (_what, accept) => {
    expect(await count(table, "gc-agent-service", accept)).toEqual({ lines: 139, type: PRETTY_JWS });
  });

  test.each(OTHERS)(
    "by default %s is schema 2 of 60 lines, unless it is schema 1's type",
    async (_what, accept) => {
      const isOld = accept?.includes(".manifest.v1+json") === true;
      const wanted = isOld ? { lines: 139, type: PRETTY_JWS } : { lines: 60, type: DOCKER_MANIFEST };
      expect(await count(asked, "gc-agent-service", accept)).toEqual(wanted);
    },
  );
});

describe("what the blog says of Accept", () => {
  const get = async (app: TestApp, tag: string, accept: string | null, method = "GET") =>
    await app.request(
      method,
      `/v2/a/b/manifests/${tag}`,
      accept === null ? {} : { headers: { Accept: accept } },
    );

  test("--schema1 table: every answer that is not schema 2 has the same lines and the same digest", async () => {
    await using app = new TestApp({ schema1: "table" });
    await app.pushImage("a/b", TAG, IMAGE);
    const digests = new Set<string | null>();
    for (const [, accept] of OTHERS) {
      const answer = await get(app, TAG, accept);
      digests.add(answer.headers.get("Docker-Content-Digest"));
      const { schemaVersion, history } = JSON.parse(await answer.text());
      expect([accept, schemaVersion, history.length]).toEqual([accept, 1, 19]);
    }
    expect(digests.size).toBe(1);
  });

  test("--schema1 table: an OCI image goes whole to who names its type, so schema 2 is not the only one", async () => {
    await using app = new TestApp({ schema1: "table" });
    const oci = imageOf(LAYERS);
    await app.pushImage("a/b", TAG, oci);
    const answer = await get(app, TAG, oci.mediaType);
    expect(answer.headers.get("Content-Type")).toBe(oci.mediaType);
    expect(await answer.json()).toMatchObject({ schemaVersion: 2 });
  });

  test("--schema1 table: a manifest list goes to who names its type", async () => {
    await using app = new TestApp({ schema1: "table" });
    await app.pushImage("a/b", TAG, IMAGE);
    const mediaType = "application/vnd.docker.distribution.manifest.list.v2+json";
    const size = IMAGE.manifest.bytes.byteLength;
    const platform = { os: "linux", architecture: "amd64" };
    const entry = { mediaType: IMAGE.mediaType, digest: IMAGE.manifest.digest, size, platform };
    const list = blobOf(JSON.stringify({ schemaVersion: 2, mediaType, manifests: [entry] }));
    await app.pushManifest("a/b", "list", { manifest: list, mediaType });
    expect((await get(app, "list", mediaType)).headers.get("Content-Type")).toBe(mediaType);
    expect((await get(app, "list", NEW)).headers.get("Content-Type")).toBe(NEW);
  });

  test("HEAD has the headers of GET and no body", async () => {
    await using app = new TestApp({ schema1: "table" });
    await app.pushImage("a/b", TAG, IMAGE);
    for (const [, accept] of OTHERS) {
      const [got, head] = [await get(app, TAG, accept), await get(app, TAG, accept, "HEAD")];
      expect((await head.bytes()).byteLength).toBe(0);
      for (const name of ["Content-Type", "Content-Length", "Docker-Content-Digest", "Vary"])
        expect([name, head.headers.get(name)]).toEqual([name, got.headers.get(name)]);
    }
  });
});

describe("the blog's table of methods", () => {
  test.each(TABLE_ROWS)("%s %s, as its table has it", async (method, path) => {
    expect(await tableDifferences([method, path])).toEqual([]);
  });

  test("DELETE of a manifest: by its digest, which a HEAD that accepts schema 2 tells; by the tag only the tag", async () => {
    await using app = new TestApp({ schema1: "table" });
    await app.pushImage("a/b", TAG, IMAGE);
    const head = await app.request("HEAD", `/v2/a/b/manifests/${TAG}`, { headers: { Accept: NEW } });
    const digest = head.headers.get("Docker-Content-Digest") ?? "";
    expect<string>(digest).toBe(IMAGE.manifest.digest);
    expect((await app.request("DELETE", `/v2/a/b/manifests/${TAG}`)).status).toBe(202);
    expect((await app.request("GET", `/v2/a/b/manifests/${digest}`)).status).toBe(200);
    expect((await app.request("DELETE", `/v2/a/b/manifests/${digest}`)).status).toBe(202);
    expect((await app.request("GET", `/v2/a/b/manifests/${digest}`)).status).toBe(404);
  });

  test("DELETE of a blob: the id of an image is its config's digest, and a manifest's digest is no blob", async () => {
    await using app = new TestApp();
    await app.pushImage("a/b", TAG, IMAGE);
    const blob = (digest: string) => app.request("DELETE", `/v2/a/b/blobs/${digest}`);
    const manifest = await blob(IMAGE.manifest.digest);
    expect([manifest.status, await errorCode(manifest)]).toEqual([404, "BLOB_UNKNOWN"]);
    const needed = await blob(IMAGE.config.digest);
    expect([needed.status, await errorCode(needed)]).toEqual([405, "BLOB_IN_USE"]);
    await app.request("DELETE", `/v2/a/b/manifests/${IMAGE.manifest.digest}`);
    expect((await blob(IMAGE.config.digest)).status).toBe(202);
  });

  test("PUT of an upload may bring the last chunk, or nothing when all has come", async () => {
    await using app = new TestApp();
    const { bytes, digest } = blobOf(seededBytes(1_000, 7));
    for (const first of [600, 1_000]) {
      const started = await app.request("POST", "/v2/a/b/blobs/uploads/");
      const location = started.headers.get("Location") ?? "";
      await app.request("PATCH", location, { body: bytes.slice(0, first) });
      const status = await app.request("GET", location);
      expect([status.status, status.headers.get("Range")]).toEqual([204, `0-${first - 1}`]);
      const rest = first === 1_000 ? {} : { body: bytes.slice(first) };
      expect((await app.request("PUT", `${location}?digest=${digest}`, rest)).status).toBe(201);
    }
  });

  test("an upload that nobody cancels ends by itself", async () => {
    await using app = new TestApp({ durations: { uploadAgeMsMax: 1_000 } });
    const started = await app.request("POST", "/v2/a/b/blobs/uploads/");
    app.clockAhead = 2_000;
    await app.collect();
    const answer = await app.request("GET", started.headers.get("Location") ?? "");
    expect([answer.status, await errorCode(answer)]).toEqual([404, "BLOB_UPLOAD_UNKNOWN"]);
  });

  test("the tags and repositories that are listed are those that were pushed", async () => {
    const tags = await sendRow(["GET", "/v2/<name>/tags/list"]);
    expect(tags.tags).toEqual({ name: "hello-world", tags: ["1.0", "latest"] });
    const catalog = await sendRow(["GET", "/v2/_catalog"]);
    expect(Buffer.from(catalog.body).toString()).toBe('{"repositories":["hello-world"]}');
  });
});
