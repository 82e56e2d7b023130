import { afterAll, beforeAll, expect, test } from "bun:test";
import { digestOf } from "../support/content.ts";
import { chooseTags, parseSyncFile } from "../../packages/cli/src/content/sync-file.ts";
import { formatLayerHeader } from "../../packages/client/src/layers/layer-header-writer.ts";
import { cli } from "../support/cli.ts";

/** What a terminal would obey, in seven and in eight bits, and what turns text around. */
const EVIL = "\u001b]0;owned\u0007\u009b31m\u202e";

const ENTRY = {
  kind: "file",
  size: 0,
  mode: 0o644,
  uid: 0,
  gid: 0,
  uname: EVIL,
  gname: EVIL,
  mtime: 0,
  linkName: "",
  major: 0,
  minor: 0,
  records: new Map(),
} as const;

const OCI = "application/vnd.oci.image.manifest.v1+json";
const config = JSON.stringify({
  os: `linux${EVIL}`,
  architecture: "amd64",
  author: EVIL,
  created: EVIL,
  config: { Env: [EVIL], Cmd: [EVIL], User: EVIL, Labels: { [EVIL]: EVIL, toString: "x" } },
  history: [{ created_by: EVIL, comment: EVIL }],
  rootfs: { type: "layers", diff_ids: [] },
});
/** Files whose names a terminal would obey, and one that leads out of the image. */
const layer = Buffer.concat([
  ...[EVIL, `../${EVIL}`, `${EVIL}/x`].map((name) => formatLayerHeader({ ...ENTRY, name })),
  Buffer.alloc(1024),
]);
const manifest = JSON.stringify({
  schemaVersion: 2,
  mediaType: OCI,
  config: {
    mediaType: "application/vnd.oci.image.config.v1+json",
    digest: digestOf(config),
    size: Buffer.byteLength(config),
  },
  layers: [
    {
      mediaType: "application/vnd.oci.image.layer.v1.tar",
      digest: digestOf(layer),
      size: layer.byteLength,
      annotations: { [EVIL]: EVIL },
    },
  ],
  annotations: { [EVIL]: EVIL },
});

function answer({ url, method }: Request): Response {
  const { pathname } = new URL(url);
  const headers = { Warning: '299 - "\\\u009b31mread this"' };
  if (pathname.includes("/denied/")) {
    const body = method === "HEAD" ? null : JSON.stringify({ errors: [{ code: EVIL, message: EVIL }] });
    return new Response(body, { status: 403, headers });
  }
  if (pathname === "/v2/_catalog") {
    return Response.json({ repositories: ["app", `app${EVIL}`, "app;$(id)", "app`id`"] }, { headers });
  }
  if (pathname.endsWith("/tags/list")) {
    return Response.json({ tags: ["1.0", `1.0${EVIL}`, "1.0;$(id)", "1.0\n1.1", "1 0"] }, { headers });
  }
  if (pathname.endsWith("/manifests/1.0") || pathname.endsWith(`/manifests/${digestOf(manifest)}`)) {
    return new Response(method === "HEAD" ? null : manifest, {
      headers: {
        ...headers,
        "Content-Type": OCI,
        "Docker-Content-Digest": digestOf(manifest),
        "Content-Length": String(Buffer.byteLength(manifest)),
      },
    });
  }
  if (pathname.endsWith(`/blobs/${digestOf(config)}`)) return new Response(config);
  if (pathname.endsWith(`/blobs/${digestOf(layer)}`)) return new Response(layer);
  return Response.json({ errors: [{ code: EVIL, message: EVIL }] }, { status: 404, headers });
}

let server: ReturnType<typeof Bun.serve>;

beforeAll(() => {
  server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: answer });
});

afterAll(async () => await server.stop(true));

