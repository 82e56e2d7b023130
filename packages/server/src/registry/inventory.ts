import type { Digest } from "@stowage/oci/digest";
import { RegistryError } from "@stowage/oci/errors";
import { parseRepositoryName, type RepositoryName } from "@stowage/oci/repository-name";
import type { Tag } from "@stowage/oci/tag";
import type {
  BlobLink,
  BlobSummary,
  ExclusiveQuery,
  ManifestSummary,
  Metadata,
  Position,
  RepositoryQuery,
  RepositorySummary,
  TagSummary,
} from "../metadata/metadata.ts";
import { breathe } from "./breathe.ts";
import { listNamespace } from "./deletions.ts";
import { unknownManifest } from "./manifests.ts";
import { type Listing, listTagSummaries, type TagListingRequest } from "./tag-listing.ts";

export type { BlobLink, BlobSummary, Listing, ManifestSummary, Position, RepositorySummary, TagSummary };

/** Links of one read while exclusive bytes are counted. */
const LINKS_READ_PAGE = 1_000;

/** Repositories of one read while namespaces are counted. */
const REPOSITORIES_READ_PAGE = 1_000;

/** Most names in each list of a manifest, tag or blob. */
const NAMES_SHOWN_MAX = 1_000;

/** Most manifests and deletions that are named of each repository that has a blob. */
const HOLDERS_SHOWN_MAX = 100;

/** Where the listing goes on behind a repository. */
export function positionOf(
  { name, pushedAt, blobBytes, tags }: RepositorySummary,
  sort: RepositoryQuery["sort"],
): Position {
  return { value: { name: 0, pushed: pushedAt ?? 0, size: blobBytes, tags }[sort], name };
}

export type RepositoriesRequest = Omit<RepositoryQuery, "until"> & { readonly until: number };

export interface Exclusive {
  readonly blobs: number;
  readonly bytes: number;
}

/** A name of the next level, and what is below it. */
export interface NamespaceSummary {
  /** With the names above it. */
  readonly name: RepositoryName;
  /** Repositories at or below it. */
  readonly repositories: number;
  /** Of their blobs; those that several of them have count in each. */
  readonly blobBytes: number;
}

/** What there is: listings and descriptions. Changes nothing but that it makes an empty repository. */
export class Inventory {
  readonly #metadata: Metadata;

  constructor(metadata: Metadata) {
    this.#metadata = metadata;
  }

  /** The store's clock. */
  async now(): Promise<number> {
    return await this.#metadata.garbage.now();
  }

