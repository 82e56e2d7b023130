import { expect, test } from "bun:test";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { Validator } from "@seriousme/openapi-schema-validator";
import { openApi, type OpenApiDocument } from "@stowage/oci/api/open-api";
import { describeApi } from "@stowage/server/http/api/api";
import openapiTypescript, { astToString } from "openapi-typescript";
import { RegistryProcess, WORKSPACE } from "../support/registry-process.ts";

const document = openApi((await describeApi()) as OpenApiDocument);

test("the OpenAPI document of both APIs is valid", async () => {
  const result = await new Validator().validate({ ...structuredClone(document) });
  expect(result.errors ?? []).toEqual([]);
  expect(result.valid).toBe(true);
});

test("every operation of the document has a name of its own", () => {
  const names = Object.values(document.paths).flatMap((item) =>
    Object.values(item).flatMap((operation) =>
      typeof operation === "object" && operation !== null && "operationId" in operation
        ? [String(operation.operationId)]
        : [],
    ),
  );
  expect(names.length).toBeGreaterThan(80);
  expect(names.toSorted()).toEqual([...new Set(names)].toSorted());
});

/** A program over the generated types: it pushes an image in both ways, pulls it, and asks the management API. */
const PROGRAM = `import createClient from "openapi-fetch";
import type { paths } from "./schema.d.ts";

const client = createClient<paths>({ baseUrl: process.argv[2] ?? "" });
const name = "team/sub/app";

async function digestOf(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return "sha256:" + Buffer.from(hash).toString("hex");
}

function check(step: string, response: Response, status: number): void {
  if (response.status !== status) throw new Error(step + " was answered " + response.status);
}

const bytes = { headers: { "Content-Type": "application/octet-stream" }, bodySerializer: (text?: string) => text } as const;

const layer = "a layer of a generated client";
const config = "{}";
const small = await client.POST("/v2/{name}/blobs/uploads/", {
  params: { path: { name }, query: { digest: await digestOf(config) } },
  body: config,
  ...bytes,
});
check("push in one request", small.response, 201);

const session = await client.POST("/v2/{name}/blobs/uploads/", { params: { path: { name } } });
check("begin", session.response, 202);
const upload = session.response.headers.get("Docker-Upload-UUID") ?? "";
const path = { name, upload };
const chunk = layer.slice(0, 10);
const sent = await client.PATCH("/v2/{name}/blobs/uploads/{upload}", {
  params: { path, header: { "Content-Range": "0-9" } },
  body: chunk,
  ...bytes,
});
check("chunk", sent.response, 202);
const finished = await client.PUT("/v2/{name}/blobs/uploads/{upload}", {
  params: { path, query: { digest: await digestOf(layer) } },
  body: layer.slice(10),
  ...bytes,
});
check("finish", finished.response, 201);

const type = "application/vnd.oci.image.manifest.v1+json";
const pushed = await client.PUT("/v2/{name}/manifests/{reference}", {
  params: { path: { name, reference: "v1" }, query: { tag: ["latest"] } },
  headers: { "Content-Type": type },
  body: {
    schemaVersion: 2,
    mediaType: type,
    config: { mediaType: "application/vnd.oci.empty.v1+json", digest: await digestOf(config), size: config.length },
    layers: [{ mediaType: "text/plain", digest: await digestOf(layer), size: layer.length }],
  },
});
check("manifest", pushed.response, 201);

const tags = await client.GET("/v2/{name}/tags/list", { params: { path: { name } } });
const pulled = await client.GET("/v2/{name}/manifests/{reference}", { params: { path: { name, reference: "latest" } } });
const manifest = pulled.data;
const [first] = typeof manifest === "object" && "layers" in manifest ? manifest.layers : [];
const blob = await client.GET("/v2/{name}/blobs/{digest}", {
  params: { path: { name, digest: first?.digest ?? "" } },
  parseAs: "text",
});
const missing = await client.GET("/v2/{name}/manifests/{reference}", { params: { path: { name, reference: "none" } } });
const repository = await client.GET("/api/v1/repositories/{name}", { params: { path: { name } } });
process.stdout.write(
  JSON.stringify({
    tags: tags.data?.tags,
    isSame: String(blob.data) === layer,
    error: missing.error?.errors[0]?.code,
    repository: repository.data?.name,
  }),
);
`;

test("a generated client pushes, pulls, and manages; what it sends and gets is typed by the document", async () => {
  await mkdir(join(WORKSPACE, ".cache"), { recursive: true });
  // Below the workspace, so that the client's library is found.
  const folder = await mkdtemp(join(WORKSPACE, ".cache", "api-client-"));
  await using registry = await RegistryProcess.start();
  try {
    const source = structuredClone(document) as unknown as Parameters<typeof openapiTypescript>[0];
    await Bun.write(join(folder, "schema.d.ts"), astToString(await openapiTypescript(source)));
    await Bun.write(join(folder, "program.ts"), PROGRAM);
    const settings = {
      extends: "../../tsconfig.json",
      compilerOptions: { lib: ["esnext", "dom"] },
      include: ["."],
    };
    await Bun.write(join(folder, "tsconfig.json"), JSON.stringify(settings));
    expect(await run(folder, "check", "-p", "tsconfig.json")).toMatchObject({ code: 0 });
    const ran = await run(folder, "run", "program.ts", registry.url);
    expect(ran).toMatchObject({ code: 0 });
    expect(JSON.parse(ran.stdout)).toEqual({
      tags: ["latest", "v1"],
      isSame: true,
      error: "MANIFEST_UNKNOWN",
      repository: "team/sub/app",
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

async function run(cwd: string, ...args: readonly string[]) {
  const child = Bun.spawn([process.execPath, ...args], {
    cwd,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, stdout, stderr };
}
