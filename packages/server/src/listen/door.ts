import type { App } from "../http/app.ts";
import type { Log } from "../observe/log.ts";
import { answerOn, type BunServer, type IsOver } from "./answer.ts";
import type { ListenLimits } from "./limits.ts";
import type { TlsMaterial } from "./tls-material.ts";

/** Above any blob: bodies are streamed, never buffered, so their length is not the server's concern. */
export const BODY_BYTES_MAX = 2 ** 40;

/** Something that listens. */
export interface Door {
  readonly port: number;
  readonly pendingRequests: number;
  /** Accepts no more, and asks clients that stay to come again by another connection; requests go on. */
  retire(): Promise<void>;
  /** Accepts no more; resolves when the last answer has left. */
  drain(): Promise<void>;
  /** Ends everything at once. */
  cut(): Promise<void>;
}

export interface DoorOptions {
  readonly app: App;
  readonly limits: ListenLimits;
  readonly hostname: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly log: Log;
  readonly isOver: IsOver;
}

/**
 * The door of most: Bun's own server, with or without TLS (1.2 and 1.3; Bun offers nothing older). Bun does not take
 * another certificate while it listens, so doors with TLS share their port (SO_REUSEPORT) with the one that replaces them.
 * @throws Error when the address is in use or the certificate cannot be used
 */
export function openDoor(options: DoorOptions, tls: TlsMaterial | null): Door {
  const { app, limits, hostname, port, isOver } = options;
  let retired = false;
  const answerOptions = { app, limits, isTls: tls !== null, isRetired: () => retired, isOver };
  const server = Bun.serve({
    hostname,
    port,
    maxRequestBodySize: BODY_BYTES_MAX,
    idleTimeout: limits.idleSeconds,
    development: false,
    ...(tls === null ? {} : { reusePort: true, tls: { cert: tls.cert, key: tls.key } }),
    fetch: (request: Request, own: BunServer) =>
      answerOn(answerOptions, { request, server: own, peer: null }),
  });
  return {
    get port() {
      return server.port ?? port;
    },
    get pendingRequests() {
      return server.pendingRequests;
    },
    async retire() {
      retired = true;
      await server.stop(false);
    },
    drain: () => server.stop(false),
    cut: () => server.stop(true),
  };
}
