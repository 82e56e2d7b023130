import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Authorize, Caller } from "../auth/authorize.ts";
import type { Registry } from "../registry/registry.ts";

/** The connection a request came on, as far as handlers may touch it. Tests without a socket pass a stub. */
export interface Connection {
  /** Address of the peer, or null when there is no socket. */
  readonly remoteAddress: string | null;
  /** Ends the connection when nothing moves for this many seconds; 0 waits for ever. */
  setIdleTimeout(seconds: number): void;
}

/** One request on its way through the registry, parsed as far as its route says. */
export interface Exchange {
  readonly request: Request;
  readonly connection: Connection;
  readonly registry: Registry;
  readonly authorize: Authorize;
  readonly caller: Caller;
  readonly query: URLSearchParams;
  /** Logs why something failed that goes on after the answer. */
  readonly reportFailure: (error: unknown) => void;
}

/** A request below a repository. */
export interface RepositoryExchange extends Exchange {
  readonly repository: RepositoryName;
  /** The route's last segment, decoded and not yet judged: a reference, digest or upload id; empty without one. */
  readonly target: string;
}
