import { afterAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Validator } from "@seriousme/openapi-schema-validator";
import { API_ROUTES } from "@stowage/oci/api/routes";
import { curlScript } from "@stowage/oci/api/curl";
import { cli } from "../support/cli.ts";
import { inWorkspace } from "../docs/api-reference.ts";

const folder = await mkdtemp(join(tmpdir(), "stowage-api-"));
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Operation {
  readonly operationId?: string;
}

test("api spec prints OpenAPI that is valid, and has both APIs", async () => {
  const { code, stdout } = await cli(["api", "spec"]);
  expect(code).toBe(0);
  const document = JSON.parse(stdout) as { readonly paths: Record<string, Record<string, Operation>> };
  expect((await new Validator().validate(structuredClone(document))).errors ?? []).toEqual([]);
  for (const { method, path } of API_ROUTES) {
    const item = document.paths[path.replaceAll(/<([a-z]+)>/g, "{$1}")];
    expect([method, path, item?.[method.toLowerCase()] !== undefined]).toEqual([method, path, true]);
  }
  expect(document.paths["/api/v1/repositories/{name}"]?.get?.operationId).toBe("getRepository");
});

test("no two operations of the OpenAPI document have one name", async () => {
  const { stdout } = await cli(["api", "spec", "--format", "openapi"]);
  const { paths } = JSON.parse(stdout) as { readonly paths: Record<string, Record<string, Operation>> };
  const names = Object.values(paths).flatMap((item) =>
    Object.values(item).map(({ operationId }) => operationId),
  );
  expect(new Set(names).size).toBe(names.length);
});

test("api spec --format markdown is docs/api.md, before it is formatted", async () => {
  const { stdout } = await cli(["api", "spec", "--format", "markdown"]);
  const squeeze = (text: string) => text.replaceAll(/[ -]+/g, " ");
  expect(squeeze(stdout)).toBe(squeeze(await Bun.file(inWorkspace("docs/api.md")).text()));
});

test("api spec --format curl is the script, postman a collection of format 2.1, -o writes a file", async () => {
  expect((await cli(["api", "spec", "--format", "curl"])).stdout).toBe(curlScript());
  const file = join(folder, "collection.json");
  expect(await cli(["api", "spec", "--format=postman", "-o", file])).toMatchObject({ code: 0, stdout: "" });
  const { info, variable } = (await Bun.file(file).json()) as {
    readonly info: { readonly schema: string };
    readonly variable: readonly { readonly key: string }[];
  };
  expect(info.schema).toContain("/v2.1.0/");
  expect(variable.map(({ key }) => key)).toEqual(
    expect.arrayContaining(["baseUrl", "repository", "reference"]),
  );
});

test("api template renders a file and standard input, and says where a template is wrong", async () => {
  const fixture = inWorkspace("packages/cli/src/api/fixtures/reference.md.tmpl");
  const rendered = await cli(["api", "template", fixture]);
  expect(rendered).toMatchObject({ code: 0, stderr: "" });
  expect(rendered.stdout).toContain("| PUT | `/v2/<name>/manifests/<reference>` | Manifest |");
  const stdin = "{{range .RouteDescriptors}}{{.Path | prettygorilla}}\n{{end}}";
  expect((await cli(["api", "template", "-"], { stdin })).stdout).toStartWith("/v2/\n/token\n");
  expect(await cli(["api", "template", "-"], { stdin: "\n {{.Routes}}" })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(
      "template standard input:2:4: no field .Routes: wanted .ErrorDescriptors",
    ),
  });
  expect(await cli(["api", "template", join(folder, "none")])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("cannot read"),
  });
});

test("api routes lists the endpoints of both APIs", async () => {
  const { stdout } = await cli(["api", "routes", "--format", "{{.api}} {{.method}} {{.path}}"]);
  const lines = stdout.split("\n");
  for (const { method, path } of API_ROUTES) expect(lines).toContain(`registry ${method} ${path}`);
  expect(lines).toContain("management GET /api/v1/repositories/<name>");
});

test("what is printed arrives whole, however slowly the pipe is read", async () => {
  const main = inWorkspace("packages/cli/src/main.ts");
  const pipe = `"${process.execPath}" "${main}" api spec | { sleep 1; cat; }`;
  const child = Bun.spawn(["sh", "-c", pipe], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const text = await child.stdout.text();
  expect(text.length).toBeGreaterThan(200_000);
  expect(text).toBe((await cli(["api", "spec"])).stdout);
});
