import type { TokenScope } from "@stowage/oci/token-scope";
import { readError } from "./answers.ts";
import { Authentication } from "./authentication.ts";
import { ClientError } from "./client-error.ts";
import type { CredentialLookup } from "./credentials.ts";
import { safeUrl } from "./safe-url.ts";
import type { TokenFetch, TokenRequest } from "./token-endpoint.ts";
import { backoffMs, type Clock, RETRY_AFTER_SECONDS_MAX } from "./wait.ts";
import { WarningList } from "./warnings.ts";

/** Answers that a later try may change (RFC 9110 sections 15.5.9 and 15.6, RFC 6585 section 4). */
const RETRYABLE: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const REDIRECTS_MAX = 5;

export type Method = "GET" | "HEAD" | "PUT" | "POST" | "PATCH" | "DELETE";

export type RequestBody =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array<ArrayBuffer>; readonly mediaType: string }
  /** Opened for each try; `size` in bytes, null: unknown, which not every registry takes. */
  | {
      readonly kind: "stream";
      readonly open: () => Promise<ReadableStream<Uint8Array>>;
      readonly size: number | null;
    };

export interface ApiRequest {
  readonly method: Method;
  /** A path of the registry, or an address that it gave (a Location, a Link). */
  readonly target: string | URL;
  /** What a token must be good for. */
  readonly scopes: readonly TokenScope[];
  /** What is being done, for messages: `pull localhost:5000/app:1.0`. */
  readonly operation: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: RequestBody;
  /** Answers that are not errors, besides 2xx. */
  readonly expected?: readonly number[];
  readonly signal?: AbortSignal | undefined;
}

export interface ConnectionOptions {
  readonly registry: string;
  readonly origin: string;
  readonly credentials: CredentialLookup;
  readonly fetch: (request: Request) => Promise<Response>;
  readonly userAgent: string | null;
  /** Further tries after the first. */
  readonly retriesMax: number;
  /** Without an answer's header for that long a try has failed, in milliseconds. */
  readonly answerMsMax: number;
  readonly clock: Clock;
  readonly onWarning: (text: string) => void;
}

