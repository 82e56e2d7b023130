import { RegistryError } from "@stowage/oci/errors";
import type { RepositoryName } from "@stowage/oci/repository-name";
import { parse, type SemVer } from "semver";
import type { Metadata, Position, TagSummary } from "../metadata/metadata.ts";
import { breathe } from "./breathe.ts";
import { compileTagGlobs } from "./tag-glob.ts";

export type { TagSummary };

/** Most tags that are read for a listing that needs them all. */
const TAGS_READ_MAX = 20_000;

/** Tags of one read. */
const TAGS_READ_PAGE = 500;

export interface TagListingRequest {
  readonly sort: "name" | "pushed" | "pulled" | "size" | "semver";
  readonly descending: boolean;
  /** Globs of which one has to match; empty: all tags. */
  readonly filter: readonly string[];
  /** Globs of which none may match. */
  readonly exclude: readonly string[];
  /** What the page before answered, or null. */
  readonly after: Position | null;
  /** Time of the first page. */
  readonly until: number;
  readonly entriesMax: number;
}

export interface Listing<T> {
  readonly entries: readonly T[];
  /** Where the next page goes on, or null. */
  readonly next: Position | null;
}

/**
 * One page of a repository's tags. By name and by time of push it is read in that order; filters and the other orders
 * need all tags.
 * @throws RegistryError NAME_UNKNOWN; REQUEST_INVALID when there are more tags than are read for that
 */
export async function listTagSummaries(
  metadata: Metadata,
  repository: RepositoryName,
  request: TagListingRequest,
): Promise<Listing<TagSummary>> {
  const { sort, descending, filter, exclude, after, entriesMax } = request;
  const until = sort === "pushed" && !descending ? request.until : null;
  const isOrdered = sort === "name" || sort === "pushed";
  if (isOrdered && filter.length === 0 && exclude.length === 0) {
    const query = { sort, descending, after, until, entriesMax: entriesMax + 1 };
    const found = await metadata.inventory.tags(repository, query);
    if (found === null) throw unknownName(repository);
    return pageOf(found, sort, entriesMax);
  }
  const byKey = orderOf(descending);
  const keys = await readKeys(metadata, repository, request);
  const sorted = keys.filter(({ value }) => until === null || value <= until).sort(byKey);
  const last = after === null ? null : keyOf(after, sort, null);
  const rest = last === null ? sorted : sorted.filter((key) => byKey(key, last) > 0);
  return pageOf(
    rest.slice(0, entriesMax + 1).flatMap(({ tag }) => (tag === null ? [] : [tag])),
    sort,
    entriesMax,
  );
}

function pageOf(
  found: readonly TagSummary[],
  sort: TagListingRequest["sort"],
  entriesMax: number,
): Listing<TagSummary> {
  const entries = found.slice(0, entriesMax);
  const last = entries.at(-1);
  if (last === undefined || found.length === entries.length) return { entries, next: null };
  return { entries, next: { value: sortValueOf(last, sort), name: last.name } };
}

/** The wanted ones of all tags, with what they are sorted by. */
async function readKeys(
  metadata: Metadata,
  repository: RepositoryName,
  { sort, filter, exclude }: TagListingRequest,
): Promise<readonly SortKey[]> {
  const isWanted = filter.length === 0 ? () => true : compileTagGlobs(filter);
  const isExcluded = compileTagGlobs(exclude);
  const counted = await metadata.inventory.repository(repository);
  if (counted !== null && counted.tags > TAGS_READ_MAX) throw tooManyTags(repository);
  const query = { sort: "name", descending: false, until: null, entriesMax: TAGS_READ_PAGE } as const;
  const keys: SortKey[] = [];
  let after: Position | null = null;
  // One page more than there may be: tags can come while it reads.
  for (let read = 0; read <= TAGS_READ_MAX; read += TAGS_READ_PAGE) {
    const page: readonly TagSummary[] | null = await metadata.inventory.tags(repository, { ...query, after });
    if (page === null) throw unknownName(repository);
    for (const tag of page) {
      const { name } = tag;
      if (!isWanted(name) || isExcluded(name)) continue;
      keys.push(keyOf({ name, value: sortValueOf(tag, sort) }, sort, tag));
    }
    const last = page.at(-1);
    if (last === undefined || page.length < TAGS_READ_PAGE) return keys;
    after = { value: 0, name: last.name };
    await breathe();
  }
  throw tooManyTags(repository);
}

function tooManyTags(repository: RepositoryName): RegistryError {
  return new RegistryError("REQUEST_INVALID", {
    message: `"${repository}" has more than ${TAGS_READ_MAX} tags: they can be listed by name or time of push, without filter`,
  });
}

interface SortKey {
  readonly name: string;
  readonly value: number;
  readonly version: SemVer | null;
  readonly tag: TagSummary | null;
}

function keyOf({ name, value }: Position, sort: TagListingRequest["sort"], tag: TagSummary | null): SortKey {
  const version = sort === "semver" ? parse(name, { loose: true }) : null;
  return { name, value, version, tag };
}

function sortValueOf(tag: TagSummary, sort: TagListingRequest["sort"]): number {
  switch (sort) {
    case "pushed":
      return tag.pushedAt;
    case "pulled":
      return tag.pulledAt ?? 0;
    case "size":
      return tag.size;
    case "name":
    case "semver":
      return 0;
    default:
      return sort satisfies never;
  }
}

/** Versions come before tags that are none, in both directions; the name decides between equals. */
function orderOf(descending: boolean): (a: SortKey, b: SortKey) => number {
  const sign = descending ? -1 : 1;
  return (a, b) => {
    if ((a.version === null) !== (b.version === null)) return a.version === null ? 1 : -1;
    const versions = a.version === null || b.version === null ? 0 : a.version.compare(b.version);
    const values = versions === 0 ? a.value - b.value : versions;
    return sign * (values === 0 ? compareNames(a.name, b.name) : values);
  };
}

function compareNames(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function unknownName(repository: RepositoryName): RegistryError {
  return new RegistryError("NAME_UNKNOWN", { detail: { name: repository } });
}
