import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { startRegistry, type TestRegistry } from "@stowage/server/testing";
import { cli } from "../support/cli.ts";
import type { Ran } from "../support/command.ts";
import { WORKSPACE } from "../support/registry-process.ts";
import { program, suite } from "../support/suite.ts";
import { TestCa } from "../support/test-ca.ts";

let closed: TestRegistry;
let password = "";

beforeAll(async () => {
  closed = await startRegistry({ args: ["--auth", "accounts"] });
  password = /password {2}(\S+)/.exec(closed.told)?.[1] ?? "";
});

afterAll(async () => {
  await closed[Symbol.asyncDispose]();
});

describe("credentials", () => {
  test("come from options, and from the environment", async () => {
    const withOptions = ["catalog", closed.host, "-u", "admin", "--password-stdin"];
    expect(await cli(withOptions, { stdin: `${password}\n` })).toMatchObject({ code: 0, stderr: "" });
    const env = { STOWAGE_USERNAME: "admin", STOWAGE_PASSWORD: password };
    expect(await cli(["catalog", closed.host], { env })).toMatchObject({ code: 0, stderr: "" });
  });

  test("that are missing or wrong end with 4 and say what to do", async () => {
    for (const stdin of [null, "wrong"]) {
      const more = stdin === null ? [] : ["-u", "admin", "--password-stdin"];
      const ran = await cli(["ls", `${closed.host}/team/app`, ...more], { stdin: stdin ?? "" });
      expect(ran).toMatchObject({ code: 4, stdout: "" });
      expect(ran.stderr).toStartWith("error: ");
      expect(ran.stderr).toContain("\nhint: sign in with `stowage login HOST`");
    }
  });

  test("are not sent to another registry than the one that was named", async () => {
    const seen: (string | null)[] = [];
    const other = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request) => {
        seen.push(request.headers.get("Authorization"));
        const headers = { "WWW-Authenticate": 'Basic realm="x"' };
        return new Response("", { status: 401, headers });
      },
    });
    const env = { STOWAGE_USERNAME: "admin", STOWAGE_PASSWORD: password };
    const words = ["copy", `${closed.host}/team/app:1.0`, `127.0.0.1:${other.port}/team/app`];
    expect((await cli(words, { env })).code).not.toBe(0);
    await cli(["ls", `127.0.0.1:${other.port}/team/app`], { env: { ...env, STOWAGE_REGISTRY: closed.host } });
    await other.stop(true);
    expect(seen.filter((value) => value !== null)).toEqual([]);
    expect(await cli([...words, "-u", "admin"], { env })).toMatchObject({ code: 2 });
  });
});

test("--debug shows requests, and no secret", async () => {
  const ran = await cli(["catalog", closed.host, "--debug", "-u", "admin", "--password-stdin"], {
    stdin: password,
  });
  expect(ran.code).toBe(0);
  expect(ran.stderr).toMatch(/^debug: GET http:\/\/127\.0\.0\.1:\d+\/v2\/_catalog: 401, \d+ ms$/m);
  expect(ran.stderr).toMatch(/^debug: GET http:\/\/127\.0\.0\.1:\d+\/v2\/_catalog: 200, \d+ ms$/m);
  expect(ran.stderr).not.toContain(password);
  expect(ran.stderr).not.toContain(Buffer.from(`admin:${password}`).toString("base64"));
  expect(ran.stderr).not.toMatch(/Bearer (?!\(secret\)|realm)/);
});

suite("TLS", [program("openssl")], () => {
  test("wants a certificate that is trusted: --ca-cert, SSL_CERT_FILE, or --insecure", async () => {
    await using ca = await TestCa.make("test CA");
    const { cert, key } = await ca.sign("server", {
      subject: "/CN=127.0.0.2",
      extensions: ["subjectAltName=IP:127.0.0.2"],
    });
    await using registry = await startRegistry({
      args: ["--addr", "127.0.0.2:0", "--tls-cert", cert, "--tls-key", key],
    });
    const untrusted = await cli(["catalog", registry.host]);
    expect(untrusted).toMatchObject({ code: 8, stdout: "" });
    expect(untrusted.stderr).toContain("hint: the certificate is not trusted: --ca-cert FILE");
    expect(await cli(["catalog", registry.host, "--ca-cert", ca.ca.cert])).toMatchObject({
      code: 0,
      stderr: "",
    });
    expect(await cli(["catalog", registry.host, "--insecure"])).toMatchObject({ code: 0, stderr: "" });
    const env = { HOME: ca.folder, SSL_CERT_FILE: ca.ca.cert };
    expect(await run(["catalog", registry.host], env)).toMatchObject({ code: 0, stderr: "" });
    expect(await cli(["catalog", registry.host, "--ca-cert", "absent.pem"])).toMatchObject({ code: 2 });
    expect(await cli(["catalog", registry.host, "--insecure", "--plain-http"])).toMatchObject({ code: 2 });
  });

  test("is not spoken to a registry without it, and the hint says so", async () => {
    const ran = await cli(["catalog", closed.host, "--insecure"]);
    expect(ran).toMatchObject({ code: 8, stdout: "" });
    expect(ran.stderr).toContain("hint: a registry without TLS needs --plain-http");
  });
});

/** Runs the command in a process of its own, with this environment and nothing else. */
async function run(words: readonly string[], env: Readonly<Record<string, string>>): Promise<Ran> {
  const main = join(WORKSPACE, "packages", "cli", "src", "main.ts");
  const child = Bun.spawn([process.execPath, main, ...words], {
    env: { ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, stdout, stderr };
}

test("a proxy of the environment is used, unless NO_PROXY names the registry", async () => {
  const seen: string[] = [];
  const proxy = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      seen.push(request.url);
      return new Response('{"repositories":["through/the-proxy"]}', {
        headers: { "Content-Type": "application/json" },
      });
    },
  });
  const words = ["--plain-http", "catalog", "registry.invalid"];
  const http_proxy = `http://127.0.0.1:${proxy.port}`;
  expect(await run(words, { http_proxy })).toMatchObject({ code: 0, stdout: "through/the-proxy\n" });
  expect(seen).toEqual(["http://registry.invalid/v2/_catalog"]);
  expect((await run(words, { http_proxy, NO_PROXY: "registry.invalid" })).code).toBe(8);
  await proxy.stop(true);
});
