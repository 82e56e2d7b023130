import { parseDigest } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import { parseTag } from "@stowage/oci/tag";
import type { Caller } from "../auth/caller.ts";
import type { Audit, AuditDeed, AuditDetail } from "../registry/audit.ts";
import { apiDeedOf } from "./api/deeds.ts";
import type { Wanted } from "./challenge.ts";
import type { Origin } from "../net/client-address.ts";

/** What is known of a request when it has been answered. Filled on its way. */
export interface Traces {
  /** Null: it did not get as far as that. */
  caller: Caller | null;
  errand: Pick<Wanted, "action" | "repository"> | null;
  /** What was asked for: an endpoint of `/v2/`, of the management API, or the token endpoint. */
  subject: Subject | null;
  /** What handlers say of what they did. */
  detail: AuditDetail;
  /** Somebody has signed in, not only asked for one more token. */
  hasSignedIn: boolean;
}

export function noTraces(): Traces {
  return { caller: null, errand: null, subject: null, detail: {}, hasSignedIn: false };
}

export type Subject =
  | { readonly kind: "v2"; readonly route: string; readonly target: string }
  | { readonly kind: "api"; readonly path: string }
  | { readonly kind: "token" };

export interface Answered {
  readonly requestId: string;
  readonly request: Request;
  readonly origin: Origin;
  readonly traces: Traces;
  readonly response: Response;
}

/**
 * Takes note of what was done, and of what was refused. What changes who may do what is durable when the promise
 * resolves; the rest is written within a second, and there is no promise. Pulls are not recorded: the log has a line for each request, with its caller.
 */
export function leaveTrace(answered: Answered, audit: Audit): Promise<void> | null {
  const { response, traces } = answered;
  const deed = response.status < 400 ? doneBy(answered) : refusedOf(answered);
  if (deed === null) return null;
  const noted = { ...deed, detail: { ...deed.detail, ...traces.detail } };
  const isUrgent = traces.subject?.kind === "api" && URGENT.some((start) => deed.action.startsWith(start));
  if (isUrgent && response.status < 400) return audit.recordNow(actorOf(answered), noted);
  audit.record(actorOf(answered), noted);
  return null;
}

/** Actions that change who may do what. */
const URGENT = ["account.", "token.", "access.", "key."] as const;

function actorOf({ requestId, request, origin, traces }: Answered) {
  const { caller } = traces;
  return {
    requestId,
    caller: caller?.name ?? null,
    credential: caller === null || caller.credential.kind === "none" ? null : caller.credential,
    address: origin.address,
    userAgent: request.headers.get("User-Agent"),
  };
}

function doneBy({ request, response, traces }: Answered): AuditDeed | null {
  const { subject, errand } = traces;
  const { status } = response;
  const repository = errand?.repository ?? null;
  switch (subject?.kind) {
    case "v2":
      return request.method === "GET" || request.method === "HEAD"
        ? null
        : contentDeed(subject, { method: request.method, response, repository });
    case "api":
      return apiDeedOf({ method: request.method, path: subject.path, status, repository });
    case "token":
      return traces.hasSignedIn ? { action: "login.succeeded", status } : null;
    case undefined:
      return null;
    default:
      return subject satisfies never;
  }
}

interface Change {
  readonly method: string;
  readonly response: Response;
  readonly repository: RepositoryName | null;
}

/** What a request of `/v2/` changed, by its endpoint. Uploads become something only with a manifest. */
function contentDeed(
  { route, target }: Extract<Subject, { kind: "v2" }>,
  { method, response, repository }: Change,
): AuditDeed | null {
  const reference = parseTag(target) ?? parseDigest(target);
  const digest = parseDigest(response.headers.get("Docker-Content-Digest") ?? "");
  const base = { repository, reference, status: response.status };
  switch (route) {
    case "end-7a":
      return { ...base, action: "manifest.push", ...(digest === null ? {} : { detail: { digest } }) };
    case "end-9":
      return { ...base, action: parseDigest(target) === null ? "tag.delete" : "manifest.delete" };
    case "end-10":
      return { ...base, action: "blob.delete" };
    case "stowage-tags":
      return { ...base, action: method === "DELETE" ? "tag.delete" : "tag.set" };
    default:
      return null;
  }
}

/** A refusal that says something of who asks: not that somebody has to sign in first, which is how every pull begins. */
function refusedOf({ request, response, traces }: Answered): AuditDeed | null {
  const { status } = response;
  const { caller, errand, subject } = traces;
  const repository = errand?.repository ?? null;
  const detail = errand === null ? {} : { wanted: errand.action };
  if (status === 429) return { action: "limited", repository, status, detail };
  if (status === 403) return { action: "denied", repository, status, detail };
  if (status !== 401) return null;
  const authorization = request.headers.get("Authorization") ?? "";
  // A registry token that has ended is changed for a new one all the time.
  const isGuess = subject?.kind === "token" || /^basic |^bearer stw_/i.test(authorization);
  return caller === null && isGuess ? { action: "login.failed", repository, status } : null;
}
