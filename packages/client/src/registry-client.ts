import { Connection } from "./connection.ts";
import type { CredentialLookup } from "./credentials.ts";
import { ClientError } from "./client-error.ts";
import {
  DOCKER_HUB,
  type ImageReference,
  isRegistryHost,
  requireImageReference,
  usualName,
} from "./image-reference.ts";
import { Registry } from "./registry.ts";
import { Repository } from "./repository.ts";
import { type Clock, SYSTEM_CLOCK } from "./wait.ts";

export interface ClientOptions {
  /** What to sign in with; nobody by default. Asked once per registry, and only after it said 401. */
  readonly credentials?: CredentialLookup | undefined;
  /** Whether a registry is reached without TLS; by default only this machine itself. */
  readonly isPlainHttp?: ((registry: string) => boolean) | undefined;
  /** In place of the runtime's own, for a proxy, another CA, tests, or to be `traced`. */
  readonly fetch?: Fetch | undefined;
  readonly userAgent?: string | undefined;
  /** Further tries of what failed for a reason that may pass; 4 by default. */
  readonly retriesMax?: number | undefined;
  /** How long to wait for an answer's header, in milliseconds; a minute by default. */
  readonly answerMsMax?: number | undefined;
  /** A registry's word to people (OCI Distribution Specification, "Warnings"); each text once. */
  readonly onWarning?: ((warning: { readonly registry: string; readonly text: string }) => void) | undefined;
  readonly clock?: Clock | undefined;
  /** Whether requests can be streams; found out by default: not in browsers. */
  readonly canStream?: boolean | undefined;
}

/** Registries kept at once: one client of a mirror may meet many. */
const CONNECTIONS_MAX = 1_000;

/**
 * A client of container registries (OCI Distribution Specification; Docker Registry HTTP API V2). Keeps how each wants to be
 * asked, and tokens; holds no socket, so it needs no end.
 */
export class RegistryClient {
  readonly #options: ClientOptions;
  readonly #connections = new Map<string, Connection>();

  constructor(options: ClientOptions = {}) {
    this.#options = options;
  }

  /** @throws ClientError of kind `invalid` when it is no host */
  registry(host: string): Registry {
    return new Registry(this.connection(host));
  }

  /** `localhost:5000/team/app`, or a reference; its tag and digest do not matter. @throws ClientError of kind `invalid` */
  repository(name: string | Pick<ImageReference, "registry" | "repository">): Repository {
    const { registry, repository } = typeof name === "string" ? requireImageReference(name) : name;
    const canStream = this.#options.canStream ?? CAN_STREAM;
    return new Repository(this.connection(registry), { name: repository, canStream });
  }

  /** The way to a registry, for endpoints that this library has no word for. */
  connection(host: string): Connection {
    const registry = usualName(host);
    if (!isRegistryHost(registry)) {
      throw new ClientError(
        "invalid",
        `invalid registry ${JSON.stringify(host)}: wanted HOST or HOST:PORT, without a scheme`,
      );
    }
    const known = this.#connections.get(registry);
    if (known !== undefined) return known;
    if (this.#connections.size >= CONNECTIONS_MAX) this.#connections.clear();
    const connection = this.#connect(registry);
    this.#connections.set(registry, connection);
    return connection;
  }

  #connect(registry: string): Connection {
    const {
      credentials,
      isPlainHttp = isLoopback,
      fetch: send,
      userAgent,
      retriesMax,
      answerMsMax,
      onWarning,
      clock,
    } = this.#options;
    const scheme = isPlainHttp(registry) ? "http" : "https";
    return new Connection({
      registry,
      origin: new URL(`${scheme}://${registry === DOCKER_HUB ? "registry-1.docker.io" : registry}`).origin,
      credentials: credentials ?? (async () => null),
      fetch: send ?? defaultFetch,
      userAgent: userAgent ?? null,
      retriesMax: retriesMax ?? 4,
      answerMsMax: answerMsMax ?? 60_000,
      clock: clock ?? SYSTEM_CLOCK,
      onWarning: (text) => onWarning?.({ registry, text }),
    });
  }
}

/** This machine itself, whose answers nobody on the way can change. */
export function isLoopback(registry: string): boolean {
  return /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/i.test(registry);
}

const IS_BROWSER = typeof globalThis.process?.versions?.node !== "string";
const CAN_STREAM = !IS_BROWSER;

export type Fetch = (request: Request) => Promise<Response>;

/** Bun ends a request after five minutes by itself; a large blob takes longer. Other runtimes do not know the word. */
export function defaultFetch(request: Request): Promise<Response> {
  return fetch(request, { timeout: false } as RequestInit);
}
