import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { LISTEN_LIMITS, type ListenLimits } from "@stowage/server/listen/limits";
import { blobOf, digestOf } from "../support/content.ts";
import { Served } from "../support/served.ts";
import { program, suite } from "../support/suite.ts";
import { TestCa } from "../support/test-ca.ts";

/** Clients that take their time: with headers, with a body, between requests. */

/** Bun's timer counts in steps of 4 s. */
const SHORT: ListenLimits = {
  ...LISTEN_LIMITS,
  idleSeconds: 4,
  uploadPace: { graceMs: 600, windowMs: 600, bytesPerSecondMin: 1024, stallSeconds: 4 },
};

const HOST = "Host: registry.test\r\n";

let served: Served;
beforeAll(async () => {
  served = await Served.start([], { limits: SHORT });
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
});

interface Dripping {
  readonly first?: string;
  readonly drip?: string;
  readonly everyMs?: number;
}

interface Dripped {
  readonly seconds: number;
  readonly received: string;
}

/** Connects, sends, goes on sending drop by drop, and tells when the server ended it; null: not within 16 s. */
async function drip({ first = "", drip: drop = "", everyMs = 100 }: Dripping): Promise<Dripped | null> {
  const { promise, resolve } = Promise.withResolvers<Dripped | null>();
  const startedAt = performance.now();
  let received = "";
  const socket = connect(served.port, "127.0.0.1", () => socket.write(first));
  const dripping = setInterval(() => drop !== "" && socket.write(drop), everyMs);
  const patience = setTimeout(() => resolve(null), 16_000);
  socket.on("data", (data) => {
    received += data.toString("latin1");
  });
  socket.on("error", () => undefined);
  socket.on("close", () => resolve({ seconds: (performance.now() - startedAt) / 1_000, received }));
  const result = await promise;
  clearInterval(dripping);
  clearTimeout(patience);
  socket.destroy();
  return result;
}

describe("slow headers", () => {
  test.concurrent.each([
    ["nothing at all", {}],
    ["a byte of a header every 100 ms", { first: `GET /v2/ HTTP/1.1\r\n${HOST}X: `, drip: "a" }],
    ["a header every 100 ms", { first: `GET /v2/ HTTP/1.1\r\n${HOST}`, drip: "X: a\r\n" }],
    ["empty lines before a request", { drip: "\r\n" }],
  ])(
    "%s is cut without an answer",
    async (_, dripping) => {
      const result = await drip(dripping);
      expect(result).not.toBeNull();
      expect(result?.received).not.toContain("HTTP/1.1 2");
    },
    20_000,
  );

  test.concurrent(
    "headers that drip on a connection that was used are cut as well",
    async () => {
      const first = `GET /v2/ HTTP/1.1\r\n${HOST}\r\nGET /v2/ HTTP/1.1\r\n${HOST}X: `;
      const result = await drip({ first, drip: "a" });
      expect(result?.received.match(/HTTP\/1.1 /g)).toHaveLength(1);
    },
    20_000,
  );

  test.concurrent(
    "an upload that is done leaves a connection that ends when nothing comes",
    async () => {
      const digest = digestOf("hello");
      const push = `POST /v2/t/r/blobs/uploads/?digest=${digest} HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`;
      const result = await drip({ first: push });
      expect(result?.received).toStartWith("HTTP/1.1 201");
    },
    20_000,
  );
});

