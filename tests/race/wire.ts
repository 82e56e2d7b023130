import { connect } from "node:net";
import type { TestApp } from "../support/test-app.ts";
import type { Endings, Score } from "./score.ts";

/** How kills of the server are noted. */
export const SERVER = "the server";

/** Attempts of a request while the server is being killed and started, and the time between two, in milliseconds. */
const ATTEMPTS_MAX = 200;
const RETRY_PAUSE_MS = 25;

/** Pieces in which a body is read slowly. */
const SLOW_PIECES = 12;

export interface Parts {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer>;
}

/** A complete answer, with when it was asked for and when it was there (milliseconds since 1970). */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
  readonly askedAt: number;
  readonly answeredAt: number;
  /** Attempts before this one got no answer; they may have had their effect. */
  readonly retries: number;
}

/** How clients reach the registry. Answers of 500 and more are violations. */
export interface Wire {
  send(method: string, path: string, parts?: Parts): Promise<Answer>;
  /** A GET whose body is taken over `ms` milliseconds. */
  readSlowly(path: string, ms: number): Promise<Answer>;
}

/**
 * A wire to a server that may be killed: a request that got no complete answer because of that is sent again. Without
 * a kill that is a violation.
 */
export function httpWire(url: () => string, score: Score, endings: Endings): Wire {
  const retry = async (what: string, attempt: () => Promise<Omit<Answer, "retries">>): Promise<Answer> => {
    for (let retries = 0; retries < ATTEMPTS_MAX; retries++) {
      const startedAt = Date.now();
      const answer = await attempt().catch((error: unknown) => String(error));
      if (typeof answer !== "string") {
        if (answer.status >= 500) score.violate("bad-answer", `${what} gave ${answer.status}`);
        return { ...answer, retries };
      }
      if (!endings.since(SERVER, startedAt)) score.violate("bad-answer", `${what}: ${answer}`);
      score.count("retries");
      await Bun.sleep(RETRY_PAUSE_MS);
    }
    throw new Error(`${what} got no answer`);
  };
  return {
    send: (method, path, parts = {}) =>
      retry(`${method} ${path}`, async () => {
        const askedAt = Date.now();
        const response = await fetch(url() + path, { method, ...parts });
        const bytes = await response.bytes();
        return { status: response.status, headers: response.headers, bytes, askedAt, answeredAt: Date.now() };
      }),
    readSlowly: (path, ms) => retry(`slow GET ${path}`, () => getSlowly(new URL(url() + path), ms)),
  };
}

/**
 * By a socket of its own that is paused again and again: fetch takes the body from the network as fast as it comes,
 * and the server would be done with it at once.
 */
async function getSlowly({ hostname, port, pathname }: URL, ms: number): Promise<Omit<Answer, "retries">> {
  const askedAt = Date.now();
  const pieces: Buffer[] = [];
  const ended = Promise.withResolvers<void>();
  const socket = connect({ host: hostname, port: Number(port) });
  socket.on("data", (piece: Buffer) => {
    pieces.push(piece);
    socket.pause();
    // However the kernel cuts the body: most of the time goes by while most of it is not read.
    if (pieces.length <= SLOW_PIECES) setTimeout(() => socket.resume(), ms / SLOW_PIECES);
    else socket.resume();
  });
  socket.on("end", () => ended.resolve());
  socket.on("error", (error) => ended.reject(error));
  socket.on("close", () => ended.resolve());
  socket.write(`GET ${pathname} HTTP/1.1\r\nHost: race\r\nConnection: close\r\n\r\n`);
  await ended.promise;
  socket.destroy();
  return { ...parseAnswer(Buffer.concat(pieces)), askedAt, answeredAt: Date.now() };
}

/** @throws Error when the answer is not complete */
function parseAnswer(raw: Buffer): Pick<Answer, "status" | "headers" | "bytes"> {
  const end = raw.indexOf("\r\n\r\n");
  if (end === -1) throw new Error("the answer has no end of headers");
  const [first = "", ...lines] = raw.subarray(0, end).toString("latin1").split("\r\n");
  const headers = new Headers(lines.map((line) => line.split(/:\s*/, 2) as [string, string]));
  const bytes = new Uint8Array(raw.subarray(end + 4));
  const wanted = headers.get("Content-Length");
  if (wanted === null || Number(wanted) !== bytes.byteLength) throw new Error("the body was cut short");
  return { status: Number(first.split(" ")[1]), headers, bytes };
}

/** A wire to a registry in this process. */
export function appWire(app: TestApp, score: Score): Wire {
  const ask = async (
    method: string,
    path: string,
    { parts = {}, ms = 0 }: { parts?: Parts; ms?: number },
  ) => {
    const askedAt = Date.now();
    const { status, headers, body } = await app.request(method, path, parts);
    const pieces: Uint8Array[] = [];
    for await (const piece of body ?? []) {
      pieces.push(piece);
      if (pieces.length <= SLOW_PIECES && ms > 0) await Bun.sleep(ms / SLOW_PIECES);
    }
    if (status >= 500) score.violate("bad-answer", `${method} ${path} gave ${status}`);
    const bytes = new Uint8Array(Buffer.concat(pieces));
    return { status, headers, bytes, askedAt, answeredAt: Date.now(), retries: 0 };
  };
  return {
    send: (method, path, parts = {}) => ask(method, path, { parts }),
    readSlowly: (path, ms) => ask("GET", path, { ms }),
  };
}
