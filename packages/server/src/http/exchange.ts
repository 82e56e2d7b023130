import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Administration } from "../auth/administration.ts";
import type { Auth } from "../auth/auth.ts";
import type { Certificate } from "../auth/authenticate.ts";
import type { Authorize } from "../auth/authorize.ts";
import type { Caller } from "../auth/caller.ts";
import type { AuditDetail } from "../registry/audit.ts";
import type { Registry } from "../registry/registry.ts";
import type { Seal } from "./seal.ts";
import type { Origin } from "../net/client-address.ts";
import type { UploadPace } from "./upload-pace.ts";

/** A certificate that the client proved to own, and that a CA of `--tls-client-ca` signed. */
export interface ClientCertificate extends Certificate {
  readonly organizationalUnits: readonly string[];
  /** Milliseconds since 1970. */
  readonly notAfter: number;
}

/** The connection a request came on, as far as handlers may touch it. Tests without a socket pass a stub. */
export interface Connection {
  /** Address of the peer, or null when there is no socket. */
  readonly remoteAddress: string | null;
  /** Whether it came through the socket in the data folder, which only the folder's owner can open. */
  readonly isLocal: boolean;
  /** Whether it is TLS. */
  readonly isSecure: boolean;
  /** The certificate that the client showed and a trusted authority signed, or null. */
  readonly clientCertificate: ClientCertificate | null;
  /** How slow its uploads may be. */
  readonly uploadPace: UploadPace;
  /** Ends the connection when nothing moves for this many seconds; 0 waits for ever. */
  setIdleTimeout(seconds: number): void;
}

/** One request on its way through the registry, parsed as far as its route says. */
export interface Exchange {
  readonly request: Request;
  readonly connection: Connection;
  /** Where it came from, as far as trusted proxies say. */
  readonly origin: Origin;
  /** Null: no authentication. */
  readonly auth: Auth | null;
  readonly registry: Registry;
  /** Accounts, robots and tokens; there also without authentication. */
  readonly administration: Administration;
  readonly authorize: Authorize;
  readonly caller: Caller;
  /** Hides where a listing goes on from whoever may not see it. */
  readonly seal: Seal;
  readonly query: URLSearchParams;
  /** Says more of what was done, for the audit trail. */
  readonly note: (detail: AuditDetail) => void;
  /** Logs why something failed that goes on after the answer. */
  readonly reportFailure: (error: unknown) => void;
}

/** A request below a repository. */
export interface RepositoryExchange extends Exchange {
  readonly repository: RepositoryName;
  /** The route's last segment, decoded and not yet judged: a reference, digest or upload id; empty without one. */
  readonly target: string;
}
