import { connect } from "node:net";
import type { RegistryProcess } from "../support/registry-process.ts";
import { bytesOnDisk } from "./bytes-on-disk.ts";
import { until } from "./support.ts";

/** Bytes of an unfinished request that are on disk before the registry is killed: more than it gathers in memory. */
const ON_DISK_BYTES_MIN = 1024 * 1024;

export interface InterruptedRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array<ArrayBuffer>;
}

/**
 * Sends a request whose body stops halfway, kills the registry when some of that half is on disk, and starts it
 * again on the same data and port. Resolves with the number of bytes of the body that were sent.
 */
export async function killInTheMiddle(
  registry: RegistryProcess,
  { method, target, headers, body }: InterruptedRequest,
): Promise<number> {
  const before = await bytesOnDisk(registry.dataDir);
  const half = Math.floor(body.byteLength / 2);
  const lines = Object.entries({ ...headers, Host: registry.host, "Content-Length": `${body.byteLength}` });
  const head = [`${method} ${target} HTTP/1.1`, ...lines.map(([name, value]) => `${name}: ${value}`)];
  const socket = connect(Number(new URL(registry.url).port), "127.0.0.1");
  // The kill resets the connection, which is the point.
  socket.on("error", () => undefined);
  socket.write(`${head.join("\r\n")}\r\n\r\n`);
  socket.write(body.subarray(0, half));
  await until("a part of the request is on disk", async () => {
    return (await bytesOnDisk(registry.dataDir)) >= before + ON_DISK_BYTES_MIN;
  });
  await killAndRestart(registry);
  socket.destroy();
  return half;
}

export async function killAndRestart(registry: RegistryProcess): Promise<void> {
  await registry.kill("SIGKILL");
  await registry.start();
}

export interface ProxiedRequest extends InterruptedRequest {
  /** Which request with this method it is, from 1. */
  readonly count: number;
  /** Passes it on to the registry. */
  readonly forward: () => Promise<Response>;
}

export interface Proxy extends AsyncDisposable {
  readonly host: string;
}

/**
 * A load balancer in front of a registry. Where `intercept` does not give null, the client gets that answer
 * instead of the registry's.
 */
export function startProxy(
  registry: RegistryProcess,
  intercept: (request: ProxiedRequest) => Promise<Response | null>,
): Proxy {
  const counts = new Map<string, number>();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { method, url } = request;
      const count = (counts.get(method) ?? 0) + 1;
      counts.set(method, count);
      const target = url.slice(url.indexOf("/", "http://".length));
      const body = new Uint8Array(await request.arrayBuffer());
      const headers = forwardedHeaders(request);
      const forward = () =>
        fetch(`${registry.url}${target}`, { method, headers, ...(body.byteLength > 0 ? { body } : {}) });
      return (await intercept({ method, target, headers, body, count, forward })) ?? (await forward());
    },
  });
  return { host: `127.0.0.1:${server.port}`, [Symbol.asyncDispose]: () => server.stop(true) };
}

/** What is about the content; what is about the connection is each connection's own. */
function forwardedHeaders({ headers }: Request): Record<string, string> {
  const forwarded: Record<string, string> = {};
  for (const name of ["Accept", "Content-Type", "Content-Range"]) {
    const value = headers.get(name);
    if (value !== null) forwarded[name] = value;
  }
  return forwarded;
}

/** What a load balancer says when the server behind it went away. */
export function badGateway(): Response {
  return new Response("the registry went away", { status: 502 });
}
