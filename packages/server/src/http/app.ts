import { type ErrorEntry, RegistryError } from "@stowage/oci/errors";
import { quote } from "@stowage/oci/reference";
import { parseRepositoryName, type RepositoryName } from "@stowage/oci/repository-name";
import type { Administration } from "../auth/administration.ts";
import type { Caller } from "../auth/caller.ts";
import { describeError, type Log } from "../observe/log.ts";
import type { AuditDetail } from "../registry/audit.ts";
import type { Registry } from "../registry/registry.ts";
import { admit, type Door, type Errand, presentedBy } from "./admit.ts";
import { actionOf } from "./api/action.ts";
import { type ApiTarget, changesRegistry, locateApi } from "./api/target.ts";
import { TOKEN_PATH } from "./challenge.ts";
import { type Cidrs, originOf } from "../net/client-address.ts";
import { leaveTrace, noTraces, type Traces } from "./audit-trail.ts";
import type { Connection, Exchange, RepositoryExchange } from "./exchange.ts";
import { CALLBACK_PATH, LOGIN_PATH, type Login, LOGOUT_PATH } from "./oidc/login.ts";
import { answerHealth } from "./ops/health.ts";
import type { RateLimits } from "./rate-limits.ts";
import { Seal } from "./seal.ts";
import { answerKeys, KEYS_PATH } from "./token/keys.ts";
import { answerToken } from "./token/token.ts";
import { createMatcher, type Match } from "./v2/match.ts";
import { nearMiss } from "./v2/near-miss.ts";
import { type Route, V2_ROUTES } from "./v2/routes.ts";

export interface AppOptions extends Door {
  /** Null: people have no single sign-on. */
  readonly login: Login | null;
  readonly registry: Registry;
  readonly administration: Administration;
  readonly log: Log;
  readonly isDraining: () => boolean;
  /** Proxies whose word about the client's address counts; null: none. */
  readonly trustedProxies: Cidrs | null;
}

/** The whole registry as a function: tests need no socket. Never throws. */
export type App = (request: Request, connection: Connection) => Promise<Response>;

const matcher = createMatcher(V2_ROUTES);

/** The only door: every request is identified, matched, parsed, authorized, handled, answered and logged here. */
export function createApp(options: AppOptions): App {
  const { registry, administration, authorize, auth, log, trustedProxies } = options;
  const seal = new Seal();
  const reportFailure = (error: unknown) =>
    log.error("background work failed", { error: describeError(error) });
  return async (request, connection) => {
    const startedAt = performance.now();
    const id = nextRequestId();
    const { path, query: queryText } = splitTarget(request.url);
    const query = new URLSearchParams(queryText);
    const origin = originOf(request, connection, trustedProxies);
    const traces = noTraces();
    const note = (detail: AuditDetail) => {
      traces.detail = { ...traces.detail, ...detail };
    };
    const arrival = {
      request,
      connection,
      origin,
      registry,
      administration,
      seal,
      authorize,
      auth,
      query,
      reportFailure,
      path,
      note,
      traces,
    };
    const toResponse = (error: unknown) => toErrorResponse(error, { id, request, log });
    let response = await answer(arrival, options).catch(toResponse);
    const answered = { requestId: id, request, origin, traces, response };
    const tracing = leaveTrace(answered, registry.audit);
    if (tracing !== null) {
      await tracing.catch((error: unknown) => {
        response = toResponse(error);
      });
    }
    response.headers.set("X-Request-Id", id);
    response.headers.set("X-Content-Type-Options", "nosniff");
    log.info("request", {
      id,
      method: request.method,
      path,
      status: response.status,
      durationMs: Math.round((performance.now() - startedAt) * 100) / 100,
      remote: origin.address,
      userAgent: request.headers.get("User-Agent"),
      ...describeCaller(traces.caller),
    });
    return response;
  };
}

/** Who it was, for the log; nothing for anybody. */
function describeCaller(caller: Caller | null): { readonly caller?: string; readonly credential?: string } {
  if (caller === null || caller.name === null) return {};
  const { kind, id } = caller.credential;
  return { caller: caller.name, credential: id === null ? kind : `${kind}:${id}` };
}

interface Target {
  /** Path as the client sent it. */
  readonly path: string;
  readonly query: string;
}

/** A request on its way, before it is known what it is for. */
type Arrival = Omit<Exchange, "caller"> & {
  readonly path: string;
  /** What is found out on the way, for the log and the audit trail. */
  readonly traces: Traces;
};

async function answer(arrival: Arrival, options: AppOptions): Promise<Response> {
  const { path, request } = arrival;
  const health = await answerHealth(arrival, options);
  if (health !== null) return health;
  requireOneHost(request);
  if (!path.startsWith("/v2")) {
    const forSignIn = (await answerTokens(arrival, options)) ?? (await answerLogin(arrival, options));
    if (forSignIn !== null) return forSignIn;
    const api = locateApi(path);
    if (api !== null) return await answerManagement(api, arrival, options);
  }
  const match = matcher.match(path);
  if (match === null) throw noRoute(path);
  const route = requireMethod(match, request.method);
  const repository = route.scope === "registry" ? null : requireName(match.rawName);
  const target = decodeTarget(match);
  arrival.traces.subject = { kind: "v2", route: route.id, target };
  const caller = await admit(arrival, errandOf(route, repository, arrival), options);
  const exchange = exchangeOf(arrival, caller, { repository, target });
  if (route.id === MANIFEST_ROUTE && options.limits !== null) {
    return await limitPulls(exchange, options.limits, () => handle(route, exchange));
  }
  return await handle(route, exchange);
}

async function handle(route: Route, exchange: DoorExchange): Promise<Response> {
  if (route.scope === "registry") return withVersion(await route.handle(exchange));
  if (!isBelowRepository(exchange)) throw new RegistryError("NAME_INVALID");
  return withVersion(await route.handle(exchange));
}

