import type { Digest } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Tag } from "@stowage/oci/tag";

/** What was done, or was refused. */
export type AuditAction =
  | "manifest.push"
  | "manifest.pull"
  | "manifest.delete"
  | "tag.set"
  | "tag.delete"
  | "blob.delete"
  | "repository.create"
  | "repository.delete"
  | "deletion.undo"
  | "deletion.purge"
  | "policies.set"
  | "quota.set"
  | "retention.run"
  | "garbage.run"
  | "account.create"
  | "account.change"
  | "account.delete"
  | "token.create"
  | "token.revoke"
  | "access.set"
  | "key.rotate"
  | "login.succeeded"
  | "login.failed"
  /** Somebody may not do what they asked for. */
  | "denied"
  /** Too many requests. */
  | "limited"
  /** Entries that were never written: there were too many. */
  | "audit.dropped";

/**
 * What else is worth knowing. A closed list of members, each of which is a name, an id or a number by its nature: a
 * header, a query or a body has nowhere to go.
 */
export interface AuditDetail {
  readonly digest?: Digest;
  readonly mediaType?: string;
  /** Bytes. */
  readonly size?: number;
  /** Tags that were set or deleted along. */
  readonly tags?: number;
  /** The repository that something was taken from. */
  readonly from?: RepositoryName;
  /** What was asked for: `push`, `admin`. */
  readonly wanted?: string;
  readonly errorCode?: string;
  readonly reason?: string;
  /** Name of an account that exists. Never what somebody typed as a name: passwords are typed there, too. */
  readonly account?: string;
  readonly role?: string;
  readonly namespace?: string;
  /** Public id of an access token. */
  readonly token?: string;
  /** Record that undoes it. */
  readonly deletion?: number;
  readonly dropped?: number;
}

export interface AuditEntry {
  /** Milliseconds since 1970: of the last of them when there were more. */
  readonly at: number;
  /** X-Request-Id of the answer; null of what the registry did by itself. */
  readonly requestId: string | null;
  /** Null is the anonymous caller. */
  readonly caller: string | null;
  /** Kind and public id of what the caller showed, `access-token:4f0c...`, or null. */
  readonly credential: string | null;
  /** Canonical text; null on the Unix socket. */
  readonly address: string | null;
  readonly userAgent: string | null;
  readonly action: AuditAction;
  readonly repository: RepositoryName | null;
  readonly reference: Tag | Digest | null;
  /** HTTP status of the answer. */
  readonly status: number;
  /** How many alike stand in this one entry; more than 1 only of refusals. */
  readonly count: number;
  /** Whether it stands for something that was not done. Those have room of their own. */
  readonly isRefusal: boolean;
  readonly detail: AuditDetail;
}

export interface StoredAuditEntry extends AuditEntry {
  readonly id: number;
}

export interface AuditFilter {
  /** Null: any. */
  readonly caller: string | null;
  readonly repository: RepositoryName | null;
  /** Beginning of the repository's name; empty: any. */
  readonly prefix: string;
  readonly action: AuditAction | null;
  /** At or after, and before. */
  readonly since: number | null;
  readonly until: number | null;
}

export interface AuditQuery extends AuditFilter {
  /** Entries older than the one with this id; null: from the newest. */
  readonly before: number | null;
  readonly entriesMax: number;
  /** Most entries that are looked at. */
  readonly scannedMax: number;
}

export interface AuditPage {
  /** Newest first; fewer than wanted when others were looked at that do not match. */
  readonly entries: readonly StoredAuditEntry[];
  /** The `before` to go on with; null: there are no older ones. */
  readonly next: number | null;
}

export interface AuditLimits {
  /** Entries of before this time go. */
  readonly before: number;
  /** Entries of changes, and of refusals, that are kept; the oldest of more go. */
  readonly changesMax: number;
  readonly refusalsMax: number;
  /** Most entries that one call deletes. */
  readonly max: number;
}

/** Who did what. */
export interface AuditMetadata {
  append(entries: readonly AuditEntry[]): Promise<void>;
  list(query: AuditQuery): Promise<AuditPage>;
  /** Deletes what is beyond the limits, the oldest first; how many were. */
  expire(limits: AuditLimits): Promise<number>;
}