/** The colours of progress are our own. */
const OWN = /\p{Cc}\[(?:\d+A|J|[02]m)/gu;

test.each([
  "ls H/app",
  "ls H/app --long",
  "ls H/app -q",
  "ls H/app --format yaml",
  "ls H",
  "ls H --format json",
  "ls H/app --format {{.}}",
  "inspect H/app:1.0",
  "inspect H/app:1.0 --format json",
  "inspect H/app:1.0 --format {{.}}",
  "config H/app:1.0",
  "config H/app:1.0 --format jsonl",
  "history H/app:1.0",
  "layers H/app:1.0",
  "manifest get H/app:1.0",
  "manifest head H/app:1.0",
  "tree H/app:1.0",
  "size H/app:1.0",
  "du H/app",
  "search H app",
  "diff H/app:1.0 H/app:1.0",
  "validate H/app:1.0",
  "digest H/app:none",
  "digest H/app:none H/app:1.0",
  "ls H/denied",
  "inspect H/denied:1.0 --debug",
  "digest H/app:1.0 H/denied:1.0",
  "blob get H/denied@sha256:0000000000000000000000000000000000000000000000000000000000000000 --debug",
  "copy H/app:1.0 H/other:1.0",
  "copy H/app:1.0 H/other:1.0 --progress plain",
  "delete H/app:none --yes",
  "tag H/app:1.0 x",
  "cat H/app:1.0 x",
  "auth whoami H",
  "auth token H/app",
  "catalog H",
  "export H/app:1.0 /dev/null",
  "diff H/app:1.0 H/app:none",
  "diff H/app:1.0 H/app:1.0 --fs",
  "index list H/app:1.0",
  "manifest diff H/app:1.0 H/app:1.0",
  "manifest put H/app:1.0 -",
  "attach H/app:1.0 bunfig.toml --type text/plain",
  "pull H/denied:1.0 oci:/nowhere/at/all",
  "push oci:/nowhere/at/all H/app:1.0",
  "untag H/app:none",
  "layers H/app:1.0 --format {{json",
])("no terminal obeys what a registry says: %s", async (line) => {
  const words = line.replaceAll(/\bH\b/g, `127.0.0.1:${server.port}`).split(" ");
  const { stdout, stderr } = await cli(words, { columns: 80 });
  const shown = `${stdout}${stderr}`.replaceAll(OWN, "");
  expect(/(?![\n\t\r])\p{C}/u.exec(shown)).toBeNull();
});

test.each([
  ["ls H/", ["H/app"]],
  ["inspect H/app:", ["H/app:1.0"]],
  ["tag H/app:1.0 ", ["1.0"]],
])("no shell gets words from a registry that it would obey: %s", async (line, wanted) => {
  const host = `127.0.0.1:${server.port}`;
  const ran = await cli(["__complete", ...line.replaceAll("H/", `${host}/`).split(" ")]);
  const words = ran.stdout.split("\n").flatMap((text) => text.split("\t")[0] || []);
  expect(words.map((word) => word.replace(host, "H"))).toEqual([...wanted]);
});

test("sync takes no tag that is none, and does not hold it against its patterns", () => {
  const choice = { exclude: [], semver: null, latest: null };
  const hostile = ["1.0", "../../x", "..", "a b", `${".".repeat(100_000)}y`];
  expect(chooseTags(hostile, { ...choice, include: [] })).toEqual(["1.0"]);
  expect(chooseTags(hostile, { ...choice, include: ["*.*.*z", "*.0"] })).toEqual(["1.0"]);
});

const PAIR = "source: a.test/x\n  target: b.test/x\n";

test.each([
  [
    "keys that are all different",
    `- {${Array.from({ length: 50_000 }, (_, at) => `k${at}: 1`).join(", ")}}`,
    "unknown key",
  ],
  [
    "names that stand for one another",
    Array.from({ length: 50_000 }, (_, at) => `- &a${at} x\n- *a${at}\n`).join(""),
    "more than 1000 aliases",
  ],
  ["lists in lists", "[".repeat(100_000), "call stack"],
  ["a name that stands for itself", "- &a [*a]", "expected object"],
  ["a range without end", `- ${PAIR}  tags: {semver: "${">=1 ".repeat(100_000)}"}`, "at most 500|<=500"],
  ["a pattern of many stars", `- ${PAIR}  tags: ["${"*a".repeat(10)}b"]`, "at most 3 \\*"],
  ["a pattern that repeats a group", `- ${PAIR}  tags: ["+(a|aa)b"]`, "invalid pattern"],
])("sync refuses a file of %s, in time", (_, text, wanted) => {
  expect(() => parseSyncFile(text, "mirror.yml")).toThrow(new RegExp(wanted));
});

test("sync takes a file whose entries share their patterns", () => {
  const text = `- &first\n  ${PAIR}  tags: &tags ["1.*", "!*-rc*"]\n${`- {source: a.test/x, target: b.test/x, tags: *tags}\n`.repeat(90)}`;
  expect(parseSyncFile(text, "mirror.yml")).toHaveLength(91);
});

/** A body that is JSON as far as it goes, and goes on for ever. */
const endless = () => {
  const spaces = new Uint8Array(1024 * 1024).fill(0x20);
  return new ReadableStream({ pull: (controller) => controller.enqueue(spaces) }, { highWaterMark: 0 });
};

test.each([
  ["ls H/app --long", "bytes came"],
  ["auth whoami H", "bytes came"],
  ["search H app", "bytes came"],
  ["du H/app", "bytes came"],
  ["admin user list --server http://H", "bytes came"],
])("an answer of the management API without end is refused: %s", async (line, wanted) => {
  const json = { headers: { "Content-Type": "application/json" } };
  await using endlessServer = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ url }) => {
      if (url.includes("/api/v1/")) return new Response(endless(), json);
      return url.endsWith("/v2/") ? new Response() : answer(new Request(url));
    },
  });
  const words = line.replaceAll(/\bH\b/g, `127.0.0.1:${endlessServer.port}`).split(" ");
  const env = { STOWAGE_TOKEN: "token" };
  const ran = await cli(words, { env });
  expect(ran.stderr).toContain(wanted);
});

