import type { Annotations, Platform } from "@stowage/oci/descriptor";
import type { Digest, DigestAlgorithm } from "@stowage/oci/digest";
import type { PageRequest } from "@stowage/oci/pagination";
import type { Reference } from "@stowage/oci/reference";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Tag } from "@stowage/oci/tag";
import type { ObjectIdentity, StorageKey } from "../blobstore/blob-store.ts";
import type { UploadId } from "@stowage/oci/upload-id";
import type { AccountMetadata, KeyMetadata, TokenMetadata } from "./accounts.ts";
import type { AuditMetadata } from "./audit.ts";
import type { InventoryMetadata } from "./inventory.ts";
import type { QuotaMetadata } from "./quotas.ts";

export type * from "./accounts.ts";
export type * from "./audit.ts";
export { PERSONAL_TOKENS_MAX } from "./accounts.ts";
export type * from "./inventory.ts";
export * from "./quotas.ts";

/**
 * What the registry remembers, apart from the bytes of blobs. Each method is one whole unit of work: it happens
 * in one transaction or not at all, and when it resolves it is durable. Only the store's own clock counts;
 * times are milliseconds since 1970 (UTC). Absence is `null`. A store that cannot be reached or that is full
 * throws RegistryError UNAVAILABLE or STORAGE_FULL; what would pass a quota throws QuotaExceeded.
 */
export interface Metadata extends AsyncDisposable {
  readonly blobs: BlobMetadata;
  readonly uploads: UploadMetadata;
  readonly manifests: ManifestMetadata;
  readonly deletions: DeletionMetadata;
  readonly garbage: GarbageMetadata;
  readonly scrub: ScrubMetadata;
  readonly retention: RetentionMetadata;
  readonly inventory: InventoryMetadata;
  readonly audit: AuditMetadata;
  readonly quotas: QuotaMetadata;
  readonly documents: DocumentMetadata;
  readonly accounts: AccountMetadata;
  readonly tokens: TokenMetadata;
  readonly keys: KeyMetadata;
  /** Resolves when the store can answer and can write; throws otherwise. For readiness. */
  ping(): Promise<void>;
}

/** How long promises hold, in milliseconds. */
export interface Durations {
  /** A positive answer to a pusher keeps the blob safe this long. */
  readonly leaseMs: number;
  /** An upload session ends this long after its last progress. */
  readonly uploadAgeMsMax: number;
  /** A repeated identical finalise is answered with 201 this long. */
  readonly finishedUploadMs: number;
  /** An object without metadata after this long belongs to a crashed writer. */
  readonly intentMs: number;
  /** Longest GET: an object that lost its metadata stays readable this long. */
  readonly tombstoneGraceMs: number;
  /** A deletion can be undone this long; what it let go of is kept until then. */
  readonly undoMs: number;
}

export const DURATIONS_DEFAULT: Durations = {
  leaseMs: 24 * 3_600_000,
  uploadAgeMsMax: 7 * 24 * 3_600_000,
  finishedUploadMs: 3_600_000,
  intentMs: 24 * 3_600_000,
  tombstoneGraceMs: 3_600_000,
  undoMs: 24 * 3_600_000,
};

export interface BlobRecord {
  readonly digest: Digest;
  readonly size: number;
  readonly storageKey: StorageKey;
}

export interface BlobMetadata {
  /** The blob if it is linked to the repository and not quarantined. A plain read. */
  find(repository: RepositoryName, digest: Digest): Promise<BlobRecord | null>;
  /** Like find, and a positive answer is a lease: renewed when less than half of it is left. */
  findForPush(repository: RepositoryName, digest: Digest): Promise<BlobRecord | null>;
  /** Links the blob of repository `from` to `to` and leases it; null when `from` does not have it. */
  mount(digest: Digest, from: RepositoryName, to: RepositoryName): Promise<BlobRecord | null>;
  /** Some repositories that have the blob, at most `entriesMax`: candidates for a mount without `from`. */
  repositoriesWith(digest: Digest, entriesMax: number): Promise<readonly RepositoryName[]>;
  /** Takes the blob out of the repository at once, leased or not. Other repositories are not touched. */
  unlink(repository: RepositoryName, digest: Digest): Promise<"deleted" | "absent" | "in-use">;
}

