import { rmSync } from "node:fs";
import { join } from "node:path";
import { compose } from "./compose.ts";
import { FIRST_ADMIN } from "./auth/first-admin.ts";
import type { Settings } from "./config/settings.ts";
import type { App } from "./http/app.ts";
import type { Connection } from "./http/exchange.ts";
import { createLog, describeError, type Log } from "./observe/log.ts";

/** Above any blob: bodies are streamed, never buffered, so their length is not the server's concern. */
const BODY_BYTES_MAX = 2 ** 40;

/** A connection on which nothing moves is closed after this many seconds. */
const IDLE_SECONDS = 120;

export interface RunningServer {
  /** Where it listens, for people. */
  readonly url: string;
  /** Resolves with the exit code when the server has stopped. */
  readonly stopped: Promise<number>;
  /** Stops accepting, lets requests in flight finish, and closes the stores. */
  stop(): void;
}

/** Where the log goes. */
export interface LogOutput {
  readonly isTerminal: boolean;
  readonly write: (lines: string) => void;
  /** Tells the person who starts the server something that must not lie in a log. */
  readonly tell: (text: string) => void;
}

/**
 * Starts the registry: listens, serves, and stops in order.
 * @throws Error when the data folder, the address or the TLS files cannot be used
 */
export async function serve(
  settings: Settings,
  { isTerminal, write, tell }: LogOutput,
): Promise<RunningServer> {
  const automatic = isTerminal ? "text" : "json";
  const format = settings.logFormat === "auto" ? automatic : settings.logFormat;
  const log = createLog({ level: settings.logLevel, format, write, now: Date.now });
  let draining = false;
  const system = await compose({
    settings,
    log,
    isDraining: () => draining,
    onFatal: exitNow,
    background: true,
  });
  const server = await listen(settings, system.app).catch(async (error: unknown) => {
    await system[Symbol.asyncDispose]();
    throw error;
  });
  const local = listenLocally(settings.dataDir, system.app, log);
  const url = `${settings.tls === null ? "http" : "https"}://${formatHost(settings.hostname)}:${server.port}`;
  if (system.firstPassword !== null) tell(describeFirstPassword(system.firstPassword));
  log.info("listening", { url, dataDir: settings.dataDir, readOnly: settings.readOnly });
  const { promise: stopped, resolve } = Promise.withResolvers<number>();
  return {
    url,
    stopped,
    stop() {
      if (draining) return;
      draining = true;
      log.info("stopping: requests in flight have time to finish", { seconds: settings.drainSeconds });
      void Promise.all([drain(server, settings.drainSeconds, log), local?.stop(true)])
        .then(() => system[Symbol.asyncDispose]())
        .then(
          () => 0,
          (error: unknown) => {
            log.error("stopping failed", { error: describeError(error) });
            return 1;
          },
        )
        .then((code) => {
          log.flush();
          resolve(code);
        });
    },
  };
}

function describeFirstPassword(password: string): string {
  return `
The registry has no accounts yet, so one was made. This password is shown once:

    user      ${FIRST_ADMIN}
    password  ${password}

Set another with \`stowage admin user set-password ${FIRST_ADMIN}\`.

`;
}

type Server = Bun.Server<undefined>;

async function listen(
  settings: Settings,
  app: (request: Request, connection: Connection) => Promise<Response>,
) {
  const tls = settings.tls === null ? {} : { tls: await readTls(settings.tls) };
  return Bun.serve({
    hostname: settings.hostname,
    port: settings.port,
    maxRequestBodySize: BODY_BYTES_MAX,
    idleTimeout: IDLE_SECONDS,
    development: false,
    ...tls,
    fetch: (request: Request, server: Server) => app(request, connectionOf(request, server, false)),
  });
}

/** Bytes that a socket's path may have (unix(7)). */
const SOCKET_PATH_BYTES_MAX = 107;

/** The socket by which commands of the same machine reach the server of a data folder. */
export function socketPathOf(dataDir: string): string {
  return join(dataDir, "stowage.sock");
}

/**
 * The door for `stowage server ...` on the same machine: only who may enter the data folder as its owner can open it.
 * The folder's lock is held already, so a socket that lies there is nobody's.
 */
function listenLocally(dataDir: string, app: App, log: Log): Server | null {
  const path = socketPathOf(dataDir);
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
    log.warn(
      "the data folder's path is too long for a socket: `stowage server` commands will not reach this server",
    );
    return null;
  }
  const mask = process.umask(0o177);
  try {
    rmSync(path, { force: true });
    return Bun.serve({
      unix: path,
      maxRequestBodySize: BODY_BYTES_MAX,
      development: false,
      fetch: (request: Request, server: Server) => app(request, connectionOf(request, server, true)),
    });
  } catch (error) {
    // Some filesystems have no sockets; the registry serves without.
    log.warn("`stowage server` commands will not reach this server: the data folder takes no socket", {
      error: describeError(error),
    });
    return null;
  } finally {
    process.umask(mask);
  }
}

function connectionOf(request: Request, server: Server, isLocal: boolean): Connection {
  return {
    isLocal,
    clientCertificate: null,
    get remoteAddress() {
      return server.requestIP(request)?.address ?? null;
    },
    setIdleTimeout: (seconds) => server.timeout(request, seconds),
  };
}

async function readTls(files: NonNullable<Settings["tls"]>): Promise<{ key: string; cert: string }> {
  return {
    key: await readPem("--tls-key", files.keyFile),
    cert: await readPem("--tls-cert", files.certFile),
  };
}

async function readPem(setting: string, path: string): Promise<string> {
  try {
    const text = await Bun.file(path).text();
    if (text.includes("-----BEGIN ")) return text;
  } catch (cause) {
    throw new Error(`${setting} is "${path}", which cannot be read; wanted a PEM file`, { cause });
  }
  throw new Error(`${setting} is "${path}", which has no PEM block; wanted a PEM file`);
}

/** Waits for requests in flight, then closes what is left. */
async function drain(server: Server, seconds: number, log: Log): Promise<void> {
  const timeUp = Symbol("time up");
  const finished = server.stop(false);
  const first = await Promise.race([finished, Bun.sleep(seconds * 1_000).then(() => timeUp)]);
  if (first !== timeUp) return;
  log.warn("requests were still in flight and are cut off", { requests: server.pendingRequests });
  await server.stop(true);
}

/** After a failed sync of the database nobody knows what is durable: only a fresh start can tell. */
function exitNow(error: unknown): void {
  process.stderr.write(
    `${describeError(error)}\nerror: the metadata database failed; exiting, so that nothing more is acknowledged\n`,
  );
  process.exit(1);
}

function formatHost(hostname: string): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}
