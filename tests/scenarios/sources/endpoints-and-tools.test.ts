import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startRegistry, type TestRegistry } from "@stowage/server/testing";
import { cli } from "../../support/cli.ts";
import { blobOf, digestOf, imageOf, seededBytes } from "../../support/content.ts";
import { DOCKER_MANIFEST } from "../../support/docker-image.ts";
import { TABLE_ROWS } from "../../support/method-table.ts";
import { answerOf, shell } from "../../support/shell.ts";
import { program, suite } from "../../support/suite.ts";
import { savedImage, tarOfParts } from "../../support/tar.ts";
import { errorCode, TestApp } from "../../support/test-app.ts";

/**
 * An overview of the API and of distribution's source tree: paths with namespace and repository, four curl calls, and the
 * commands `digest` and `registry-api-descriptor-template`.
 */

const folder = await mkdtemp(join(tmpdir(), "stowage-sources-"));
afterAll(() => rm(folder, { recursive: true, force: true }));

const BASE = "https://registry.example.com/v2/namespace/repository";
const SAVED = savedImage([blobOf(seededBytes(20_000, 1))], ["namespace/repository:latest"]);

suite("the overview's curl calls", [program("curl")], () => {
  let registry: TestRegistry;
  beforeAll(async () => {
    registry = await startRegistry();
    await Bun.write(join(folder, "image.tar"), tarOfParts(SAVED.parts));
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  /** With straight quotes and two hyphens, where the overview prints others; `-i` shows the headers as well. */
  async function curl(line: string) {
    const real = line.replace("https://registry.example.com", registry.url).replace("curl ", "curl -i -s ");
    const ran = await shell(`cd ${folder} && ${real}`);
    expect(ran.code).toBe(0);
    return answerOf(ran.stdout.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, ""));
  }

  const push = (reference: string) =>
    curl(
      `curl -X PUT -H "Content-Type: application/tar" --data-binary @image.tar ${BASE}/manifests/${reference}`,
    );

  test("an archive is pushed by the digest that it will have, and by a tag", async () => {
    const byTag = await push("latest");
    expect(byTag.statusLine).toBe("HTTP/1.1 201 Created");
    const digest = byTag.headers.get("Docker-Content-Digest") ?? "";
    expect(byTag.headers.get("Location")).toBe(`/v2/namespace/repository/manifests/${digest}`);
    const byDigest = await push(digest);
    expect([byDigest.statusLine, byDigest.headers.get("Docker-Content-Digest")]).toEqual([
      "HTTP/1.1 201 Created",
      digest,
    ]);
  });

  test("a digest that is none, as it is printed, and one of something else are DIGEST_INVALID", async () => {
    for (const digest of ["sha256:1234567890abcdef", blobOf("something else").digest]) {
      const { statusLine, body } = await push(digest);
      expect([statusLine, JSON.parse(body).errors[0].code]).toEqual([
        "HTTP/1.1 400 Bad Request",
        "DIGEST_INVALID",
      ]);
    }
  });

  test("a manifest is pulled by its digest, with the Accept that is shown, and its layers by theirs", async () => {
    const digest = (await push("latest")).headers.get("Docker-Content-Digest") ?? "";
    const { statusLine, headers, body } =
      await curl(`curl -X GET -H "Accept: application/vnd.docker.distribution.manifest.v2+json" \\
      ${BASE}/manifests/${digest}`);
    expect([statusLine, headers.get("Content-Type")]).toEqual(["HTTP/1.1 200 OK", DOCKER_MANIFEST]);
    expect<string>(digestOf(body)).toBe(digest);
    for (const layer of JSON.parse(body).layers) {
      const pulled = await fetch(`${registry.url}/v2/namespace/repository/blobs/${layer.digest}`);
      expect(digestOf(await pulled.bytes())).toBe(layer.digest);
    }
  });

  test("tags are listed, and one is deleted by tags/latest; its manifest and other tags stay", async () => {
    const digest = (await push("latest")).headers.get("Docker-Content-Digest") ?? "";
    await push("1.0");
    const list = () =>
      curl(`curl -X GET \\
      ${BASE}/tags/list`);
    expect((await list()).body).toBe('{"name":"namespace/repository","tags":["1.0","latest"]}');
    const deleted = await curl(`curl -X DELETE \\
      ${BASE}/tags/latest`);
    expect(deleted.statusLine).toBe("HTTP/1.1 202 Accepted");
    expect((await list()).body).toBe('{"name":"namespace/repository","tags":["1.0"]}');
    expect((await fetch(`${registry.url}/v2/namespace/repository/manifests/${digest}`)).status).toBe(200);
  });
});

describe("the overview's endpoints", () => {
  const image = imageOf([blobOf("a layer")]);

  test("are there for a namespace and a repository, and for longer names", async () => {
    await using app = new TestApp();
    for (const name of ["namespace/repository", "a/b/c/d/e"]) {
      await app.pushImage(name, "latest", image);
      const [{ digest } = blobOf("")] = image.layers;
      const paths = [
        "manifests/latest",
        `manifests/${image.manifest.digest}`,
        `blobs/${digest}`,
        "tags/latest",
      ];
      for (const path of paths)
        expect([path, (await app.request("GET", `/v2/${name}/${path}`)).status]).toEqual([path, 200]);
    }
    expect((await app.request("GET", "/v2/")).status).toBe(200);
  });

  test("tags/<tag> manages a tag: what it is, setting another one, deleting it", async () => {
    await using app = new TestApp();
    await app.pushImage("namespace/repository", "latest", image);
    const path = "/v2/namespace/repository/tags";
    expect(await (await app.request("GET", `${path}/latest`)).json()).toMatchObject({
      tag: "latest",
      digest: image.manifest.digest,
    });
    const put = await app.request("PUT", `${path}/stable?digest=${image.manifest.digest}`);
    const deleted = await app.request("DELETE", `${path}/latest`);
    expect([put.status, deleted.status]).toEqual([201, 202]);
    expect(await (await app.request("GET", `${path}/list`)).json()).toMatchObject({ tags: ["stable"] });
  });

  test("a repository is created by its first push, listed, and deleted by the management API", async () => {
    await using app = new TestApp();
    const missing = await app.request("GET", "/v2/namespace/repository/tags/list");
    expect([missing.status, await errorCode(missing)]).toEqual([404, "NAME_UNKNOWN"]);
    await app.pushImage("namespace/repository", "latest", image);
    const list = async () => await (await app.request("GET", "/v2/_catalog")).json();
    expect(await list()).toEqual({ repositories: ["namespace/repository"] });
    expect((await app.request("DELETE", "/api/v1/repositories/namespace/repository")).ok).toBe(true);
    expect(await list()).toEqual({ repositories: [] });
  });

  test("take more than one way to sign in: a password, and a token", async () => {
    await using registry = await startRegistry({ args: ["--auth", "accounts"] });
    const password = /password {2}(\S+)/.exec(registry.told)?.[1] ?? "";
    const basic = { Authorization: `Basic ${Buffer.from(`admin:${password}`).toString("base64")}` };
    const answer = await fetch(`${registry.url}/token?service=stowage`, { headers: basic });
    const { token } = (await answer.json()) as { readonly token: string };
    for (const headers of [basic, { Authorization: `Bearer ${token}` }])
      expect((await fetch(`${registry.url}/v2/`, { headers })).status).toBe(200);
    expect((await fetch(`${registry.url}/v2/`)).status).toBe(401);
  });

  test("health is /livez, /readyz and distribution's /debug/health", async () => {
    await using app = new TestApp();
    const statuses = ["/livez", "/readyz", "/debug/health"].map(
      async (path) => (await app.request("GET", path)).status,
    );
    expect(await Promise.all(statuses)).toEqual([200, 200, 200]);
  });

  test("there is no proxy yet: what nobody pushed is unknown", async () => {
    await using app = new TestApp();
    const answer = await app.request("GET", "/v2/library/alpine/manifests/latest");
    expect([answer.status, await errorCode(answer)]).toEqual([404, "MANIFEST_UNKNOWN"]);
  });
});

describe("stowage digest, as the command digest is described", () => {
  const text = "hello\n";
  const file = join(folder, "hello");

  test("computes the digest of a file and of standard input, with either algorithm", async () => {
    await Bun.write(file, text);
    for (const algorithm of ["sha256", "sha512"] as const) {
      const digest = digestOf(text, algorithm);
      const ofFile = await cli(["digest", "-a", algorithm, file]);
      expect(ofFile).toMatchObject({ code: 0, stdout: `${digest}\t${file}\n` });
      const ofInput = await cli(["digest", "-a", algorithm, "-"], { stdin: text });
      expect(ofInput).toMatchObject({ code: 0, stdout: `${digest}\t-\n` });
    }
    expect((await cli(["digest"], { stdin: text })).stdout).toBe(`${digestOf(text)}\t-\n`);
  });

  test("is of the bytes and nothing else: not what Git computes of an object", async () => {
    await Bun.write(file, text);
    const ofGit = digestOf(`blob ${text.length}\0${text}`);
    const { stdout } = await cli(["digest", file]);
    expect(stdout).toStartWith(digestOf(text));
    expect(stdout).not.toContain(ofGit);
  });

  test("verifies the integrity of files", async () => {
    await Bun.write(file, text);
    const sums = join(folder, "SUMS");
    await Bun.write(sums, (await cli(["digest", file])).stdout);
    expect(await cli(["digest", "-c", sums])).toMatchObject({ code: 0, stdout: `${file}: OK\n` });
    await Bun.write(file, "other");
    expect(await cli(["digest", "-c", sums])).toMatchObject({ code: 9, stdout: `${file}: FAILED\n` });
  });

  test("prints its usage, and refuses an algorithm that it does not have", async () => {
    const help = await cli(["digest", "--help"]);
    expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining("--algorithm") });
    const unsupported = await cli(["digest", "-a", "md5", file]);
    expect(unsupported).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("md5") });
  });
});