export interface UploadSession {
  readonly id: UploadId;
  readonly repository: RepositoryName;
  /** Who opened it; null is the anonymous caller. Only the same caller may go on with it. */
  readonly principal: string | null;
  /** Algorithm of the running digest. */
  readonly algorithm: DigestAlgorithm;
  /** Bytes that were acknowledged. */
  readonly offset: number;
  /** Digest of the first `offset` bytes, or null when none were received. */
  readonly digestSoFar: Digest | null;
  /** Set once the session was finished with this digest; it then only answers a repeated finalise. */
  readonly finished: Digest | null;
  /** Bytes that its namespace is charged for: `offset`, or more once it began to be finished. */
  readonly charged: number;
}

export interface UploadProgress {
  readonly from: number;
  readonly to: number;
  /** Digest of the first `to` bytes. */
  readonly digestSoFar: Digest;
}

export interface UploadMetadata {
  start(session: Pick<UploadSession, "id" | "repository" | "principal" | "algorithm">): Promise<void>;
  find(id: UploadId): Promise<UploadSession | null>;
  /**
   * Moves the offset on if it still is `progress.from` and the session is open (compare-and-set), and
   * puts the session's end off. False: somebody else advanced, finished, cancelled or expired it.
   */
  advance(id: UploadId, progress: UploadProgress): Promise<boolean>;
  /** Puts the end of an open session off while its bytes are still coming. */
  touch(id: UploadId): Promise<void>;
  /**
   * Before bytes get their final key. If the registry already has the blob, the session ends here: the blob
   * is linked and leased, the session's own bytes are left to `garbage`, and the answer is "exists". Otherwise
   * the intent to create `blob.storageKey` is written: "proceed". "gone": the session is not open any more.
   */
  prepareFinish(
    id: UploadId,
    blob: BlobRecord,
    uploadKey: StorageKey,
  ): Promise<"exists" | "proceed" | "gone">;
  /**
   * After the bytes are durable under `blob.storageKey`: inserts the blob (or, if another writer was faster,
   * leaves the own copy to `garbage`), links and leases it, and ends session and intent. "gone": the session
   * ended meanwhile; the own copy is left to `garbage`.
   */
  finish(id: UploadId, blob: BlobRecord): Promise<"finished" | "gone">;
  /** Ends an open session; its bytes at `uploadKey` are left to `garbage`. False when there is none. */
  cancel(id: UploadId, uploadKey: StorageKey): Promise<boolean>;
}

/** A manifest as it is stored, with what pages and command line sort and filter by. */
export interface ManifestRecord {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  /** Since when nothing may hold the manifest, or null: a tag, an index or a subject does. */
  readonly looseSince: number | null;
}

export interface NewManifest {
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  readonly artifactType: string | null;
  readonly annotations: Annotations | null;
  readonly platform: Platform | null;
  readonly subject: Digest | null;
  /** Bytes of config and layers together, or null: as many as its blobs have. */
  readonly contentSize: number | null;
  /** Config and layers. */
  readonly blobs: readonly ContentRef[];
  /** Entries of an index: manifests of the repository, or blobs (BuildKit's cache index points at layers). */
  readonly children: readonly ContentRef[];
  readonly tags: readonly NewTag[];
  readonly pushedBy: string | null;
}

export interface NewTag {
  readonly tag: Tag;
  /** An immutable tag is set once: it never moves to another digest. */
  readonly immutable: boolean;
}

export interface ContentRef {
  readonly digest: Digest;
  /** Bytes; must equal what is stored. Null: the manifest does not say (schema 1). */
  readonly size: number | null;
  /** Whether the manifest is refused when the repository does not have it. */
  readonly required: boolean;
}

