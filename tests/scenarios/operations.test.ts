import { expect, test } from "bun:test";
import { readSettings } from "@stowage/server/config/settings";
import { V2_ROUTES } from "@stowage/server/http/v2/routes";
import { blobOf, imageOf } from "../support/content.ts";
import { errorCode, TestApp } from "../support/test-app.ts";

test("GET /v2/ answers as every registry does", async () => {
  await using app = new TestApp();
  const response = await app.request("GET", "/v2/");
  expect([response.status, await response.text()]).toEqual([200, "{}"]);
  expect(response.headers.get("Content-Type")).toBe("application/json; charset=utf-8");
  expect(response.headers.get("Docker-Distribution-Api-Version")).toBe("registry/2.0");
});

test("livez and readyz answer, and readyz says when the server wants no more work", async () => {
  await using app = new TestApp();
  expect((await app.request("GET", "/livez")).status).toBe(200);
  expect((await app.request("GET", "/readyz")).status).toBe(200);
  app.draining = true;
  expect((await app.request("GET", "/readyz")).status).toBe(503);
  expect((await app.request("GET", "/livez")).status).toBe(200);
});

test("health is told in the forms of Kubernetes and of distribution", async () => {
  await using app = new TestApp();
  const ask = async (path: string) => {
    const response = await app.request("GET", path);
    return [response.status, await response.text()];
  };
  expect(await ask("/startupz")).toEqual([200, "ok\n"]);
  expect(await ask("/readyz?verbose")).toEqual([200, "[+]shutdown ok\n[+]metadata ok\nok\n"]);
  expect(await ask("/debug/health")).toEqual([200, "{}"]);
  app.draining = true;
  expect(await ask("/readyz?verbose")).toEqual([
    503,
    "[-]shutdown failed: shutting down\n[+]metadata ok\nshutting down\n",
  ]);
  expect(await ask("/debug/health")).toEqual([503, '{"shutdown":"shutting down"}']);
});

test("a read-only registry refuses what changes it and serves the rest", async () => {
  await using app = new TestApp({ readOnly: true });
  const response = await app.pushBlob("t/r", blobOf("x"));
  expect([response.status, await errorCode(response)]).toEqual([405, "UNSUPPORTED"]);
  expect((await app.pushManifest("t/r", "v1", imageOf([]))).status).toBe(405);
  expect((await app.request("DELETE", "/v2/t/r/manifests/v1")).status).toBe(405);
  expect((await app.request("GET", "/v2/_catalog")).status).toBe(200);
});

test("every route asks authorize for its own action, and nothing happens without it", async () => {
  const asked: string[] = [];
  await using app = new TestApp({
    authorize: ({ action, repository }) => {
      asked.push(`${action} ${repository}`);
      return false;
    },
  });
  for (const route of V2_ROUTES) {
    const path = route.template.replace("<name>", "t/r").replace(/<\w+>/, "x");
    const response = await app.request(
      route.method,
      path,
      route.method === "GET" || route.method === "HEAD" ? {} : { body: "x" },
    );
    expect(response.status).toBe(403);
    if (route.method !== "HEAD") expect(await errorCode(response)).toBe("DENIED");
    expect(asked.pop()).toBe(`${route.action} ${route.scope === "repository" ? "t/r" : "null"}`);
  }
  expect(asked).toEqual([]);
});

test("the log has one line per request and no client can forge one", async () => {
  await using app = new TestApp();
  await app.request("GET", '/v2/x%0a{"level":"error"}/tags/list', {
    headers: { "User-Agent": "a\tb\u00e9" },
  });
  const lines = app.log.trimEnd().split("\n");
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ message: "request", method: "GET", status: 400 });
});

test("settings: flags win over the environment, that over defaults", () => {
  const env = { STOWAGE_ADDR: "127.0.0.1:1", STOWAGE_DATA_DIR: "/env", STOWAGE_READ_ONLY: "true" };
  const result = readSettings({ args: ["--addr", "[::1]:2", "--log-format=text"], env });
  expect(result).toMatchObject({
    ok: true,
    settings: {
      hostname: "::1",
      port: 2,
      dataDir: "/env",
      readOnly: true,
      logFormat: "text",
      drainSeconds: 30,
    },
  });
});

test.each([
  [["--addr", "nonsense"], '--addr is "nonsense"; wanted HOST:PORT'],
  [["--addr", "127.0.0.1:70000"], '--addr is "127.0.0.1:70000"; wanted HOST:PORT'],
  [["--addr", ":5000"], '--addr is ":5000", which others can reach'],
  [["--tls-cert", "x"], "--tls-cert and --tls-key go together; only --tls-cert is set"],
  [["--log-level", "loud"], '--log-level is "loud"; wanted debug, info, warn, error'],
  [["--drain-seconds", "-1"], '--drain-seconds is "-1"; wanted a whole number'],
  [["--read-only=maybe"], '--read-only is "maybe"; wanted true or false'],
  [["--data-dir"], "--data-dir has no value"],
  [["--nonsense"], 'unknown argument "--nonsense"'],
])("settings %j are refused with the setting, the value and what is wanted", (args, problem) => {
  const result = readSettings({ args, env: {} });
  expect(result).toEqual({ ok: false, problems: [expect.stringContaining(problem)] });
});

test("settings: all problems are reported at once", () => {
  const result = readSettings({ args: ["--addr", "x", "--what"], env: { STOWAGE_LOG_FORMAT: "xml" } });
  expect(result.ok ? [] : result.problems).toHaveLength(3);
});

test("settings: an address that others can reach needs auth said explicitly", () => {
  expect(readSettings({ args: ["--addr", ":5000", "--auth", "none"], env: {} }).ok).toBe(true);
  expect(readSettings({ args: ["--addr", "localhost:5000"], env: {} }).ok).toBe(true);
});
