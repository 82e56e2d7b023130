import { type ErrorEntry, RegistryError } from "@stowage/oci/errors";
import { quote } from "@stowage/oci/reference";
import { parseRepositoryName, type RepositoryName } from "@stowage/oci/repository-name";
import { type Access, ANONYMOUS, type Authorize, type Caller } from "../auth/authorize.ts";
import { describeError, type Log } from "../observe/log.ts";
import type { Registry } from "../registry/registry.ts";
import { type ApiTarget, changesRegistry, locateApi } from "./api/target.ts";
import type { Connection, Exchange } from "./exchange.ts";
import { answerHealth } from "./ops/health.ts";
import { createMatcher, type Match } from "./v2/match.ts";
import { type Route, V2_ROUTES } from "./v2/routes.ts";

export interface AppOptions {
  readonly registry: Registry;
  readonly authorize: Authorize;
  readonly log: Log;
  /** Refuse everything that changes something. */
  readonly readOnly: boolean;
  readonly isDraining: () => boolean;
}

/** The whole registry as a function: tests need no socket. Never throws. */
export type App = (request: Request, connection: Connection) => Promise<Response>;

const matcher = createMatcher(V2_ROUTES);

/** The only door: every request is identified, matched, parsed, authorized, handled, answered and logged here. */
export function createApp(options: AppOptions): App {
  return async (request, connection) => {
    const startedAt = performance.now();
    const id = nextRequestId();
    const { path, query } = splitTarget(request.url);
    const response = await answer(request, connection, { path, query }, options).catch((error: unknown) =>
      toErrorResponse(error, { id, request, log: options.log }),
    );
    response.headers.set("X-Request-Id", id);
    response.headers.set("X-Content-Type-Options", "nosniff");
    options.log.info("request", {
      id,
      method: request.method,
      path,
      status: response.status,
      durationMs: Math.round((performance.now() - startedAt) * 100) / 100,
      remote: connection.remoteAddress,
      userAgent: request.headers.get("User-Agent"),
    });
    return response;
  };
}

interface Target {
  /** Path as the client sent it. */
  readonly path: string;
  readonly query: string;
}

async function answer(
  request: Request,
  connection: Connection,
  { path, query }: Target,
  options: AppOptions,
): Promise<Response> {
  const health = await answerHealth(path, options);
  if (health !== null) return health;
  requireOneHost(request);
  const { authorize, registry, log } = options;
  const caller: Caller = ANONYMOUS;
  const exchange = {
    request,
    connection,
    registry,
    authorize,
    caller,
    query: new URLSearchParams(query),
    reportFailure: (error: unknown) => log.error("background work failed", { error: describeError(error) }),
  };
  const api = locateApi(path);
  if (api !== null) return await answerManagement(api, exchange, options);
  const match = matcher.match(path);
  if (match === null) throw new RegistryError("ROUTE_UNKNOWN");
  const route = requireMethod(match, request.method);
  const { action } = route;
  const changes = action === "push" || action === "delete";
  if (route.scope === "registry") {
    requireAccess({ caller, action, repository: null }, changes, options);
    return withVersion(await route.handle(exchange));
  }
  const repository = requireName(match.rawName);
  requireAccess({ caller, action, repository }, changes, options);
  return withVersion(await route.handle({ ...exchange, repository, target: decodeTarget(match) }));
}

/** The management API: who may not administer the registry, or the repository, learns nothing of its routes. */
async function answerManagement(
  target: ApiTarget,
  exchange: Exchange,
  options: AppOptions,
): Promise<Response> {
  const repository = target.rawName === null ? null : requireName(target.rawName);
  const access = { caller: exchange.caller, action: "admin", repository } as const;
  requireAccess(access, changesRegistry(exchange.request.method, target), options);
  // Most registries are asked for images alone: schemas and router of the API are loaded when it is used.
  const { answerApi } = await import("./api/api.ts");
  return await answerApi({ exchange, repository, path: target.path });
}