export type PutManifestResult =
  | { readonly kind: "stored" }
  /** Content that is not in this repository. */
  | { readonly kind: "unknown"; readonly missing: readonly Digest[] }
  | { readonly kind: "size-differs"; readonly digest: Digest; readonly stored: number }
  /** An immutable tag that points at another digest. */
  | { readonly kind: "immutable"; readonly tag: Tag; readonly digest: Digest };

export interface SetTag extends NewTag {
  readonly digest: Digest;
  readonly pushedBy: string | null;
}

export type SetTagResult =
  | { readonly kind: "set" }
  /** The repository has no such manifest. */
  | { readonly kind: "unknown" }
  /** An immutable tag that points at another digest. */
  | { readonly kind: "immutable"; readonly tag: Tag; readonly digest: Digest };

export interface Referrer {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly artifactType: string | null;
  readonly size: number;
  readonly annotations: Annotations | null;
}

export interface ReferrerQuery {
  readonly artifactType: string | null;
  readonly after: string;
  readonly entriesMax: number;
}

export interface DeleteManifestOptions {
  /** Delete it even if an index lists it (a registry that accepts sparse indexes may also make them). */
  readonly evenIfListed: boolean;
  /** Delete with it what nothing else holds: children of an index and referrers that have no tag of their own. */
  readonly withParts: boolean;
  /** Tags that must not be deleted. */
  readonly isImmutable: (tag: Tag) => boolean;
  readonly by: Actor;
}

/** Who deletes and why, for the record that undoes it. */
export interface Actor {
  readonly name: string | null;
  readonly reason: "request" | "untagged" | "retention";
}

export interface ManifestMetadata {
  /** Checks that the content is there and writes manifest, edges and tags, or nothing. Repeatable. */
  put(manifest: NewManifest): Promise<PutManifestResult>;
  /** Points the tag at a manifest that the repository has; an immutable one only if it is new. */
  setTag(repository: RepositoryName, wanted: SetTag): Promise<SetTagResult>;
  find(repository: RepositoryName, reference: Reference): Promise<ManifestRecord | null>;
  /**
   * Like find, and a positive answer is a lease: clients that see a manifest by its digest do not push it again before
   * the index that lists it. Renewed when less than half of it is left.
   */
  findForPush(repository: RepositoryName, reference: Reference): Promise<ManifestRecord | null>;
  /** Deletes the manifest and every tag that points at it. The record of it undoes that for a while. */
  delete(
    repository: RepositoryName,
    digest: Digest,
    options: DeleteManifestOptions,
  ): Promise<DeleteManifestResult>;
  /** What `delete` would do now; changes nothing. Null when there is no such manifest. */
  previewDelete(
    repository: RepositoryName,
    digest: Digest,
    options: Pick<DeleteManifestOptions, "withParts">,
  ): Promise<DeletePreview | null>;
  /** Takes the tag away; the manifest stays. The id of the record that undoes it, or null: no such tag. */
  deleteTag(repository: RepositoryName, tag: Tag, by: Actor): Promise<number | null>;
  /** Tags in byte order, or null when the repository is not known. */
  listTags(repository: RepositoryName, page: PageRequest): Promise<readonly Tag[] | null>;
  /** Manifests whose subject is `subject`, ordered by digest. */
  listReferrers(
    repository: RepositoryName,
    subject: Digest,
    query: ReferrerQuery,
  ): Promise<readonly Referrer[]>;
  /** Names of the repositories that have a manifest, in byte order. */
  listRepositories(page: PageRequest): Promise<readonly RepositoryName[]>;
}

export type DeleteManifestResult =
  /** `deletion` is the id of the record that undoes it. */
  | { readonly kind: "deleted"; readonly deletion: number }
  | { readonly kind: "absent" }
  /** An index of the repository lists it. */
  | { readonly kind: "in-use" }
  | { readonly kind: "immutable"; readonly tag: Tag };

