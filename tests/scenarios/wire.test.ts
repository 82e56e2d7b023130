import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blobOf, digestOf } from "../support/content.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { program, suite } from "../support/suite.ts";

/** What only a real socket shows: malformed requests, unread bodies, clients that go away, signals. */

let registry: RegistryProcess;
beforeAll(async () => {
  registry = await RegistryProcess.start();
});
afterAll(async () => {
  expect(registry.log).not.toContain('"status":5');
  expect(registry.log).not.toContain('"level":"error"');
  await registry[Symbol.asyncDispose]();
});

const HOST = "Host: registry.test\r\n";
const PING = `GET /v2/ HTTP/1.1\r\n${HOST}\r\n`;

/** Sends raw bytes and gives what comes back until the peer closes, or `until` has come. */
async function exchange(bytes: string, until: string | null = null): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let received = "";
  const socket = connect(Number(new URL(registry.url).port), "127.0.0.1", () => socket.write(bytes));
  socket.on("data", (data) => {
    received += data.toString("latin1");
    if (until !== null && received.includes(until)) socket.destroy();
  });
  socket.on("error", () => undefined);
  socket.on("close", () => resolve(received));
  return await promise;
}

test.each([
  ["HTTP/1.0 without Host", "GET /v2/ HTTP/1.0\r\n\r\n", "HTTP/1.1 200"],
  ["HTTP/1.1 without Host", "GET /v2/ HTTP/1.1\r\n\r\n", "HTTP/1.1 400"],
  [
    "both lengths",
    `PUT /v2/a/manifests/x HTTP/1.1\r\n${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    "HTTP/1.1 400",
  ],
  [
    "two lengths",
    `PUT /v2/a/manifests/x HTTP/1.1\r\n${HOST}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`,
    "HTTP/1.1 400",
  ],
  [
    "a negative length",
    `PUT /v2/a/manifests/x HTTP/1.1\r\n${HOST}Content-Length: -5\r\n\r\nhello!`,
    "HTTP/1.1 400",
  ],
  [
    "a malformed chunk",
    `PUT /v2/a/manifests/x HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n`,
    "HTTP/1.1 400",
  ],
  ["a header of 100 KB", `GET /v2/ HTTP/1.1\r\n${HOST}X: ${"a".repeat(100_000)}\r\n\r\n`, "HTTP/1.1 431"],
  ["an unknown method", `FOO /v2/ HTTP/1.1\r\n${HOST}\r\n`, ""],
])("%s is answered or closed, never more", async (_, bytes, answer) => {
  expect(await exchange(bytes)).toStartWith(answer);
});

test.each([
  ["two Host headers", `GET /v2/ HTTP/1.1\r\n${HOST}Host: other\r\n\r\n`, "REQUEST_INVALID"],
  ["TRACE", `TRACE /v2/ HTTP/1.1\r\n${HOST}\r\n`, "UNSUPPORTED"],
  ["CONNECT", `CONNECT /v2/ HTTP/1.1\r\n${HOST}\r\n`, "UNSUPPORTED"],
  ["an address in the request line", `GET http://other/x HTTP/1.1\r\n${HOST}\r\n`, "ROUTE_UNKNOWN"],
  ["a path in the Host", "GET /nowhere HTTP/1.1\r\nHost: a/v2/?\r\n\r\n", "ROUTE_UNKNOWN"],
])("%s is refused with the envelope", async (_, bytes, code) => {
  expect(await exchange(bytes, "}]}")).toContain(`{"errors":[{"code":"${code}"`);
});

const BIG = "x".repeat(5_000_000);
const CHUNKED = `${`10000\r\n${"x".repeat(65_536)}\r\n`.repeat(80)}0\r\n\r\n`;

test.each([
  [
    "a manifest that is too large",
    `PUT /v2/a/manifests/x HTTP/1.1\r\n${HOST}Content-Length: ${BIG.length}\r\n\r\n${BIG}`,
    413,
  ],
  [
    "a chunked manifest that is too large",
    `PUT /v2/a/manifests/x HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${CHUNKED}`,
    413,
  ],
  [
    "a chunk for no session",
    `PATCH /v2/a/blobs/uploads/x HTTP/1.1\r\n${HOST}Content-Length: ${BIG.length}\r\n\r\n${BIG}`,
    404,
  ],
  ["a refused HEAD", `HEAD /v2/a/blobs/sha256:x HTTP/1.1\r\n${HOST}\r\n`, 400],
])("after %s the connection serves the next request", async (_, bytes, status) => {
  const { promise, resolve } = Promise.withResolvers<string>();
  let received = "";
  let isNext = false;
  const socket = connect(Number(new URL(registry.url).port), "127.0.0.1", () => socket.write(bytes));
  socket.on("data", (data) => {
    received += data.toString("latin1");
    const isAnswered = received.includes("}]}") || received.includes("\r\n\r\n");
    if (isAnswered && !isNext) {
      isNext = true;
      socket.write(PING);
    }
    if (received.endsWith("\r\n\r\n{}")) socket.destroy();
  });
  socket.on("error", () => undefined);
  socket.on("close", () => resolve(received));
  const answers = await promise;
  expect(answers).toStartWith(`HTTP/1.1 ${status}`);
  expect(answers).toContain("HTTP/1.1 200 OK");
});

test("a client that goes away in the middle of a PATCH leaves a session that goes on", async () => {
  const opened = await fetch(`${registry.url}/v2/t/r/blobs/uploads/`, { method: "POST" });
  const location = opened.headers.get("Location") ?? "";
  const socket = connect(Number(new URL(registry.url).port), "127.0.0.1");
  socket.write(`PATCH ${location} HTTP/1.1\r\n${HOST}Content-Length: 11\r\n\r\nhello `);
  await Bun.sleep(200);
  socket.destroy();
  let range: string | null = null;
  for (let attempt = 0; attempt < 50 && range !== "0-5"; attempt++) {
    await Bun.sleep(50);
    range = (await fetch(`${registry.url}${location}`)).headers.get("Range");
  }
  expect(range).toBe("0-5");
  const digest = digestOf("hello world");
  const rest = { method: "PUT", body: "world", headers: { "Content-Range": "6-10" } };
  expect((await fetch(`${registry.url}${location}?digest=${digest}`, rest)).status).toBe(201);
  expect(await (await fetch(`${registry.url}/v2/t/r/blobs/${digest}`)).text()).toBe("hello world");
});

test("a blob keeps its length over the wire, whole, in part and in HEAD", async () => {
  const blob = blobOf("0123456789");
  const url = `${registry.url}/v2/t/r/blobs/${blob.digest}`;
  await fetch(`${registry.url}/v2/t/r/blobs/uploads/?digest=${blob.digest}`, {
    method: "POST",
    body: blob.bytes,
  });
  const whole = await exchange(
    `GET ${new URL(url).pathname} HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`,
    "0123456789",
  );
  expect(whole).toMatch(/content-length: 10\r\n/i);
  expect(whole).not.toMatch(/filename/i);
  const part = await fetch(url, { headers: { Range: "bytes=2-4" } });
  expect([part.status, part.headers.get("Content-Length"), await part.text()]).toEqual([206, "3", "234"]);
  const head = await fetch(url, { method: "HEAD" });
  expect([head.status, head.headers.get("Content-Length")]).toEqual([200, "10"]);
});

test("a second server on the same data folder refuses to start and says why", async () => {
  const second = RegistryProcess.start({ dataDir: registry.dataDir });
  expect(second).rejects.toThrow("another Stowage server is running on it");
});

test("SIGTERM lets an upload in flight finish, then the process ends with 0", async () => {
  await using server = await RegistryProcess.start();
  const digest = digestOf("hello world");
  const opened = await fetch(`${server.url}/v2/t/r/blobs/uploads/`, { method: "POST" });
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const location = `${server.url}${opened.headers.get("Location")}?digest=${digest}`;
  const upload = fetch(location, { method: "PUT", body: readable });
  await writer.write(new TextEncoder().encode("hello "));
  await Bun.sleep(200);
  const ended = server.kill("SIGTERM");
  await Bun.sleep(200);
  await writer.write(new TextEncoder().encode("world"));
  await writer.close();
  expect((await upload).status).toBe(201);
  expect(await ended).toBe(0);
  await server.start();
  expect(await (await fetch(`${server.url}/v2/t/r/blobs/${digest}`)).text()).toBe("hello world");
});

suite("TLS", [program("openssl")], () => {
  test("the registry serves with a certificate, and names the setting when a file is none", async () => {
    const folder = await mkdtemp(join(tmpdir(), "stowage-tls-"));
    const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
    const request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"];
    await Bun.spawn([program("openssl").path, ...request, "-keyout", key, "-out", cert], { stderr: "ignore" })
      .exited;
    await using server = await RegistryProcess.start({ args: ["--tls-key", key, "--tls-cert", cert] });
    expect(server.url).toStartWith("https://");
    const response = await fetch(`${server.url}/v2/`, { tls: { rejectUnauthorized: false } });
    expect(response.status).toBe(200);
    await Bun.write(cert, "no certificate");
    const broken = RegistryProcess.start({ args: ["--tls-key", key, "--tls-cert", cert] });
    expect(broken).rejects.toThrow(/--tls-cert is ".*", which has no PEM block; wanted a PEM file/);
    await rm(folder, { recursive: true });
  });
});
