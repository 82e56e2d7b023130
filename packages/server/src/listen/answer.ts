import { RegistryError } from "@stowage/oci/errors";
import type { App } from "../http/app.ts";
import type { ClientCertificate } from "../http/exchange.ts";
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

export interface AnswerOptions {
  readonly app: App;
  readonly limits: ListenLimits;
  readonly isTls: boolean;
  /** The door closes: clients shall come again by a new connection. */
  readonly isRetired: () => boolean;
  /** Whether an address has too many connections. */
  readonly isOver: (address: () => string | null) => boolean;
}

/** Passes a request on to the app. */
export async function answerOn(
  { app, limits, isTls, isRetired, isOver }: AnswerOptions,
  { request, server, peer }: { readonly request: Request; readonly server: BunServer; readonly peer: Peer },
): Promise<Response> {
  if (!peer.isLocal && isOver(() => peer.address)) return refuse();
  let idleSeconds = limits.idleSeconds;
  const response = await app(request, {
    // Looked up when it is asked for: finding it costs a call.
    get remoteAddress() {
      return peer.address;
    },
    isLocal: peer.isLocal,
    isSecure: isTls,
    clientCertificate: peer.clientCertificate,
    uploadPace: limits.uploadPace,
    setIdleTimeout(seconds) {
      idleSeconds = seconds;
      server.timeout(request, seconds);
    },
  });
  // What a handler allowed its request is not for the idle time of the connection after it.
  if (idleSeconds !== limits.idleSeconds) server.timeout(request, limits.idleSeconds);
  if (isTls) response.headers.set("Strict-Transport-Security", STRICT_TRANSPORT);
  if (isRetired()) response.headers.set("Connection", "close");
  return response;
}

/** Closes the connection, so that refusing helps. */
function refuse(): Response {
  const error = new RegistryError("TOOMANYREQUESTS", { message: "too many connections from this address" });
  const { code, message, status } = error;
  const headers = { Connection: "close", "Retry-After": String(RETRY_SECONDS) };
  return Response.json({ errors: [{ code, message, detail: null }] }, { status, headers });
}