test("a list of tags of the management API whose pages do not end, ends", async () => {
  let pages = 0;
  await using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () =>
      Response.json({ tags: [null, 7, { name: {} }].slice(0, ++pages > 1 ? 0 : 3), next: "again" }),
  });
  expect((await cli(["ls", `127.0.0.1:${server.port}/app`, "--long"])).code).toBe(0);
  expect(pages).toBeLessThanOrEqual(10_000);
});

test("manifest put reads no more than a manifest may have", async () => {
  const stdin = new Uint8Array(32 * 1024 * 1024);
  const ran = await cli(["manifest", "put", `127.0.0.1:${server.port}/app:1.0`, "-"], { stdin });
  expect([ran.code, ran.stderr]).toEqual([2, expect.stringContaining('"-" has more than 4194304 bytes')]);
});

test.each(["index list H/app:index", "du H", "du H/app", "search H app", "ls H/app --long"])(
  "objects in place of texts do not crash what prints them: %s",
  async (line) => {
    const odd = { toString: 1, valueOf: 1 };
    const entry = { mediaType: odd, digest: odd, size: odd, platform: { os: odd }, artifactType: odd };
    const listed = { name: odd, tags: odd, blobBytes: odd, logicalBytes: odd, pushedAt: odd, digest: odd };
    await using odds = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: ({ url }) => {
        const { pathname } = new URL(url);
        if (pathname.includes("/manifests/")) {
          const headers = { "Content-Type": "application/vnd.oci.image.index.v1+json" };
          return Response.json({ manifests: [entry, null, 7] }, { headers });
        }
        if (pathname.endsWith("/-/tags")) return Response.json({ tags: [listed, null, 7], next: odd });
        return Response.json({ ...listed, principals: [], repositories: [listed, null, 7], next: odd });
      },
    });
    const ran = await cli(line.replaceAll(/\bH\b/g, `127.0.0.1:${odds.port}`).split(" "));
    expect([ran.code, ran.stderr]).toEqual([0, ""]);
  },
);
