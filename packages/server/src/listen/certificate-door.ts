import type { ClientCertificate } from "../http/exchange.ts";
import type { Log } from "../observe/log.ts";
import { answerOn, type BunServer, type Peer } from "./answer.ts";
import { parseClientCertificate } from "./client-certificate.ts";
import { BODY_BYTES_MAX, type Door, type DoorOptions } from "./door.ts";
import { HEADER_SECONDS } from "./limits.ts";
import { Relay } from "./relay.ts";
import type { TlsMaterial } from "./tls-material.ts";

/** Connections that take too long are looked for this often, in milliseconds. */
const SWEEP_MS = 1_000;

/** Where the inner server listens. It answers nobody but the relays of this door. */
const INNER_HOST = "127.0.0.1";

export interface CertificateDoorOptions extends DoorOptions {
  readonly clientCa: string;
  /** Refuse clients without a certificate. */
  readonly requireCertificate: boolean;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** One client. */
interface Client {
  readonly relay: Relay;
  readonly acceptedAt: number;
  /** Null until the handshake has succeeded. */
  peer: Peer | null;
  /** Local port of its connection to the inner server; 0 before there is one. */
  innerPort: number;
}

type ClientSocket = Bun.Socket<Client>;

/**
 * The door that looks at certificates of clients. Bun's server asks for them and then shows them to nobody, so TLS
 * ends here, and the plain bytes go to an inner server. Whose request it is, that one knows by the port from which
 * the connection came: only this process has that socket, for as long as the port is in `clients`; what comes from any
 * other port is refused. Nothing that a client sends can say who it is.
 */
export function openCertificateDoor(options: CertificateDoorOptions, tls: TlsMaterial): Door {
  const clients = new Map<number, Client>();
  const sockets = new Set<ClientSocket>();
  let retired = false;
  const inner = openInner(options, { clients, isRetired: () => retired });
  const innerPort = inner.port ?? 0;
  const { hostname, port, clientCa, limits, requireCertificate, log, now } = options;
  // Not in the types of Bun 1.4, but it listens to it.
  const address = { hostname, port, reusePort: true };
  let listener: Bun.TCPSocketListener<Client>;
  try {
    listener = Bun.listen<Client>({
      ...address,
      tls: {
        cert: tls.cert,
        key: tls.key,
        ca: clientCa,
        requestCert: true,
        rejectUnauthorized: requireCertificate,
      },
      socket: {
        open(socket) {
          const relay = new Relay(socket);
          socket.data = { relay, acceptedAt: performance.now(), peer: null, innerPort: 0 };
          sockets.add(socket);
        },
        handshake(socket, isDone) {
          const client = socket.data;
          if (client.peer !== null) return;
          client.peer = isDone ? admit(socket, { requireCertificate, log, now }) : null;
          if (client.peer === null) socket.terminate();
          else connectInner(client, { port: innerPort, clients, socket });
        },
        data: (socket, bytes) => socket.data.relay.fromClient(bytes),
        drain: (socket) => socket.data.relay.clientDrained(),
        close: (socket) => {
          sockets.delete(socket);
          socket.data.relay.clientClosed();
        },
        // A close follows.
        error: () => undefined,
      },
    });
  } catch (error) {
    void inner.stop(true);
    throw error;
  }
  const sweep = setInterval(() => {
    const time = performance.now();
    for (const socket of sockets) {
      const { peer, acceptedAt, relay } = socket.data;
      const blockedSince = relay.clientBlockedSince;
      const isLate = peer === null && time - acceptedAt > HEADER_SECONDS * 1_000;
      const isStuck = blockedSince !== null && time - blockedSince > limits.idleSeconds * 1_000;
      if (isLate || isStuck) socket.terminate();
    }
    if (retired && sockets.size === 0) clearInterval(sweep);
  }, SWEEP_MS);
  sweep.unref();
  const close = () => {
    retired = true;
    listener.stop(false);
  };
  return {
    port: listener.port,
    get pendingRequests() {
      return inner.pendingRequests;
    },
    async retire() {
      close();
      await allClosed(sockets);
      await inner.stop(true);
    },
    async drain() {
      close();
      await inner.stop(false);
      // Every answer is written, but not all may have passed the relay: the end of the connection comes after them.
      inner.closeIdleConnections();
      for (const socket of sockets) if (socket.data.innerPort === 0) socket.terminate();
      await allClosed(sockets);
    },
    async cut() {
      close();
      clearInterval(sweep);
      listener.stop(true);
      for (const socket of sockets) socket.terminate();
      await inner.stop(true);
    },
  };
}

function openInner(
  { app, limits, isOver }: DoorOptions,
  door: { readonly clients: ReadonlyMap<number, Client>; readonly isRetired: () => boolean },
): BunServer {
  const answerOptions = { app, limits, isTls: true, isRetired: door.isRetired, isOver };
  return Bun.serve({
    hostname: INNER_HOST,
    port: 0,
    maxRequestBodySize: BODY_BYTES_MAX,
    idleTimeout: limits.idleSeconds,
    development: false,
    fetch: (request: Request, server: BunServer) => {
      const from = server.requestIP(request);
      const peer = from?.address === INNER_HOST ? (door.clients.get(from.port)?.peer ?? null) : null;
      if (peer === null) return new Response(null, { status: 403, headers: { Connection: "close" } });
      return answerOn(answerOptions, { request, server, peer });
    },
  });
}

interface Admission {
  readonly requireCertificate: boolean;
  readonly log: Log;
  readonly now: () => number;
}

/** Who the client is, after the handshake; null refuses it: a certificate that is shown has to be a good one. */
function admit(socket: ClientSocket, { requireCertificate, log, now }: Admission): Peer | null {
  const address = socket.remoteAddress;
  const shown = socket.getPeerCertificate();
  const der: unknown = shown?.raw;
  if (!(der instanceof Uint8Array) || der.byteLength === 0) {
    return requireCertificate ? null : { address, isLocal: false, clientCertificate: null };
  }
  const clientCertificate: ClientCertificate | null = socket.authorized ? parseClientCertificate(der) : null;
  // A resumed session was verified when it began.
  if (clientCertificate !== null && clientCertificate.notAfter > now()) {
    return { address, isLocal: false, clientCertificate };
  }
  const reason =
    clientCertificate === null ? (socket.getAuthorizationError()?.message ?? "not understood") : "expired";
  log.info("a client certificate was refused", { remote: address, reason });
  return null;
}

interface InnerTarget {
  readonly port: number;
  readonly clients: Map<number, Client>;
  readonly socket: ClientSocket;
}

function connectInner(client: Client, { port, clients, socket }: InnerTarget): void {
  const { relay } = client;
  const forget = () => {
    if (clients.get(client.innerPort) === client) clients.delete(client.innerPort);
  };
  Bun.connect<undefined>({
    hostname: INNER_HOST,
    port,
    socket: {
      open(inner) {
        client.innerPort = inner.localPort;
        // Before the first byte goes out, so the inner server never sees a request of a port that is not here.
        clients.set(client.innerPort, client);
        relay.innerOpened(inner);
      },
      data: (inner, bytes) => relay.fromInner(bytes, inner),
      drain: (inner) => relay.innerDrained(inner),
      close: () => {
        forget();
        relay.innerClosed();
      },
      error: () => undefined,
    },
  }).catch(() => socket.terminate());
}

/** How often it is looked whether connections have ended, in milliseconds. */
const CLOSED_POLL_MS = 20;

async function allClosed(sockets: ReadonlySet<ClientSocket>): Promise<void> {
  while (sockets.size > 0) await Bun.sleep(CLOSED_POLL_MS);
}