/** What a deletion takes along, and what it frees once it cannot be undone any more. */
export interface DeletePreview {
  readonly manifests: readonly Digest[];
  readonly tags: readonly Tag[];
  /** Blobs that nothing else in the registry needs. */
  readonly blobs: number;
  /** Their bytes and those of the manifests. */
  readonly bytes: number;
}

/** The record of something that was deleted and can still be brought back. */
export interface Deletion {
  readonly id: number;
  readonly kind: "repository" | "manifest" | "tag";
  readonly repository: RepositoryName;
  readonly manifests: readonly Digest[];
  readonly tags: readonly Tag[];
  readonly deletedAt: number;
  readonly deletedBy: string | null;
  readonly reason: Actor["reason"];
  readonly undoUntil: number;
}

export type UndoResult =
  /** `skipped` are tags that point somewhere else by now and were left there. */
  | { readonly kind: "undone"; readonly skipped: readonly Tag[] }
  | { readonly kind: "absent" }
  /** The repository's name is in use again. */
  | { readonly kind: "name-taken" }
  /** Content was deleted in its own right meanwhile, or the manifest that the tag pointed at. */
  | { readonly kind: "content-gone"; readonly digest: Digest };

export interface DeletionMetadata {
  /**
   * Deletes a repository with everything in it, in constant time: it loses its name, the collector takes it apart
   * when it cannot be undone any more. The id of the record, or null: no such repository.
   */
  deleteRepository(repository: RepositoryName, by: Actor): Promise<number | null>;
  /** Newest first; `before` is the id that the page before ended with. */
  list(query: { readonly before: number | null; readonly entriesMax: number }): Promise<readonly Deletion[]>;
  find(id: number): Promise<Deletion | null>;
  /** Brings back what the deletion took, in one transaction, or nothing. */
  undo(id: number): Promise<UndoResult>;
  /** Gives up the right to undo, of one deletion or of all, so that the next collection frees their content. */
  purge(id: number | null): Promise<number>;
}

/** What one step of the collector did. */
export interface Collected {
  /** Rows that were looked at, whether they were kept or not. 0: nothing is due. */
  readonly reviewed: number;
  /** Links that no manifest needed. */
  readonly unlinked: number;
  /** Blobs that lost their last link, and their bytes; their objects have tombstones now. */
  readonly blobs: number;
  readonly bytes: number;
}

/** What is on its way to being freed. */
export interface GarbagePreview {
  /** Blobs that a collection now would let go of, and their bytes. */
  readonly collectable: { readonly blobs: number; readonly bytes: number };
  /** Objects that wait for the end of their grace, and their bytes. */
  readonly tombstoned: { readonly objects: number; readonly bytes: number };
  /** Deletions that can still be undone. */
  readonly deletions: number;
  /** Backups that keep objects from being deleted. */
  readonly holds: number;
}

/**
 * The collector's units of work. Each is one short transaction that decides and acts at once, and each may be
 * repeated, stopped anywhere, and run by several servers at the same time.
 */
export interface GarbageMetadata {
  /** The store's clock. */
  now(): Promise<number>;
  /** Ends at most `max` sessions and intents past their time, leaving tombstones; how many were ended. */
  expire(max: number, uploadKeyOf: (id: UploadId) => StorageKey): Promise<number>;
  /** Forgets at most `max` deletions that cannot be undone any more, or takes that many parts of their repositories. */
  expireDeletions(max: number): Promise<Collected>;
  /** Looks at no more than `max` links whose lease has passed, and lets go of what no manifest needs. */
  collect(max: number): Promise<Collected>;
  /**
   * Deletes at most `max` manifests of the repository that have been loose (without tag, index or subject that
   * holds them) for `delayMs`, and no sooner than a lease. How many were looked at.
   */
  collectUntagged(
    repository: RepositoryName,
    options: CollectUntagged,
  ): Promise<{ readonly reviewed: number; readonly deleted: number }>;
  /** What the collector would do. Changes nothing. */
  preview(): Promise<GarbagePreview>;
  /** At most `max` objects whose grace has passed; none while somebody holds them. */
  due(max: number): Promise<readonly DueObject[]>;
  /** After the objects were deleted: forgets their tombstones. */
  forget(keys: readonly StorageKey[]): Promise<void>;
  /** Those of the objects that nothing leads to: no blob, session, intent or tombstone. Changes nothing. */
  findOrphans(objects: readonly ListedObject[]): Promise<readonly ListedObject[]>;
  /**
   * Gives tombstones to those of the objects that nothing leads to. An object gets its key only after its session or
   * intent was written, so one that was listed before this call and has neither now is nobody's.
   */
  adopt(objects: readonly ListedObject[]): Promise<number>;
  /** Keeps every object from being deleted for `ms` from now: for a backup, which renews it while it runs. */
  hold(id: string, ms: number): Promise<void>;
  release(id: string): Promise<void>;
}