  /**
   * One page of the repositories, empty ones included. By name nothing that was there throughout comes twice or is
   * missed; what else they are sorted by may change from page to page.
   */
  async repositories(request: RepositoriesRequest): Promise<Listing<RepositorySummary>> {
    const { sort, descending, entriesMax } = request;
    const until = sort === "pushed" && !descending ? request.until : null;
    const found = await this.#metadata.inventory.repositories({
      ...request,
      until,
      entriesMax: entriesMax + 1,
    });
    const entries = found.slice(0, entriesMax);
    const last = entries.at(-1);
    if (last === undefined || found.length === entries.length) return { entries, next: null };
    return { entries, next: positionOf(last, sort) };
  }

  /** @throws RegistryError NAME_UNKNOWN */
  async repository(name: RepositoryName): Promise<RepositorySummary> {
    const found = await this.#metadata.inventory.repository(name);
    if (found === null) throw new RegistryError("NAME_UNKNOWN", { detail: { name } });
    return found;
  }

  async has(name: RepositoryName): Promise<boolean> {
    return (await this.#metadata.inventory.repository(name)) !== null;
  }

  /** Makes an empty repository. @throws RegistryError CONFLICT when there is one */
  async createRepository(name: RepositoryName): Promise<RepositorySummary> {
    if (!(await this.#metadata.inventory.createRepository(name))) {
      throw new RegistryError("CONFLICT", {
        message: `repository "${name}" exists already`,
        detail: { name },
      });
    }
    return await this.repository(name);
  }

  /** Blobs that only this repository has: what deleting it frees. Many short reads, until `signal` ends them. */
  async exclusive(repository: RepositoryName, signal: AbortSignal): Promise<Exclusive> {
    return await this.#sumExclusive(repository, "repository", signal);
  }

  /** Repositories at or below the namespace, and the blobs that only they have. */
  async namespaceExclusive(
    namespace: RepositoryName,
    signal: AbortSignal,
  ): Promise<Exclusive & { readonly repositories: number }> {
    let [repositories, blobs, bytes] = [0, 0, 0];
    for await (const repository of listNamespace(this.#metadata, namespace)) {
      const found = await this.#sumExclusive(repository, { namespace }, signal);
      if (signal.aborted) break;
      await breathe();
      repositories += 1;
      blobs += found.blobs;
      bytes += found.bytes;
    }
    return { repositories, blobs, bytes };
  }

  async #sumExclusive(
    repository: RepositoryName,
    scope: ExclusiveQuery["scope"],
    signal: AbortSignal,
  ): Promise<Exclusive> {
    let [blobs, bytes] = [0, 0];
    for (let after = ""; ;) {
      const query = { scope, after, entriesMax: LINKS_READ_PAGE };
      const page = await this.#metadata.inventory.exclusive(repository, query);
      blobs += page.blobs;
      bytes += page.bytes;
      // Nobody reads the answer of a request that was given up.
      if (page.next === null || signal.aborted) return { blobs, bytes };
      after = page.next;
      await breathe();
    }
  }

  /** Names of the level below `parent` (null: the first), by name, with what is at or below each. */
  async namespaces(request: {
    readonly parent: RepositoryName | null;
    readonly after: string;
    readonly entriesMax: number;
  }): Promise<Listing<NamespaceSummary>> {
    const prefix = request.parent === null ? "" : `${request.parent}/`;
    const sums = new Map<string, NamespaceSummary>();
    // "a-b" sorts between "a" and "a/b", so the names of a level do not lie together: all are read.
    for await (const { name, blobBytes } of this.#below(prefix)) {
      const end = name.indexOf("/", prefix.length);
      const level = parseRepositoryName(end === -1 ? name : name.slice(0, end));
      if (level === null || level <= request.after) continue;
      const sum = sums.get(level) ?? { name: level, repositories: 0, blobBytes: 0 };
      sums.set(level, {
        name: level,
        repositories: sum.repositories + 1,
        blobBytes: sum.blobBytes + blobBytes,
      });
    }
    const sorted = [...sums.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    const entries = sorted.slice(0, request.entriesMax);
    const last = entries.at(-1);
    const isMore = sorted.length > entries.length;
    return { entries, next: isMore && last !== undefined ? { value: 0, name: last.name } : null };
  }

  async *#below(prefix: string): AsyncGenerator<RepositorySummary, void, void> {
    const query = { prefix, search: "", sort: "name", descending: false, until: null } as const;
    for (let after: Position | null = null; ;) {
      const page: readonly RepositorySummary[] = await this.#metadata.inventory.repositories({
        ...query,
        after,
        entriesMax: REPOSITORIES_READ_PAGE,
      });
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < REPOSITORIES_READ_PAGE) return;
      after = { value: 0, name: last.name };
      await breathe();
    }
  }

  /** One page of a repository's tags. @throws RegistryError NAME_UNKNOWN, REQUEST_INVALID */
  async tags(repository: RepositoryName, request: TagListingRequest): Promise<Listing<TagSummary>> {
    return await listTagSummaries(this.#metadata, repository, request);
  }

  /** A tag, and the tags that point at the same manifest. @throws RegistryError MANIFEST_UNKNOWN */
  async tag(
    repository: RepositoryName,
    tag: Tag,
  ): Promise<TagSummary & { readonly sameDigest: readonly Tag[] }> {
    const found = await this.#metadata.inventory.tag(repository, tag);
    if (found === null) throw unknownManifest({ kind: "tag", tag });
    const tags = await this.#metadata.inventory.tagsOf(repository, found.digest, NAMES_SHOWN_MAX);
    return { ...found, sameDigest: tags.filter((name) => name !== tag) };
  }

  /** @throws RegistryError MANIFEST_UNKNOWN */
  async manifest(repository: RepositoryName, digest: Digest): Promise<ManifestSummary> {
    const found = await this.#metadata.inventory.manifest(repository, digest, NAMES_SHOWN_MAX);
    if (found === null) throw unknownManifest({ kind: "digest", digest });
    return found;
  }

  /** A blob, and one page of who has it. @throws RegistryError BLOB_UNKNOWN */
  async blob(
    digest: Digest,
    page: { readonly after: number; readonly entriesMax: number },
  ): Promise<{
    readonly blob: BlobSummary;
    readonly links: readonly BlobLink[];
    readonly next: number | null;
  }> {
    const blob = await this.#metadata.inventory.blob(digest);
    if (blob === null) throw new RegistryError("BLOB_UNKNOWN", { detail: { digest } });
    const found = await this.#metadata.inventory.blobLinks(digest, {
      after: page.after,
      entriesMax: page.entriesMax + 1,
      holdersMax: HOLDERS_SHOWN_MAX,
    });
    const links = found.slice(0, page.entriesMax);
    return { blob, links, next: found.length > links.length ? (links.at(-1)?.id ?? null) : null };
  }
}
