import type { RepositoryName } from "@stowage/oci/repository-name";
import type { AuditAction, AuditDetail, AuditEntry } from "../metadata/metadata.ts";
import { redact } from "./redact.ts";

/** Longest text of a member, in characters. */
const TEXT_LENGTH_MAX = 256;

/** What becomes of an entry. Refusals are gathered, and pulls are only logged: a row would cost each a commit. */
export const AUDIT_KINDS: Readonly<Record<AuditAction, "change" | "refusal" | "pull">> = {
  "manifest.push": "change",
  "manifest.pull": "pull",
  "manifest.delete": "change",
  "tag.set": "change",
  "tag.delete": "change",
  "blob.delete": "change",
  "repository.create": "change",
  "repository.delete": "change",
  "deletion.undo": "change",
  "deletion.purge": "change",
  "policies.set": "change",
  "quota.set": "change",
  "retention.run": "change",
  "garbage.run": "change",
  "account.create": "change",
  "account.change": "change",
  "account.delete": "change",
  "token.create": "change",
  "token.revoke": "change",
  "access.set": "change",
  "key.rotate": "change",
  "login.succeeded": "change",
  "login.failed": "refusal",
  denied: "refusal",
  limited: "refusal",
  "audit.dropped": "change",
};

/** Every action there is, for the filter of a listing. */
export const AUDIT_ACTIONS = Object.keys(AUDIT_KINDS) as [AuditAction, ...AuditAction[]];

/** Who asked, and from where: made once for a request. */
export interface AuditActor {
  readonly requestId: string | null;
  readonly caller: string | null;
  /** What the caller showed: its kind, and its public id if it has one. Never the thing itself. */
  readonly credential: { readonly kind: string; readonly id: string | null } | null;
  readonly address: string | null;
  readonly userAgent: string | null;
}

/** What was done; see AuditEntry. */
export interface AuditDeed {
  readonly action: AuditAction;
  readonly repository?: RepositoryName | null;
  readonly reference?: AuditEntry["reference"];
  readonly status: number;
  readonly detail?: AuditDetail;
}

/** What the registry does by itself: by a policy, by a job. */
export const NOBODY: AuditActor = {
  requestId: null,
  caller: null,
  credential: null,
  address: null,
  userAgent: null,
};

/** The entry of what was done at `at`: texts are cut, and what looks like a secret is taken out of free ones. */
export function toEntry(actor: AuditActor, deed: AuditDeed, at: number): AuditEntry {
  return {
    at,
    requestId: actor.requestId,
    caller: actor.caller?.slice(0, TEXT_LENGTH_MAX) ?? null,
    credential: formatCredential(actor.credential),
    address: actor.address,
    userAgent: cut(actor.userAgent),
    action: deed.action,
    repository: deed.repository ?? null,
    reference: deed.reference ?? null,
    status: deed.status,
    count: 1,
    isRefusal: AUDIT_KINDS[deed.action] === "refusal",
    detail: cutDetail(deed.detail ?? {}),
  };
}

function formatCredential(credential: AuditActor["credential"]): string | null {
  if (credential === null) return null;
  const { kind, id } = credential;
  return id === null ? kind : `${kind}:${cut(id)}`;
}

/** Made fit to be kept, whatever somebody put there. */
function cut(text: string | null): string | null {
  return text === null ? null : redact(text).slice(0, TEXT_LENGTH_MAX);
}

function cutDetail(detail: AuditDetail): AuditDetail {
  const members = Object.entries(detail).map(([name, value]) => [
    name,
    typeof value === "string" ? cut(value) : value,
  ]);
  return Object.fromEntries(members) as AuditDetail;
}