describe("slow bodies", () => {
  interface Upload {
    readonly bytesPerPiece: number;
    readonly everyMs: number;
    readonly pieces: number;
  }

  /** Sends a PATCH in pieces until it is answered or done; gives its status, its session and how much was sent. */
  async function upload({ bytesPerPiece, everyMs, pieces }: Upload) {
    const opened = await fetch(`${served.url}/v2/t/r/blobs/uploads/`, { method: "POST" });
    const location = opened.headers.get("Location") ?? "";
    const length = bytesPerPiece * pieces;
    let received = "";
    let sent = 0;
    const { promise, resolve } = Promise.withResolvers<null>();
    const socket = connect(served.port, "127.0.0.1", () => {
      socket.write(`PATCH ${location} HTTP/1.1\r\n${HOST}Content-Length: ${length}\r\n\r\n`);
    });
    socket.on("data", (data) => {
      received += data.toString("latin1");
      if (received.includes("\r\n\r\n")) resolve(null);
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(null));
    const sending = setInterval(() => {
      if (sent >= length) return;
      socket.write("x".repeat(bytesPerPiece));
      sent += bytesPerPiece;
    }, everyMs);
    await promise;
    clearInterval(sending);
    socket.destroy();
    return { status: /^HTTP\/1\.1 (\d+)/.exec(received)?.[1], received, location, sent };
  }

  test.concurrent("2 KiB/s goes through, long past the grace and the window", async () => {
    const result = await upload({ bytesPerPiece: 205, everyMs: 100, pieces: 25 });
    expect(result.status).toBe("202");
  });

  test.concurrent("100 B/s is cut, what came is kept, and the upload goes on from there", async () => {
    const result = await upload({ bytesPerPiece: 10, everyMs: 100, pieces: 1_000 });
    expect(result.status).toBe("400");
    expect(result.received).toContain("BLOB_UPLOAD_INVALID");
    expect(result.received).toMatch(/connection: close/i);
    const kept = await fetch(`${served.url}${result.location}`);
    const range = kept.headers.get("Range") ?? "";
    const offset = Number(range.split("-")[1]) + 1;
    expect(offset).toBeGreaterThan(0);
    expect(offset).toBeLessThanOrEqual(result.sent);
    const digest = digestOf(`${"x".repeat(offset)}end`);
    const finished = await fetch(`${served.url}${result.location}?digest=${digest}`, {
      method: "PUT",
      body: "end",
    });
    expect(finished.status).toBe(201);
  });

  test.concurrent(
    "a body that stops is cut by the server, and what came is kept",
    async () => {
      const opened = await fetch(`${served.url}/v2/t/r/blobs/uploads/`, { method: "POST" });
      const location = opened.headers.get("Location") ?? "";
      const patch = `PATCH ${location} HTTP/1.1\r\n${HOST}Content-Length: 100\r\n\r\nhello`;
      expect((await drip({ first: patch }))?.received).not.toContain("HTTP/1.1 2");
      let range: string | null = null;
      for (let attempt = 0; attempt < 100 && range !== "0-4"; attempt++) {
        range = (await fetch(`${served.url}${location}`)).headers.get("Range");
        await Bun.sleep(10);
      }
      expect(range).toBe("0-4");
    },
    20_000,
  );
});

test("a reader that stops is cut, and its end frees the server's side", async () => {
  const blob = blobOf(new Uint8Array(24 * 1024 * 1024));
  await using other = await Served.start([], { limits: SHORT });
  const push = `${other.url}/v2/t/r/blobs/uploads/?digest=${blob.digest}`;
  expect((await fetch(push, { method: "POST", body: blob.bytes })).status).toBe(201);
  const socket = connect(other.port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write(`GET /v2/t/r/blobs/${blob.digest} HTTP/1.1\r\n${HOST}\r\n`);
  await new Promise((resolve) => socket.once("data", resolve));
  socket.pause();
  await Bun.sleep(8_500);
  let bytes = 0;
  const { promise, resolve } = Promise.withResolvers<null>();
  socket.on("data", (data) => {
    bytes += data.length;
  });
  socket.on("close", () => resolve(null));
  socket.resume();
  await promise;
  expect(bytes).toBeLessThan(blob.bytes.length);
}, 20_000);

suite("slow clients of the door that looks at certificates", [program("openssl")], () => {
  test("a reader that stops is cut, and so is a handshake that does not begin", async () => {
    await using ca = await TestCa.make("test CA");
    const { cert, key } = await ca.sign("server", { subject: "/CN=localhost" });
    const args = [
      "--tls-cert",
      cert,
      "--tls-key",
      key,
      "--tls-client-ca",
      ca.ca.cert,
      "--drain-seconds",
      "60",
    ];
    const other = await Served.start(args, { limits: SHORT });
    const blob = blobOf(new Uint8Array(24 * 1024 * 1024));
    const push = `${other.url}/v2/t/r/blobs/uploads/?digest=${blob.digest}`;
    const tls = { rejectUnauthorized: false };
    expect((await fetch(push, { method: "POST", body: blob.bytes, tls })).status).toBe(201);
    const reader = connectTls({ port: other.port, host: "127.0.0.1", ...tls });
    reader.on("error", () => undefined);
    reader.write(`GET /v2/t/r/blobs/${blob.digest} HTTP/1.1\r\n${HOST}\r\n`);
    await new Promise((resolve) => reader.once("data", resolve));
    reader.pause();
    const silent = connect(other.port, "127.0.0.1");
    silent.on("error", () => undefined);
    await new Promise((resolve) => silent.once("close", resolve));
    // Ends only when no connection is left: the reader's, too.
    await other[Symbol.asyncDispose]();
    expect(other.log).not.toContain("still in flight");
    reader.destroy();
  }, 60_000);
});
