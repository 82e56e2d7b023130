import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { DIAGRAMS, type DiagramStep } from "@stowage/oci/api/diagrams";
import { openApi } from "@stowage/oci/api/open-api";
import { postmanCollection } from "@stowage/oci/api/postman";
import { createMatcher } from "@stowage/server/http/v2/match";
import { V2_ROUTES } from "@stowage/server/http/v2/routes";
import { startRegistry, type TestRegistry } from "@stowage/server/testing";
import { cli } from "../../support/cli.ts";
import { blobOf, imageOf, seededBytes, type TestImage } from "../../support/content.ts";
import { dockerImage, pushTo } from "../../support/docker-image.ts";
import { TABLE_ROWS } from "../../support/method-table.ts";
import { WORKSPACE } from "../../support/registry-process.ts";
import { SCHEMA1_JSON } from "../../support/schema1.ts";
import { program, suite } from "../../support/suite.ts";

/**
 * A blog that describes pull, tag and push over HTTP, with a collection, diagrams and a script that are not printed there:
 * ours are held against what it says they do.
 */

const SCRIPT = join(WORKSPACE, "docs", "scripts", "pull-tag-push.py");
const LAYERS = [blobOf(seededBytes(300_000, 1)), blobOf(seededBytes(10, 2))];
const STEPS = LAYERS.map((_, at) => ({ created_by: `step ${at}` }));
const DOCKER = dockerImage({ layers: LAYERS, history: STEPS });
const OCI = imageOf(LAYERS);

type Env = Readonly<Record<string, string>>;

async function script(source: string, dest: string, env: Env = {}) {
  const child = Bun.spawn(["python3", SCRIPT, source, dest], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: process.env.PATH ?? "", ...env },
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, stdout, stderr };
}

/** Requests that a registry has logged since `from` characters, as `METHOD path status`. */
function requests(registry: TestRegistry, from = 0): readonly string[] {
  return registry.log
    .slice(from)
    .split("\n")
    .filter((line) => line.includes('"message":"request"'))
    .map((line) => JSON.parse(line))
    .map(({ method, path, status }) => `${method} ${path} ${status}`);
}

/** Of blobs, with the upload's id taken out. */
const ofBlobs = (lines: readonly string[]) =>
  lines
    .filter((line) => line.includes("/blobs/"))
    .map((line) => line.replace(/uploads\/[^ ]+/, "uploads/ID"));

async function manifestOf(registry: TestRegistry, path: string): Promise<[number, string | null]> {
  const headers = {
    Accept: "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json",
  };
  const answer = await fetch(`${registry.url}/v2/${path}`, { headers });
  await answer.bytes();
  return [answer.status, answer.headers.get("Docker-Content-Digest")];
}

