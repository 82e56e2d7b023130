import type { Platform } from "@stowage/oci/descriptor";
import type { Digest } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Tag } from "@stowage/oci/tag";

/**
 * What pages, command line and API list of the registry: plain reads, each of them short. Times are milliseconds
 * since 1970, sizes bytes.
 */
export interface InventoryMetadata {
  /** One page, empty repositories included. */
  repositories(query: RepositoryQuery): Promise<readonly RepositorySummary[]>;
  repository(name: RepositoryName): Promise<RepositorySummary | null>;
  /** Makes an empty repository; false when there is one of that name. */
  createRepository(name: RepositoryName): Promise<boolean>;
  /** One page of the repository's blobs, and what of them only `scope` holds. */
  exclusive(repository: RepositoryName, query: ExclusiveQuery): Promise<ExclusivePage>;
  /** One page of a repository's tags; null when there is no such repository. */
  tags(repository: RepositoryName, query: TagQuery): Promise<readonly TagSummary[] | null>;
  tag(repository: RepositoryName, tag: Tag): Promise<TagSummary | null>;
  /** Tags that point at the manifest, by name. */
  tagsOf(repository: RepositoryName, digest: Digest, entriesMax: number): Promise<readonly Tag[]>;
  /** A manifest with at most `entriesMax` of each of the lists. */
  manifest(repository: RepositoryName, digest: Digest, entriesMax: number): Promise<ManifestSummary | null>;
  blob(digest: Digest): Promise<BlobSummary | null>;
  /** Who has the blob, deleted repositories included. */
  blobLinks(digest: Digest, query: BlobLinkQuery): Promise<readonly BlobLink[]>;
}

/** Where a page ends: the last entry's value of what is sorted by (0 when that is the name), and its name. */
export interface Position {
  readonly value: number;
  readonly name: string;
}

interface SortedQuery {
  readonly descending: boolean;
  /** Null is the beginning. */
  readonly after: Position | null;
  /** Sorted by time of push, leaves out what was pushed later: it would come twice. */
  readonly until: number | null;
  readonly entriesMax: number;
}

export interface RepositoryQuery extends SortedQuery {
  /** The name begins with it; empty for all. */
  readonly prefix: string;
  /** The name contains it, whatever its case; empty for all. */
  readonly search: string;
  readonly sort: "name" | "pushed" | "size" | "tags";
}

export interface RepositorySummary {
  readonly name: RepositoryName;
  readonly manifests: number;
  readonly tags: number;
  /** Of its manifests and their content, each counted where it is used. */
  readonly logicalBytes: number;
  /** Of its blobs, each counted once. */
  readonly blobBytes: number;
  readonly pushedAt: number | null;
  readonly createdAt: number;
}

export interface ExclusiveQuery {
  /** Whose blobs would go together: the repository alone, or all of a namespace. */
  readonly scope: "repository" | { readonly namespace: RepositoryName };
  /** Digest that the page before ended with, or empty. */
  readonly after: string;
  readonly entriesMax: number;
}

export interface ExclusivePage {
  /** Digest that the page ends with, or null when it was the last. */
  readonly next: string | null;
  /** Blobs that nobody outside the scope has; one that several of a namespace have counts in the oldest of them. */
  readonly blobs: number;
  readonly bytes: number;
}

export interface TagQuery extends SortedQuery {
  readonly sort: "name" | "pushed";
}

export interface TagSummary {
  readonly name: Tag;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly artifactType: string | null;
  /** Of manifest and content; of an index with what it lists. */
  readonly size: number;
  readonly platform: Platform | null;
  readonly pushedAt: number;
  readonly pushedBy: string | null;
  readonly pulledAt: number | null;
  /** Other tags of the repository that point at the same manifest. */
  readonly sharedWith: number;
}

export interface ManifestSummary {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly artifactType: string | null;
  /** Of the manifest itself. */
  readonly size: number;
  /** Of config and layers. */
  readonly contentSize: number;
  readonly platform: Platform | null;
  readonly pushedAt: number;
  readonly pushedBy: string | null;
  readonly pulledAt: number | null;
  readonly subject: Digest | null;
  readonly tags: readonly Tag[];
  /** Manifests that it lists. */
  readonly children: readonly ManifestChild[];
  /** Indexes that list it. */
  readonly parents: readonly Digest[];
  /** Manifests of which it is the subject. */
  readonly referrers: number;
  readonly blobs: readonly { readonly digest: Digest; readonly size: number }[];
}

export interface ManifestChild {
  readonly digest: Digest;
  /** Null when the repository does not have it. */
  readonly size: number | null;
  readonly mediaType: string | null;
  readonly platform: Platform | null;
}

export interface BlobSummary {
  readonly digest: Digest;
  readonly size: number;
  readonly createdAt: number;
  /** When its bytes were last read and found right. */
  readonly verifiedAt: number | null;
  /** Since when it is not served because its bytes are wrong. */
  readonly quarantinedAt: number | null;
}

export interface BlobLinkQuery {
  /** `id` of the link that the page before ended with, or 0. */
  readonly after: number;
  readonly entriesMax: number;
  /** Most manifests and deletions that are named of each link. */
  readonly holdersMax: number;
}

export interface BlobLink {
  readonly id: number;
  /** Of a deleted repository the name that it had. */
  readonly repository: string;
  readonly isDeleted: boolean;
  readonly linkedAt: number;
  /** When the collector looks whether it is needed; null while something is known to hold it. */
  readonly reviewAt: number | null;
  /** Manifests of the repository that need it. */
  readonly manifests: readonly Digest[];
  /** Deletions that can be undone and keep it for that. */
  readonly deletions: readonly number[];
}