/** Docker Registry HTTP API V2, "API Version Check": clients look for this header. */
function withVersion(response: Response): Response {
  response.headers.set("Docker-Distribution-Api-Version", "registry/2.0");
  return response;
}

/** RFC 9112 section 3.2: two Host headers are an attack on a proxy in front. The server joins them by a comma. */
function requireOneHost(request: Request): void {
  if (request.headers.get("Host")?.includes(",") !== true) return;
  throw new RegistryError("REQUEST_INVALID", { message: "more than one Host header" });
}

function requireMethod(match: Match, method: string): Route {
  const route = match.methods.get(method);
  if (route !== undefined) return route;
  throw new RegistryError("UNSUPPORTED", {
    message: `method ${quote(method)} is not supported on ${match.template}`,
    headers: { Allow: [...match.methods.keys()].join(", ") },
  });
}

/** Every request passes here, and only here. @throws RegistryError DENIED, UNSUPPORTED */
function requireAccess(access: Access, changes: boolean, { authorize, readOnly }: AppOptions): void {
  if (!authorize(access)) throw new RegistryError("DENIED");
  if (readOnly && changes) {
    throw new RegistryError("UNSUPPORTED", { message: "the registry is read-only" });
  }
}

/** Generated API clients send the slashes of a name as `%2F`; nothing else of a name needs encoding. */
function requireName(raw: string): RepositoryName {
  const name = parseRepositoryName(raw.replaceAll(/%2f/gi, "/"));
  if (name !== null) return name;
  throw new RegistryError("NAME_INVALID", {
    message: `invalid repository name ${quote(raw)}: wanted at most 255 of lower-case letters, digits, separators and slashes`,
  });
}

/** The last segment with its percent-encoding resolved (`sha256%3A...`); a malformed one stays and fails to parse. */
function decodeTarget({ rawTarget }: Match): string {
  try {
    return decodeURIComponent(rawTarget);
  } catch {
    return rawTarget;
  }
}

/**
 * Path and query of a request's address. Not with `new URL`: it throws for what HTTP/1.0 clients without Host
 * and hostile Host headers send.
 */
function splitTarget(url: string): Target {
  const authority = url.indexOf("://");
  const start = authority === -1 ? 0 : url.indexOf("/", authority + 3);
  const target = start === -1 ? "/" : url.slice(start);
  const question = target.indexOf("?");
  if (question === -1) return { path: target, query: "" };
  return { path: target.slice(0, question), query: target.slice(question + 1) };
}

interface Incident {
  readonly id: string;
  readonly request: Request;
  readonly log: Log;
}

/** The one place where errors become answers. What is not the client's fault is logged and told to nobody. */
function toErrorResponse(error: unknown, { id, request, log }: Incident): Response {
  const known =
    error instanceof RegistryError ? error : new RegistryError("INTERNAL_ERROR", { cause: error });
  if (known.status >= 500) log.error("request failed", { id, error: describeError(known) });
  const entry: ErrorEntry = { code: known.code, message: known.message, detail: known.detail };
  const headers = new Headers({
    ...known.headers,
    "Content-Type": "application/json; charset=utf-8",
    "Docker-Distribution-Api-Version": "registry/2.0",
  });
  headers.delete("Content-Length");
  const text = JSON.stringify({ errors: [entry] });
  if (request.method !== "HEAD") return new Response(text, { status: known.status, headers });
  headers.set("Content-Length", String(Buffer.byteLength(text)));
  return new Response(null, { status: known.status, headers });
}

const REQUEST_ID_PREFIX = Buffer.from(crypto.getRandomValues(new Uint8Array(6))).toString("hex");
let requestCount = 0;

/** Names a request in the log and in its answer; unique among the servers of a registry. */
function nextRequestId(): string {
  requestCount += 1;
  return `${REQUEST_ID_PREFIX}-${requestCount.toString(36)}`;
}