suite("pull-tag-push.py", [program("python3")], () => {
  test.each([
    ["Docker's schema 2", DOCKER],
    ["OCI", OCI],
  ])(
    "%s: pulls from one registry, and pushes each blob after a HEAD, the manifest last",
    async (_what, image) => {
      await using source = await startRegistry();
      await using dest = await startRegistry();
      await pushTo(source, "team/app", "1.0", image);
      const ran = await script(`${source.host}/team/app:1.0`, `${dest.host}/mirror/app:2.0`);
      expect(ran).toMatchObject({ code: 0, stdout: `${dest.host}/mirror/app@${image.manifest.digest}\n` });
      expect(ran.stderr.match(/^uploaded sha256:/gm)).toHaveLength(3);
      const lines = requests(dest);
      expect(ofBlobs(lines)).toEqual(
        [image.config, ...image.layers].flatMap(({ digest }) => [
          `HEAD /v2/mirror/app/blobs/${digest} 404`,
          "POST /v2/mirror/app/blobs/uploads/ 202",
          "PUT /v2/mirror/app/blobs/uploads/ID 201",
        ]),
      );
      expect(lines.at(-1)).toBe("PUT /v2/mirror/app/manifests/2.0 201");
      expect(await manifestOf(dest, "mirror/app/manifests/2.0")).toEqual([200, image.manifest.digest]);
    },
  );

  test("a second run sends only HEADs for blobs, and reads none", async () => {
    await using source = await startRegistry();
    await using dest = await startRegistry();
    await pushTo(source, "team/app", "1.0", DOCKER);
    const words = [`${source.host}/team/app:1.0`, `${dest.host}/mirror/app:1.0`] as const;
    expect((await script(...words)).code).toBe(0);
    const [sourceAt, destAt] = [source.log.length, dest.log.length];
    const again = await script(...words);
    expect([again.code, again.stderr.match(/^exists {3}sha256:/gm)?.length]).toEqual([0, 3]);
    expect(ofBlobs(requests(source, sourceAt))).toEqual([]);
    expect(ofBlobs(requests(dest, destAt)).map((line) => line.replace(/ .* /, " "))).toEqual([
      ...["HEAD 200", "HEAD 200", "HEAD 200"],
    ]);
  });

  test("an index comes with the images that it lists, each blob sent once", async () => {
    await using source = await startRegistry();
    await using dest = await startRegistry();
    const { index, images } = indexOf();
    for (const image of images) await pushTo(source, "team/app", image.manifest.digest, image);
    await pushTo(source, "team/app", "1.0", index);
    const ran = await script(`${source.host}/team/app:1.0`, `${dest.host}/mirror/app:1.0`);
    expect(ran).toMatchObject({ code: 0, stdout: `${dest.host}/mirror/app@${index.manifest.digest}\n` });
    for (const { manifest } of [...images, index])
      expect((await manifestOf(dest, `mirror/app/manifests/${manifest.digest}`))[0]).toBe(200);
    const posts = requests(dest).filter((line) => line.startsWith("POST"));
    expect(posts).toHaveLength(4);
  });

  test("within one registry blobs are mounted, and no bytes move", async () => {
    await using registry = await startRegistry();
    await pushTo(registry, "team/app", "1.0", OCI);
    const from = registry.log.length;
    const ran = await script(`${registry.host}/team/app:1.0`, `${registry.host}/mirror/app:1.0`);
    expect([ran.code, ran.stderr.match(/^mounted {2}sha256:/gm)?.length]).toEqual([0, 3]);
    expect(ofBlobs(requests(registry, from)).map((line) => line.replace(/ .* /, " "))).toEqual(
      [1, 2, 3].flatMap(() => ["HEAD 404", "POST 201"]),
    );
  });

  test.each([
    ["Bearer, by the token endpoint", false],
    ["Basic, where the challenge says so", true],
  ])("signs in: %s", async (_what, isBasic) => {
    await using source = await startRegistry({ args: ["--auth", "accounts"] });
    await using dest = await startRegistry({ args: ["--auth", "accounts"] });
    const [from, to] = [accountOf(source), accountOf(dest)];
    await pushTo({ url: source.url, headers: { Authorization: from.basic } }, "team/app", "1.0", OCI);
    if (isBasic) {
      const headers = { "WWW-Authenticate": 'Basic realm="registry"' };
      for (const registry of [source, dest]) registry.faults.add({ kind: "answer", status: 401, headers });
    }
    const env = {
      ...{ SOURCE_USERNAME: "admin", SOURCE_PASSWORD: from.password },
      ...{ DEST_USERNAME: "admin", DEST_PASSWORD: to.password },
    };
    const at = dest.log.length;
    const ran = await script(`${source.host}/team/app:1.0`, `${dest.host}/mirror/app:1.0`, env);
    expect([ran.code, ran.stdout]).toEqual([0, `${dest.host}/mirror/app@${OCI.manifest.digest}\n`]);
    expect(requests(dest, at).some((line) => line.includes("/token"))).toBe(!isBasic);
    const words = [`${dest.host}/mirror/app:1.0`, `${dest.host}/other/app:1.0`] as const;
    const dests = { SOURCE_USERNAME: "admin", SOURCE_PASSWORD: to.password };
    const mounted = await script(...words, { ...env, ...dests });
    expect(mounted.stderr.match(/^mounted/gm)).toHaveLength(3);
  });

  test("a wrong password, and none, are an error that says which request was refused", async () => {
    await using source = await startRegistry();
    await using dest = await startRegistry({ args: ["--auth", "accounts"] });
    await pushTo(source, "team/app", "1.0", OCI);
    for (const env of [{}, { DEST_USERNAME: "admin", DEST_PASSWORD: "wrong" }] as readonly Env[]) {
      const ran = await script(`${source.host}/team/app:1.0`, `${dest.host}/mirror/app:1.0`, env);
      expect([ran.code, ran.stdout]).toEqual([1, ""]);
      expect(ran.stderr).toMatch(/^error: http:\/\/127\.0\.0\.1:\d+\/(?:v2\/mirror|token\?).*: 401 /m);
      expect(ran.stderr).not.toContain("Traceback");
    }
  });

  test("a download that is redirected to another machine is followed without the token", async () => {
    await using source = await startRegistry({ args: ["--auth", "accounts"] });
    await using dest = await startRegistry();
    const { basic, password } = accountOf(source);
    await pushTo({ url: source.url, headers: { Authorization: basic } }, "team/app", "1.0", OCI);
    const seen: (string | null)[] = [];
    const storage = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request) => {
        seen.push(request.headers.get("Authorization"));
        return new Response(OCI.config.bytes);
      },
    });
    const headers = { Location: `http://127.0.0.1:${storage.port}/somewhere` };
    source.faults.add({ kind: "answer", status: 307, headers, path: /\/blobs\// });
    const env = { SOURCE_USERNAME: "admin", SOURCE_PASSWORD: password };
    const ran = await script(`${source.host}/team/app:1.0`, `${dest.host}/mirror/app:1.0`, env);
    await storage.stop(true);
    expect([ran.code, seen]).toEqual([0, [null]]);
  });

  test("a blob that breaks off, or has other bytes, ends it with an error, and there is no manifest", async () => {
    await using source = await startRegistry();
    await using dest = await startRegistry();
    await pushTo(source, "team/app", "1.0", OCI);
    for (const [fault, text] of [
      [{ kind: "cut", bytes: 5 }, /^error: .*(?:bytes early|reset|Incomplete)/],
      [{ kind: "corrupt", at: 3 }, /^error: .*DIGEST_INVALID/m],
    ] as const) {
      source.faults.add({ ...fault, path: /\/blobs\// });
      const ran = await script(`${source.host}/team/app:1.0`, `${dest.host}/mirror/app:1.0`);
      expect([ran.code, ran.stdout]).toEqual([1, ""]);
      expect(ran.stderr).toMatch(text);
      expect(ran.stderr).not.toContain("Traceback");
      expect((await manifestOf(dest, "mirror/app/manifests/1.0"))[0]).toBe(404);
    }
  });

  test("layers that must not be pushed stay where they are", async () => {
    await using source = await startRegistry();
    await using dest = await startRegistry();
    const layer = { mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", size: 9 };
    const urls = ["https://example.com/layer"];
    const foreign = imageOf([], { layers: [{ ...layer, digest: blobOf("elsewhere").digest, urls }] });
    await pushTo(source, "team/app", "1.0", foreign);
    const ran = await script(`${source.host}/team/app:1.0`, `${dest.host}/mirror/app:1.0`);
    expect([ran.code, ran.stderr.match(/^uploaded/gm)?.length]).toEqual([0, 1]);
  });

  test("reads names as docker does", async () => {
    const code = `import runpy, json; parse = runpy.run_path(${JSON.stringify(SCRIPT)})["parse"]
print(json.dumps([parse(text) for text in ["alpine", "me/app:1", "docker.io/alpine@sha256:0", "localhost/a/b", "127.0.0.1:5000/a:b", "ghcr.io/x/y/z:1@sha512:0"]]))`;
    const child = Bun.spawn(["python3", "-c", code], { stdout: "pipe" });
    expect(JSON.parse(await child.stdout.text())).toEqual([
      ["registry-1.docker.io", "library/alpine", "latest"],
      ["registry-1.docker.io", "me/app", "1"],
      ["registry-1.docker.io", "library/alpine", "sha256:0"],
      ["localhost", "a/b", "latest"],
      ["127.0.0.1:5000", "a", "b"],
      ["ghcr.io", "x/y/z", "sha512:0"],
    ]);
  });

  test("what it does not copy is named: schema 1", async () => {
    await using source = await startRegistry({ args: ["--schema1", "table"] });
    await pushTo(source, "team/app", "1.0", DOCKER);
    const schema1 = await fetch(`${source.url}/v2/team/app/manifests/1.0`, {
      headers: { Accept: SCHEMA1_JSON },
    });
    const headers = { "Content-Type": schema1.headers.get("Content-Type") ?? "" };
    const put = await fetch(`${source.url}/v2/team/app/manifests/1.0`, {
      method: "PUT",
      headers,
      body: await schema1.bytes(),
    });
    expect(put.status).toBe(201);
    const ran = await script(`${source.host}/team/app:1.0`, `${source.host}/mirror/app:1.0`);
    expect([ran.code, ran.stderr]).toEqual([
      1,
      `error: team/app:1.0 is ${headers["Content-Type"]}, which this script does not copy\n`,
    ]);
  });

  test("leaves the same as stowage copy", async () => {
    await using source = await startRegistry();
    await using dest = await startRegistry();
    const { index, images } = indexOf();
    for (const image of images) await pushTo(source, "team/app", image.manifest.digest, image);
    await pushTo(source, "team/app", "1.0", index);
    const byScript = await script(`${source.host}/team/app:1.0`, `${dest.host}/by/script:1.0`);
    const byCommand = await cli(["copy", `${source.host}/team/app:1.0`, `${dest.host}/by/command:1.0`]);
    expect([byScript.code, byCommand.code]).toEqual([0, 0]);
    const [one, other] = [byScript.stdout, byCommand.stdout].map((text) => text.trim().split("@")[1]);
    expect(one).toBe(index.manifest.digest);
    expect(other).toBe(one ?? "");
  });
});

/** An index of Docker's and OCI's image, which share their layers. */
function indexOf(): { readonly index: TestImage; readonly images: readonly TestImage[] } {
  const mediaType = "application/vnd.oci.image.index.v1+json";
  const images = [DOCKER, OCI];
  const manifests = images.map((image, at) => ({
    mediaType: image.mediaType,
    digest: image.manifest.digest,
    size: image.manifest.bytes.byteLength,
    platform: { os: "linux", architecture: at === 0 ? "amd64" : "arm64" },
  }));
  const manifest = blobOf(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
  return { index: { config: DOCKER.config, layers: LAYERS, manifest, mediaType }, images };
}

function accountOf({ told }: TestRegistry): { readonly password: string; readonly basic: string } {
  const password = /password {2}(\S+)/.exec(told)?.[1] ?? "";
  return { password, basic: `Basic ${Buffer.from(`admin:${password}`).toString("base64")}` };
}

const matcher = createMatcher(V2_ROUTES);

/** `GET /v2/<name>/manifests/<reference>` for a request with values in it. */
function rowOf(method: string, path: string): string {
  const template = matcher.match(path.split("?")[0] ?? "")?.template ?? "none";
  return `${method} ${template.replace("<upload>", "<uuid>")}`;
}

const ROWS = TABLE_ROWS.map(([method, path]) => `${method} ${path}`);

describe("the blog's materials", () => {
  test("the Postman collection has every request of the table of methods", () => {
    const found = new Set<string>();
    const walk = (value: unknown): void => {
      if (typeof value !== "object" || value === null) return;
      if ("method" in value && "url" in value) {
        const { raw } = value.url as { readonly raw: string };
        found.add(
          rowOf(String(value.method), raw.replace("{{baseUrl}}", "").replaceAll(/\{\{\w+\}\}/g, "x")),
        );
      }
      for (const member of Object.values(value)) walk(member);
    };
    walk(postmanCollection());
    expect(ROWS.filter((row) => !found.has(row))).toEqual([]);
  });

  test("the OpenAPI document has every request of the table of methods", () => {
    const { paths } = openApi() as {
      readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
    };
    const found = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => rowOf(method.toUpperCase(), path.replaceAll(/\{\w+\}/g, "x"))),
    );
    expect(ROWS.filter((row) => !found.includes(row))).toEqual([]);
  });

  const flat = (steps: readonly DiagramStep[]): readonly DiagramStep[] =>
    steps.flatMap((step) => ("steps" in step ? flat(step.steps) : [step]));
  const rowsOf = (id: string) =>
    flat(DIAGRAMS.find((diagram) => diagram.id === id)?.steps ?? []).flatMap((step) =>
      step.kind === "request" ? [rowOf(step.method, step.path)] : [],
    );

  test("the sequence diagrams have every request of the table that pulls or pushes", () => {
    const found = DIAGRAMS.flatMap(({ id }) => rowsOf(id));
    // A pull and a push neither delete nor list, and learn of a manifest by fetching it.
    const others = /^DELETE |tags\/list|_catalog/;
    expect(ROWS.filter((row) => !others.test(row) && !found.includes(row))).toEqual([]);
  });

  test("docker pull is manifest, then blobs; docker push asks by HEAD before each upload, and sends the manifest last", () => {
    const pull = rowsOf("pull");
    expect(pull.indexOf("GET /v2/<name>/manifests/<reference>")).toBeLessThan(
      pull.indexOf("GET /v2/<name>/blobs/<digest>"),
    );
    const push = rowsOf("push");
    expect(push.indexOf("HEAD /v2/<name>/blobs/<digest>")).toBeLessThan(
      push.indexOf("POST /v2/<name>/blobs/uploads/"),
    );
    expect(push.at(-1)).toBe("PUT /v2/<name>/manifests/<reference>");
  });
});
