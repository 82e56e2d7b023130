import type { App } from "../http/app.ts";
import type { ClientCertificate, Connection } from "../http/exchange.ts";
import type { ListenLimits } from "./limits.ts";

export type BunServer = Bun.Server<undefined>;

/** RFC 6797: browsers keep to https for a year. */
const STRICT_TRANSPORT = "max-age=31536000";

/**
 * An answer of this many bytes may not leave at once. Bun sends a file with the timeout of the whole server, which
 * is that of headers, unless the request's own is set after the sending has begun.
 */
const LONG_ANSWER_BYTES = 65_536;

/** Milliseconds after which the sending has surely begun, and headerSeconds have surely not passed. */
const SENDING_MS = 1_000;

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
}

/** Passes a request on to the app, with the timeouts of its connection set for each of its phases. */
export async function answerOn(
  { app, limits, isTls, isRetired }: AnswerOptions,
  { request, server, peer }: { readonly request: Request; readonly server: BunServer; readonly peer: Peer },
): Promise<Response> {
  server.timeout(request, limits.stallSeconds);
  const response = await app(request, connectionOf(request, server, peer, limits));
  if (isTls) response.headers.set("Strict-Transport-Security", STRICT_TRANSPORT);
  if (isRetired()) response.headers.set("Connection", "close");
  if (Number(response.headers.get("Content-Length")) > LONG_ANSWER_BYTES && request.method !== "HEAD") {
    server.timeout(request, limits.stallSeconds);
    setTimeout(() => server.timeout(request, limits.stallSeconds), SENDING_MS);
  } else {
    server.timeout(request, limits.idleSeconds);
  }
  return response;
}

function connectionOf(request: Request, server: BunServer, peer: Peer, limits: ListenLimits): Connection {
  return {
    // Looked up when it is asked for: finding it costs a call.
    get remoteAddress() {
      return peer.address;
    },
    isLocal: peer.isLocal,
    clientCertificate: peer.clientCertificate,
    uploadPace: limits.uploadPace,
    setIdleTimeout: (seconds) => server.timeout(request, seconds),
  };
}
