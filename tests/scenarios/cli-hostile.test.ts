import { afterAll, beforeAll, expect, test } from "bun:test";
import { digestOf } from "../support/content.ts";
import { chooseTags } from "../../packages/cli/src/content/sync-file.ts";
import { cli } from "../support/cli.ts";

/** What a terminal would obey, in seven and in eight bits, and what turns text around. */
const EVIL = "\u001b]0;owned\u0007\u009b31m\u202e";

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
const manifest = JSON.stringify({
  schemaVersion: 2,
  mediaType: OCI,
  config: {
    mediaType: "application/vnd.oci.image.config.v1+json",
    digest: digestOf(config),
    size: Buffer.byteLength(config),
  },
  layers: [],
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