/** Everything that is asked of one registry goes through here: sign-in, retries, redirects, errors, warnings. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #authentication: Authentication;
  readonly #warnings: WarningList;

  constructor(options: ConnectionOptions) {
    const { registry, origin, credentials, clock } = options;
    const fetchToken: TokenFetch = (request) => this.#sendTokenRequest(request);
    this.#options = options;
    this.#authentication = new Authentication({ registry, origin, credentials, clock, fetchToken });
    this.#warnings = new WarningList(options.onWarning);
  }

  get registry(): string {
    return this.#options.registry;
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  get retriesMax(): number {
    return this.#options.retriesMax;
  }

  /** An address that the registry gave, relative ones to `base` (RFC 9110 section 10.2.2). @throws ClientError */
  resolve(address: string, base: string | URL): URL {
    const url = safeUrl(address, this.#options.origin, this.#url(base).href);
    if (url !== null) return url;
    throw new ClientError(
      "server",
      `${this.registry} leads to ${JSON.stringify(address.slice(0, 200))}, which is no safe address`,
    );
  }

  /** What a request that needs `scopes` is authorized with now; null: nothing is known to be wanted. @throws ClientError */
  async authorization(scopes: readonly TokenScope[], signal?: AbortSignal): Promise<string | null> {
    return await this.#authentication.authorization(scopes, signal);
  }

  /**
   * Sends a request until it is answered for good. Resolves with a 2xx or an expected answer, whose body the caller reads or
   * cancels. @throws ClientError
   */
  async send(request: ApiRequest): Promise<Response> {
    const { operation, signal, expected = [] } = request;
    let scopes = request.scopes;
    let hasLearned = 0;
    for (let attempt = 1; ; attempt++) {
      const sent = await this.authorization(scopes, signal);
      const canRetry =
        attempt <= this.#options.retriesMax && request.body?.kind !== "stream" && request.method !== "PATCH";
      const response = await this.#try(request, sent).catch((error: unknown) => {
        if (canRetry && error instanceof ClientError && error.kind === "network") return null;
        throw error;
      });
      if (response === null) {
        await this.clock.wait(backoffMs(attempt), signal);
        continue;
      }
      this.#warnings.add(response.headers.get("Warning"));
      if (response.status === 401 && hasLearned < 2) {
        const header = response.headers.get("WWW-Authenticate");
        const better = await this.#authentication.learn(header, { sent, scopes });
        hasLearned += 1;
        if (better !== null) {
          await response.body?.cancel();
          scopes = better;
          attempt -= 1;
          continue;
        }
      }
      if (response.ok || expected.includes(response.status)) return response;
      const error = await readError(response, operation);
      const waitSeconds = error.retryAfterSeconds ?? 0;
      if (!canRetry || !RETRYABLE.has(response.status) || waitSeconds > RETRY_AFTER_SECONDS_MAX) throw error;
      await this.clock.wait(Math.max(backoffMs(attempt), waitSeconds * 1_000), signal);
    }
  }

  /** One try, and the redirects behind it. Only the registry's own origin sees the Authorization. */
  async #try(request: ApiRequest, authorization: string | null): Promise<Response> {
    let url = this.#url(request.target);
    for (let hop = 0; ; hop++) {
      const headers: Record<string, string> = { ...this.#headers(), ...request.headers };
      if (authorization !== null && url.origin === this.#options.origin)
        headers.Authorization = authorization;
      const response = await this.#fetch(url, request, headers);
      const location = response.headers.get("Location");
      const isRead = request.method === "GET" || request.method === "HEAD";
      // Where a redirect (that a browser may have followed by itself) or an upload's Location leads may not say who gets
      // the registry's password.
      const isForeign = [url.href, response.url || url.href].some(
        (from) => new URL(from).origin !== this.#options.origin,
      );
      if (response.status === 401 && isForeign) throw await readError(response, request.operation);
      if (!isRead || !REDIRECTS.has(response.status) || location === null) return response;
      await response.body?.cancel();
      if (hop === REDIRECTS_MAX) {
        throw new ClientError("server", "too many redirects", {
          operation: request.operation,
        });
      }
      url = this.resolve(location, url);
    }
  }

  async #fetch(url: URL, request: ApiRequest, headers: Record<string, string>): Promise<Response> {
    const { method, body } = request;
    // A browser's cache would make the rest of a blob wait for the beginning that broke off.
    const init: RequestInit & { duplex?: "half" } = {
      method,
      headers,
      redirect: "manual",
      cache: "no-store",
    };
    if (body?.kind === "bytes") {
      init.body = body.bytes;
      headers["Content-Type"] = body.mediaType;
    } else if (body !== undefined) {
      init.body = await body.open();
      init.duplex = "half";
      headers["Content-Type"] = "application/octet-stream";
      if (body.size !== null) headers["Content-Length"] = String(body.size);
    }
    const response = await this.#watch(url, init, request);
    // Browsers show nobody where a redirect leads: there the browser has to follow it, and drops the Authorization itself.
    if (response.type !== "opaqueredirect") return response;
    return await this.#watch(url, { ...init, redirect: "follow" }, request);
  }

  /** Sends, and gives up when no answer begins. */
  async #watch(
    url: URL,
    init: RequestInit,
    {
      operation,
      signal,
      body,
      method,
    }: Pick<ApiRequest, "operation" | "signal" | "body"> & Partial<ApiRequest>,
  ): Promise<Response> {
    signal?.throwIfAborted();
    const { answerMsMax, fetch: send } = this.#options;
    const deadline = new AbortController();
    // What a body becomes has no deadline: it may be large, the connection slow, and the registry may have to copy it.
    const isQuick = body === undefined || method === "POST";
    const timer = isQuick ? setTimeout(() => deadline.abort(), answerMsMax) : undefined;
    const either = signal === undefined ? deadline.signal : AbortSignal.any([signal, deadline.signal]);
    try {
      return await send(new Request(url.href, { ...init, signal: either }));
    } catch (cause) {
      signal?.throwIfAborted();
      // What a body failed with is the cause of what fetch fails with, or the same.
      for (const error of [cause, cause instanceof Error ? cause.cause : null]) {
        if (error instanceof ClientError) throw error;
      }
      const why = deadline.signal.aborted ? `no answer within ${answerMsMax / 1_000} s` : reasonOf(cause);
      throw new ClientError("network", `cannot reach ${url.host}: ${why}`, { operation, cause });
    } finally {
      clearTimeout(timer);
    }
  }

  async #sendTokenRequest({ url, headers, ...asked }: TokenRequest): Promise<Response> {
    const operation = `sign in at ${url.origin}${url.pathname}`;
    const init: RequestInit = { ...asked, headers: { ...this.#headers(), ...headers }, redirect: "error" };
    for (let attempt = 1; ; attempt++) {
      const response = await this.#watch(url, init, { operation });
      if (attempt > this.#options.retriesMax || !RETRYABLE.has(response.status)) return response;
      await response.body?.cancel();
      await this.clock.wait(backoffMs(attempt));
    }
  }

  #headers(): Record<string, string> {
    const { userAgent } = this.#options;
    // A blob is compressed already; what a server compresses on the way has no digest.
    return { "Accept-Encoding": "identity", ...(userAgent === null ? {} : { "User-Agent": userAgent }) };
  }

  #url(target: string | URL): URL {
    return target instanceof URL ? target : new URL(target, this.#options.origin);
  }
}

/** What fetch throws says little; what caused it says more, where the runtime tells. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause : error;
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : "";
  return cause.message.includes(code) ? cause.message : `${code}: ${cause.message}`;
}
