import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RegistryClient } from "@stowage/client";
import { startRegistry, type TestRegistry } from "@stowage/server/testing";
import { runStowage } from "../../packages/cli/src/run.ts";
import { cli } from "../support/cli.ts";
import { pushLayers } from "../support/layer.ts";

let registry: TestRegistry;
let closed: TestRegistry;
let env: Record<string, string> = {};

beforeAll(async () => {
  registry = await startRegistry();
  closed = await startRegistry({ args: ["--auth", "accounts"] });
  const password = /password {2}(\S+)/.exec(closed.told)?.[1] ?? "";
  env = { STOWAGE_USERNAME: "admin", STOWAGE_PASSWORD: password };
  const client = new RegistryClient();
  const layer = [{ name: "shared", text: "x".repeat(1_000) }];
  await pushLayers(client.repository(`${registry.host}/team/app`), [layer, [{ name: "own" }]], {
    tags: ["1", "2"],
  });
  await pushLayers(client.repository(`${registry.host}/team/other`), [layer], { tags: ["1"] });
  const signedIn = new RegistryClient({
    credentials: async () => ({ kind: "password", username: "admin", password }),
  });
  await pushLayers(signedIn.repository(`${closed.host}/team/secret`), [layer], { tags: ["1"] });
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await closed[Symbol.asyncDispose]();
});

/** A registry that is not Stowage: it has the catalog, and for all else pages for people, or no. */
function plainRegistry(status = 404) {
  return Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch({ url }) {
      const { pathname } = new URL(url);
      if (pathname === "/v2/") return Response.json({});
      if (pathname === "/v2/_catalog") return Response.json({ repositories: ["library/one", "team/Two"] });
      return new Response("<html>", { status: pathname === "/api/v1/whoami" ? 200 : status });
    },
  });
}

describe("stowage search", () => {
  test("asks Stowage", async () => {
    const ran = await cli(["search", registry.host, "APP", "--format", "json"]);
    expect(JSON.parse(ran.stdout)).toMatchObject([
      { name: "team/app", tags: 2, reference: `${registry.host}/team/app` },
    ]);
    expect((await cli(["search", registry.host, "team", "-q"])).stdout.split("\n")).toHaveLength(3);
    expect((await cli(["search", registry.host, "nope"])).stdout).toBe("");
  });

  test("sees what the account may see", async () => {
    expect((await cli(["search", closed.host, "secret", "-q"], { env })).stdout).toBe(
      `${closed.host}/team/secret\n`,
    );
    expect((await cli(["search", closed.host, "secret", "-q"])).stdout).toBe("");
  });

  test.each([404, 401, 403, 200])(
    "reads the catalog of others, which answer %d to what they do not know",
    async (status) => {
      await using other = plainRegistry(status);
      const ran = await cli(["search", `127.0.0.1:${other.port}`, "two", "-q"]);
      expect(ran).toMatchObject({ code: 0, stdout: `127.0.0.1:${other.port}/team/Two\n` });
    },
  );
});

describe("stowage du", () => {
  test("the largest first, and of one repository what deleting it frees", async () => {
    const all = JSON.parse((await cli(["du", registry.host, "--format", "json"])).stdout);
    expect(all.map(({ name }: { name: string }) => name)).toEqual(["team/app", "team/other"]);
    const one = JSON.parse((await cli(["du", `${registry.host}/team/app`, "--format", "json"])).stdout);
    expect(one.exclusiveBytes).toBeLessThan(one.blobBytes);
    expect((await cli(["du", `${registry.host}/team/app`, "-q"])).stdout).toBe(`${one.blobBytes}\n`);
    expect((await cli(["du", `${closed.host}/team/secret`], { env })).code).toBe(0);
  });

  test("a repository that is not there is 3, another registry is told", async () => {
    expect((await cli(["du", `${registry.host}/none`])).code).toBe(3);
    await using other = plainRegistry();
    const ran = await cli(["du", `127.0.0.1:${other.port}`]);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain("it is no Stowage");
  });
});

describe("stowage auth whoami", () => {
  test("of another registry it is the name that is used", async () => {
    await using other = plainRegistry();
    const host = `127.0.0.1:${other.port}`;
    expect((await cli(["auth", "whoami", host], { env })).stdout).toBe("admin\n");
    expect((await cli(["auth", "whoami", host])).stdout).toBe("nobody\n");
  });
});

describe("stowage server healthcheck", () => {
  test("is 0 where a server works, and 1 everywhere else", async () => {
    expect(await cli(["server", "healthcheck", "--addr", registry.host])).toMatchObject({
      code: 0,
      stdout: "",
      stderr: "",
    });
    const port = new URL(registry.url).port;
    expect((await cli(["server", "healthcheck"], { env: { STOWAGE_ADDR: `:${port}` } })).code).toBe(0);
    expect(
      (await cli(["server", "healthcheck", "--live"], { env: { STOWAGE_ADDR: `127.0.0.1:${port}` } })).code,
    ).toBe(0);
    expect((await cli(["server", "healthcheck", "--addr", "127.0.0.1:1"])).code).toBe(1);
    expect((await cli(["server", "healthcheck", "--addr", registry.host, "--tls"])).code).toBe(1);
    registry.faults.add({ kind: "answer", status: 503, path: /readyz/ });
    expect((await cli(["server", "healthcheck", "--addr", registry.host])).code).toBe(1);
    expect((await cli(["server", "healthcheck", "--addr", "nonsense"])).code).toBe(2);
  });
});

describe("stowage demo", () => {
  test("has the image that it tells of, until a signal comes", async () => {
    const stop = new AbortController();
    const told = Promise.withResolvers<string>();
    const sink = (write: (data: string | Uint8Array) => void) => ({
      isTerminal: false,
      columns: 80,
      rows: 24,
      write,
      flush: async () => undefined,
    });
    const ended = runStowage(["demo", "--addr", "127.0.0.1:0"], {
      env: {},
      homeDir: "/nonexistent",
      stdout: sink((data) => told.resolve(String(data))),
      stderr: sink(() => undefined),
      stdin: { isTerminal: false, stream: () => new Blob([]).stream() },
      fetch: (request, init) => fetch(request, init),
      now: () => 0,
      signal: () => stop.signal,
    });
    const text = await told.promise;
    const image = /stowage inspect (\S+)/.exec(text)?.[1] ?? "";
    expect((await cli(["cat", image, "hello.txt"])).stdout).toBe("Hello from Stowage\n");
    expect((await cli(["validate", image])).code).toBe(0);
    stop.abort(new Error("enough"));
    expect(await ended).toBe(0);
  });
});