/** What a handler gets, before it is told by the route whether there is a repository. */
type DoorExchange = Exchange & { readonly repository: RepositoryName | null; readonly target: string };

function isBelowRepository(exchange: DoorExchange): exchange is DoorExchange & RepositoryExchange {
  return exchange.repository !== null;
}

/** Written out: copying an object of that many members costs more than a pull's other bookkeeping together. */
function exchangeOf(
  arrival: Arrival,
  caller: Caller,
  { repository, target }: { readonly repository: RepositoryName | null; readonly target: string },
): DoorExchange {
  return {
    request: arrival.request,
    connection: arrival.connection,
    origin: arrival.origin,
    auth: arrival.auth,
    registry: arrival.registry,
    administration: arrival.administration,
    authorize: arrival.authorize,
    caller,
    seal: arrival.seal,
    query: arrival.query,
    note: arrival.note,
    reportFailure: arrival.reportFailure,
    repository,
    target,
  };
}

/** GET of a manifest is a pull, as Docker Hub counts; its answers, and those to HEAD, say how many are left. */
async function limitPulls(
  { request, caller, origin, connection }: Exchange,
  limits: RateLimits,
  handleIt: () => Promise<Response>,
): Promise<Response> {
  const puller = { account: caller.name, address: origin.address };
  const counts = request.method === "GET" && !connection.isLocal;
  if (counts) await limits.pull(puller, request);
  const response = await handleIt();
  const headers = request.method === "GET" || request.method === "HEAD" ? limits.pullHeaders(puller) : null;
  for (const [name, value] of Object.entries(headers ?? {})) response.headers.set(name, value);
  return response;
}

const MANIFEST_ROUTE = "end-3";

function errandOf(route: Route, repository: RepositoryName | null, { query }: Arrival): Errand {
  const { action, id } = route;
  const from = id === "end-4a" && query.has("mount") ? query.get("from") : null;
  return {
    action,
    repository,
    mountFrom: from === null ? null : parseRepositoryName(from),
    changes: action === "push" || action === "delete",
    isUpload: UPLOAD_ROUTES.includes(id),
    dependsOnCaller: action === "catalog",
    allowsSession: false,
  };
}

/** Endpoints that go on with a session: the id is a secret, and the caller must be the one who began it. */
const UPLOAD_ROUTES: readonly string[] = ["end-13", "end-5", "end-6", "end-14"];

/** The token endpoint and its keys; null for every other path, and without authentication. */
async function answerTokens(
  arrival: Arrival,
  { auth, authorize, limits, publicUrl }: AppOptions,
): Promise<Response | null> {
  if (auth === null || auth.external !== null) return null;
  const { path, request, query, traces } = arrival;
  if (path === KEYS_PATH) return await answerKeys(request, auth);
  if (path !== TOKEN_PATH) return null;
  await limits?.byAddress(arrival.origin.address, request);
  const presented = presentedBy(arrival, { allowsSession: false }, { publicUrl });
  traces.subject = { kind: "token" };
  const seen = (caller: Caller, hasSignedIn: boolean) => {
    traces.caller = caller;
    traces.hasSignedIn = hasSignedIn;
  };
  return await answerToken({ request, query, presented, auth, authorize, seen });
}

/** Where people sign in by their provider; null for every other path, and without one. */
async function answerLogin(
  { path, request, origin, traces, note }: Arrival,
  { login, limits }: AppOptions,
): Promise<Response | null> {
  if (login === null || !LOGIN_PATHS.includes(path)) return null;
  await limits?.byAddress(origin.address, request);
  const wanted = path === LOGOUT_PATH ? "POST" : "GET";
  if (request.method !== wanted) {
    throw new RegistryError("UNSUPPORTED", { message: `wanted ${wanted}`, headers: { Allow: wanted } });
  }
  if (path === LOGOUT_PATH) return await login.logout(request);
  if (path === LOGIN_PATH) return await login.begin(request);
  return await login.finish(request, ({ name }) => {
    traces.subject = { kind: "token" };
    traces.hasSignedIn = true;
    note({ account: `oidc:${name}` });
  });
}

const LOGIN_PATHS: readonly string[] = [LOGIN_PATH, CALLBACK_PATH, LOGOUT_PATH];

/** The management API: who may not use it learns nothing of its routes. */
async function answerManagement(target: ApiTarget, arrival: Arrival, options: AppOptions): Promise<Response> {
  const { request, traces } = arrival;
  const repository = target.rawName === null ? null : requireName(target.rawName);
  const errand: Errand = {
    action: actionOf(request.method, target),
    repository,
    mountFrom: null,
    changes: changesRegistry(request.method, target),
    isUpload: false,
    dependsOnCaller: false,
    allowsSession: true,
  };
  traces.subject = { kind: "api", path: target.path };
  const caller = await admit(arrival, errand, options);
  // Most registries are asked for images alone: schemas and router of the API are loaded when it is used.
  const { answerApi } = await import("./api/api.ts");
  const exchange = exchangeOf(arrival, caller, { repository, target: "" });
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

function noRoute(path: string): RegistryError {
  const meant = nearMiss(path, matcher);
  if (meant === null) return new RegistryError("ROUTE_UNKNOWN");
  return new RegistryError("ROUTE_UNKNOWN", { message: `no such endpoint: wanted ${meant}` });
}

function requireMethod(match: Match, method: string): Route {
  const route = match.methods.get(method);
  if (route !== undefined) return route;
  throw new RegistryError("UNSUPPORTED", {
    message: `method ${quote(method)} is not supported on ${match.template}`,
    headers: { Allow: [...match.methods.keys()].join(", ") },
  });
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