/** An object that was found in the blob store. */
export interface ListedObject {
  readonly key: StorageKey;
  readonly identity: ObjectIdentity;
}

export interface CollectUntagged {
  readonly delayMs: number;
  readonly max: number;
  /** Of all loose manifests, of those that have no subject, or of those that have one. */
  readonly among: "all" | "without-subject" | "referrers";
}

export interface DueObject {
  readonly key: StorageKey;
  /** Bytes; 0 when they were never counted (what an upload left). */
  readonly size: number;
}

/** What can be wrong with the bytes of a blob. */
export type ScrubProblem = "missing" | "size" | "digest" | "unreadable";

export interface ScrubFinding {
  readonly id: number;
  readonly digest: Digest;
  readonly storageKey: StorageKey;
  readonly problem: ScrubProblem;
  readonly foundAt: number;
  /** When a push brought the bytes back, or null. */
  readonly repairedAt: number | null;
}

/** When the bytes of blobs were last looked at, and what was found. */
export interface ScrubMetadata {
  /** Sound blobs that were not verified since `before`, the longest ago first. */
  next(before: number, max: number): Promise<readonly BlobRecord[]>;
  /** The blobs' bytes were read and are right: now, or at `notBefore` if the clock was set back since. */
  verified(blobs: readonly BlobRecord[], notBefore: number): Promise<void>;
  /**
   * Takes the blob out of sight, so that a push brings it back; the finding is kept. False, and nothing done, when
   * the blob has other bytes by now or is gone.
   */
  quarantine(blob: BlobRecord, problem: ScrubProblem): Promise<boolean>;
  /** Newest first; `before` is the id that the page before ended with. */
  findings(before: number | null, entriesMax: number): Promise<readonly ScrubFinding[]>;
}

/** A tag with what a retention policy judges it by. */
export interface JudgedTag {
  readonly tag: Tag;
  readonly digest: Digest;
  readonly pushedAt: number;
  /** Null: not since pulls are recorded. */
  readonly pulledAt: number | null;
}

/** When something was last pulled. */
export interface Pull {
  readonly repository: RepositoryName;
  readonly reference: Reference;
  readonly at: number;
}

/** What administrators set as a whole: retention policies, access rules. */
export interface DocumentMetadata {
  /** The JSON text of a document, or null. */
  find(name: string): Promise<string | null>;
  put(name: string, json: string, by: string | null): Promise<void>;
  /** Like `put`, if the document is still what it was: `before`, null for none. */
  replace(
    document: { readonly name: string; readonly json: string; readonly by: string | null },
    before: string | null,
  ): Promise<boolean>;
}

export interface RetentionMetadata {
  /** A page of the repository's tags, by name. */
  listTags(repository: RepositoryName, page: PageRequest): Promise<readonly JudgedTag[]>;
  /** Deletes those of the tags that still are what was judged, each with a record that undoes it; which. */
  deleteTags(repository: RepositoryName, tags: readonly JudgedTag[]): Promise<readonly Tag[]>;
  /** Notes pulls of tags and manifests that are still there; a time never goes back. */
  recordPulls(pulls: readonly Pull[]): Promise<void>;
}
