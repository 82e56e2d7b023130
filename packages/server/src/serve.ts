import { rmSync } from "node:fs";
import { join } from "node:path";
import { compose } from "./compose.ts";
import { FIRST_ADMIN } from "./auth/first-admin.ts";
import { isLoopback, type Settings } from "./config/settings.ts";
import type { App } from "./http/app.ts";
import { answerOn, type BunServer, type IsOver } from "./listen/answer.ts";
import { ConnectionCensus } from "./listen/connection-census.ts";
import { BODY_BYTES_MAX, type Door, openDoor } from "./listen/door.ts";
import { LISTEN_LIMITS, type ListenLimits } from "./listen/limits.ts";
import { openTlsDoors, TLS_POLL_MS } from "./listen/tls-doors.ts";
import { createLog, describeError, type Log } from "./observe/log.ts";

export interface RunningServer {
  /** Where it listens, for people. */
  readonly url: string;
  /** Resolves with the exit code when the server has stopped. */
  readonly stopped: Promise<number>;
  /** Stops accepting, lets requests in flight finish, and closes the stores. */
  stop(): void;
  /** Looks at once whether files that are followed have changed. */
  reload(): void;
}

/** What tests set otherwise. */
export interface ServeOptions {
  readonly limits?: ListenLimits;
  /** Stands between the socket and the registry. */
  readonly around?: (app: App) => App;
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
  { limits = LISTEN_LIMITS, around = (app) => app }: ServeOptions = {},
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
  const app = around(system.app);
  const { door, census, reload } = await listen(settings, { app, log, limits }).catch(
    async (error: unknown) => {
      await system[Symbol.asyncDispose]();
      throw error;
    },
  );
  const local = settings.ephemeral ? null : listenLocally(settings.dataDir, system.app, log);
  const url = `${settings.tls === null ? "http" : "https"}://${formatHost(settings.hostname)}:${door.port}`;
  if (system.firstPassword !== null) tell(describeFirstPassword(system.firstPassword));
  const dataDir = settings.ephemeral ? null : settings.dataDir;
  log.info("listening", { url, dataDir, readOnly: settings.readOnly });
  if (settings.ephemeral) log.warn("everything is kept in memory (--ephemeral): it is gone when this ends");
  if (settings.tls === null && !isLoopback(settings.hostname)) {
    log.warn("passwords, tokens and images can be read on the way: there is no TLS; see --tls-cert");
  }
  const { promise: stopped, resolve } = Promise.withResolvers<number>();
  return {
    url,
    stopped,
    reload: () => void reload(),
    stop() {
      if (draining) return;
      draining = true;
      census?.[Symbol.dispose]();
      log.info("stopping: requests in flight have time to finish", { seconds: settings.drainSeconds });
      void Promise.all([drain(door, settings.drainSeconds, log), local?.stop(true)])
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

interface Listening {
  readonly door: Door;
  readonly census: ConnectionCensus | null;
  readonly reload: () => Promise<void>;
}

async function listen(
  { hostname, port, tls, connectionsPerAddress, trustedProxies }: Settings,
  parts: { readonly app: App; readonly log: Log; readonly limits: ListenLimits },
): Promise<Listening> {
  let census: ConnectionCensus | null = null;
  const isOver: IsOver = (connection) => census?.isOver(connection) ?? false;
  const options = { ...parts, hostname, port, isOver };
  const tlsDoors =
    tls === null ? null : await openTlsDoors({ ...options, tls, pollMs: TLS_POLL_MS, now: Date.now });
  const door = tlsDoors ?? openDoor(options, null);
  if (connectionsPerAddress > 0) {
    census = new ConnectionCensus({
      max: connectionsPerAddress,
      port: door.port,
      intervalMs: parts.limits.censusMs,
      trustedProxies,
      log: parts.log,
    });
  }
  return { door, census, reload: async () => await tlsDoors?.reload() };
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
function listenLocally(dataDir: string, app: App, log: Log): BunServer | null {
  const path = socketPathOf(dataDir);
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
    log.warn(
      "the data folder's path is too long for a socket: `stowage server` commands will not reach this server",
    );
    return null;
  }
  const options = { app, limits: LISTEN_LIMITS, isTls: false, isRetired: () => false, isOver: () => false };
  const mask = process.umask(0o177);
  try {
    rmSync(path, { force: true });
    return Bun.serve({
      unix: path,
      maxRequestBodySize: BODY_BYTES_MAX,
      development: false,
      fetch: (request: Request, server: BunServer) =>
        answerOn(options, {
          request,
          server,
          peer: { address: null, isLocal: true, clientCertificate: null },
        }),
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

/** Waits for requests in flight, then closes what is left. */
async function drain(door: Door, seconds: number, log: Log): Promise<void> {
  const timeUp = Symbol("time up");
  const finished = door.drain();
  const first = await Promise.race([finished, Bun.sleep(seconds * 1_000).then(() => timeUp)]);
  if (first !== timeUp) return;
  log.warn("requests were still in flight and are cut off", { requests: door.pendingRequests });
  await door.cut();
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