describe("stowage api template, as registry-api-descriptor-template is described", () => {
  test("executes a template that is passed on the command line with the descriptor, and prints it", async () => {
    const file = join(folder, "rows.tmpl");
    await Bun.write(
      file,
      `{{range $route := .RouteDescriptors}}{{range $method := $route.Methods}}{{$method.Method}} {{$route.Path|prettygorilla}}
{{end}}{{end}}`,
    );
    const { code, stdout } = await cli(["api", "template", file]);
    const lines = stdout.split("\n").map((line) => line.replace("<upload>", "<uuid>"));
    expect(code).toBe(0);
    for (const [method, path] of TABLE_ROWS) expect(lines).toContain(`${method} ${path}`);
  });

  test("has the syntax of Go's text/template: comments, trimming, variables, pipelines, else, define", async () => {
    const stdin = `{{- /* a comment */ -}}
{{define "code"}}{{.Value | printf "%-13q"}}|{{end -}}
{{range $at, $error := .ErrorDescriptors}}{{if lt $at 2}}{{template "code" $error}}{{else}}{{break}}{{end}}{{end}}
{{with index .RouteDescriptors 0}}{{.Name | len}}{{else}}none{{end}}
`;
    expect(await cli(["api", "template", "-"], { stdin })).toMatchObject({
      code: 0,
      stdout: '"BLOB_UNKNOWN"|"BLOB_UPLOAD_INVALID"|\n4\n',
    });
  });

  test("says where a template is wrong", async () => {
    const ran = await cli(["api", "template", "-"], { stdin: "{{range .RouteDescriptors}}" });
    expect(ran).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("standard input:1") });
  });
});
