import { RegistryError } from "@stowage/oci/errors";
import type { App } from "../http/app.ts";
import type { ClientCertificate, Connection } from "../http/exchange.ts";
import type { UploadPace } from "../http/upload-pace.ts";
import type { ListenLimits } from "./limits.ts";

export type BunServer = Bun.Server<undefined>;

/** RFC 6797: browsers keep to https for a year. */
const STRICT_TRANSPORT = "max-age=31536000";

/** When a client that has too many connections may try again. */
const RETRY_SECONDS = 10;

/** Who is at the other end of a connection. */
export interface Peer {
  readonly address: string | null;
  /** It came by the socket in the data folder. */
  readonly isLocal: boolean;
  readonly clientCertificate: ClientCertificate | null;
}

/** Whether the address of a connection has too many of them. */
export type IsOver = (connection: Pick<Connection, "remoteAddress">) => boolean;

export interface AnswerOptions {
  readonly app: App;
  readonly limits: ListenLimits;
  readonly isTls: boolean;
  /** The door closes: clients shall come again by a new connection. */
  readonly isRetired: () => boolean;
  readonly isOver: IsOver;
}

/** A request, and what it came by. */
export interface Arrival {
  readonly request: Request;
  readonly server: BunServer;
  /** Null: whoever the server says. */
  readonly peer: Peer | null;
}

/** Passes a request on to the app. */
export async function answerOn(options: AnswerOptions, arrival: Arrival): Promise<Response> {
  const { app, limits, isTls, isRetired, isOver } = options;
  const connection = new ArrivedConnection(options, arrival);
  if (!connection.isLocal && isOver(connection)) return refuse();
  const response = await app(arrival.request, connection);
  // What a handler allowed its request is not for the idle time of the connection after it.
  if (connection.idleSeconds !== limits.idleSeconds) connection.setIdleTimeout(limits.idleSeconds);
  if (isTls) response.headers.set("Strict-Transport-Security", STRICT_TRANSPORT);
  if (isRetired()) response.headers.set("Connection", "close");
  return response;
}

/** One is made for each request, so it holds what it has and looks up the rest when it is asked. */
class ArrivedConnection implements Connection {
  idleSeconds: number;
  readonly #options: AnswerOptions;
  readonly #arrival: Arrival;

  constructor(options: AnswerOptions, arrival: Arrival) {
    this.idleSeconds = options.limits.idleSeconds;
    this.#options = options;
    this.#arrival = arrival;
  }

  get remoteAddress(): string | null {
    const { peer, request, server } = this.#arrival;
    return peer === null ? (server.requestIP(request)?.address ?? null) : peer.address;
  }

  get isLocal(): boolean {
    return this.#arrival.peer?.isLocal ?? false;
  }

  get isSecure(): boolean {
    return this.#options.isTls;
  }

  get clientCertificate(): ClientCertificate | null {
    return this.#arrival.peer?.clientCertificate ?? null;
  }

  get uploadPace(): UploadPace {
    return this.#options.limits.uploadPace;
  }

  setIdleTimeout(seconds: number): void {
    this.idleSeconds = seconds;
    this.#arrival.server.timeout(this.#arrival.request, seconds);
  }
}

/** Closes the connection, so that refusing helps. */
function refuse(): Response {
  const error = new RegistryError("TOOMANYREQUESTS", { message: "too many connections from this address" });
  const { code, message, status } = error;
  const headers = { Connection: "close", "Retry-After": String(RETRY_SECONDS) };
  return Response.json({ errors: [{ code, message, detail: null }] }, { status, headers });
}
