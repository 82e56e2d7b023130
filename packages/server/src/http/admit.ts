import { RegistryError } from "@stowage/oci/errors";
import type { Auth } from "../auth/auth.ts";
import type { Presented } from "../auth/authenticate.ts";
import type { Authorize } from "../auth/authorize.ts";
import { type Caller, OWNER, UNRESTRICTED } from "../auth/caller.ts";
import { challenge, type Realm, refusal, type Wanted } from "./challenge.ts";
import type { Origin } from "../net/client-address.ts";
import type { Traces } from "./audit-trail.ts";
import type { Connection } from "./exchange.ts";
import type { RateLimits } from "./rate-limits.ts";
import { requireSameSite } from "./same-site.ts";
import { sessionOf } from "./session-cookie.ts";

export interface Door {
  /** Null: no authentication, everybody may do everything. */
  readonly auth: Auth | null;
  readonly authorize: Authorize;
  /** Refuse everything that changes something. */
  readonly readOnly: boolean;
  /** How often may be asked; null: as often as you like. */
  readonly limits: RateLimits | null;
  /** Address under which the registry is known, or null. */
  readonly publicUrl: string | null;
}

/** What a request is for. */
export interface Errand extends Wanted {
  /** Whether it would change what the registry holds. */
  readonly changes: boolean;
  /** Whether it goes on with an upload session: a token that ended meanwhile still finishes it. */
  readonly isUpload: boolean;
  /**
   * Whether what is answered depends on who asks: then nobody is answered who did not say so, be it by a token for
   * anybody. Some clients show what they were given to keep only when they are asked.
   */
  readonly dependsOnCaller: boolean;
  /** Whether a browser's session counts. It never does on `/v2/`. */
  readonly allowsSession: boolean;
}

interface Visit {
  readonly request: Request;
  readonly connection: Connection;
  readonly origin: Origin;
  readonly traces: Traces;
}

/**
 * Every request passes here, and only here: who asks is found out, and whether they may.
 * @throws RegistryError UNAUTHORIZED with a challenge, DENIED, UNSUPPORTED, TOOMANYREQUESTS
 */
export async function admit(visit: Visit, errand: Errand, door: Door): Promise<Caller> {
  const { auth, authorize, limits, readOnly } = door;
  const { request, origin } = visit;
  visit.traces.errand = errand;
  // A browser shows a client's certificate to whatever page asks.
  requireSameSite(request, { origin, publicUrl: door.publicUrl });
  const limited = visit.connection.isLocal ? null : limits;
  await limited?.byAddress(origin.address, request);
  const caller = await identify(visit, errand, door);
  visit.traces.caller = caller;
  if (caller.name !== null) await limited?.byAccount(caller.name, request);
  const { action, repository, changes } = errand;
  if (!authorize({ caller, action, repository })) {
    if (auth === null) throw new RegistryError("DENIED");
    throw refusal({ caller, action, repository }, errand, authorize, realmOf(visit, auth, door));
  }
  if (errand.dependsOnCaller && auth !== null && caller.credential.kind === "none") {
    throw challenge(errand, null, realmOf(visit, auth, door));
  }
  if (readOnly && changes) {
    throw new RegistryError("UNSUPPORTED", { message: "the registry is read-only" });
  }
  return caller;
}

async function identify(visit: Visit, errand: Errand, door: Door): Promise<Caller> {
  const { auth } = door;
  if (visit.connection.isLocal) return OWNER;
  if (auth === null) {
    requireOwnHost(visit, door);
    return UNRESTRICTED;
  }
  const presented = presentedBy(visit, errand, door);
  try {
    const caller = await auth.authenticator.authenticate(presented);
    if (!caller.hasEnded || errand.isUpload) return caller;
  } catch (error) {
    if (!(error instanceof RegistryError && error.code === "UNAUTHORIZED")) throw error;
  }
  throw challenge(errand, "invalid_token", realmOf(visit, auth, door));
}

/** What came with the request that may say who sent it. */
export function presentedBy(
  { request, connection, origin }: Omit<Visit, "traces">,
  { allowsSession }: Pick<Errand, "allowsSession">,
  { publicUrl }: Pick<Door, "publicUrl">,
): Presented {
  return {
    authorization: request.headers.get("Authorization"),
    session: allowsSession ? sessionOf(request, publicUrl) : null,
    certificate: connection.clientCertificate,
    isLocal: connection.isLocal,
    address: origin.address,
    request,
  };
}

function realmOf({ origin }: Visit, auth: Auth, { publicUrl }: Door): Realm {
  return { auth, origin, publicUrl };
}

/**
 * Without authentication a page of any site could use the registry from the browser of somebody who reaches it, by a
 * name of its own that it points here (DNS rebinding). So browsers are only answered under names that nobody can point.
 */
function requireOwnHost({ request, origin }: Visit, { publicUrl }: Door): void {
  const { headers } = request;
  const isBrowser =
    headers.get("User-Agent")?.startsWith("Mozilla/") === true ||
    headers.has("Origin") ||
    headers.has("Sec-Fetch-Site");
  if (!isBrowser || origin.host === null || isOwnHost(origin.host, publicUrl)) return;
  throw new RegistryError("DENIED", {
    message: `browsers are not answered under the name ${JSON.stringify(origin.host)}; start with --public-url if the registry has it`,
  });
}

function isOwnHost(host: string, publicUrl: string | null): boolean {
  const name = host.replace(/:\d+$/, "").toLowerCase();
  if (publicUrl !== null && new URL(publicUrl).hostname === name) return true;
  return /^(?:\[[0-9a-f:.]+\]|\d{1,3}(?:\.\d{1,3}){3}|(?:[a-z0-9-]+\.)*localhost)$/.test(name);
}
