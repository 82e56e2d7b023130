import { jsonOf, readText } from "@stowage/client/answers";
import { ClientError } from "@stowage/client/client-error";
import type { IoOptions } from "@stowage/client/content";
import { partsOf } from "@stowage/client/image-manifests";
import type { RegistryClient } from "@stowage/client/registry-client";
import type { Repository } from "@stowage/client/repository";
import { isObject, type JsonObject } from "@stowage/oci/descriptor";
import { inOrder } from "./in-order.ts";

/** What tags can be sorted by. */
export const TAG_SORTS = ["name", "semver", "pushed", "size"] as const;
export type TagSort = (typeof TAG_SORTS)[number];

/** What is known of a tag. */
export interface TagDetails {
  readonly name: string;
  readonly digest: string;
  readonly mediaType: string;
  /** Bytes of manifest and content, of an index with what it lists; null: not known. */
  readonly size: number | null;
  /** `linux/amd64`; null for an index, or where it is not known. */
  readonly platform: string | null;
  /** RFC 3339; null: the registry does not say. */
  readonly pushedAt: string | null;
  readonly pushedBy: string | null;
  readonly pulledAt: string | null;
}

/** Tags of an answer of the management API, and tags that are kept. */
const PAGE = 1_000;
const TAGS_MAX = 1_000_000;
const PAGES_MAX = 10_000;

/** Longest answer of the management API, in bytes. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

/** Manifests that are asked for at once, where the registry does not say it all in one answer. */
const JOBS = 8;

/** Tags with times and sizes from the management API of Stowage; null: the registry has none, or none for us. */
export async function tagsOfStowage(
  client: RegistryClient,
  repository: Repository,
  { signal }: IoOptions,
): Promise<readonly TagDetails[] | null> {
  const tags: TagDetails[] = [];
  let next: string | null = "";
  for (let page = 0; next !== null && tags.length < TAGS_MAX && page < PAGES_MAX; page++) {
    const more: string = next === "" ? "" : `&next=${encodeURIComponent(next)}`;
    const target = `/api/v1/repositories/${repository.name}/-/tags?n=${PAGE}${more}`;
    const answer = await readApi(client, repository, { target, signal });
    if (answer === null || !Array.isArray(answer.tags)) return null;
    for (const tag of answer.tags.filter(isObject)) tags.push(toDetails(tag));
    next = typeof answer.next === "string" ? answer.next : null;
  }
  return tags;
}

/** An answer of the management API; null: there is none. */
export async function readApi(
  client: RegistryClient,
  repository: Repository,
  { target, signal }: IoOptions & { readonly target: string },
): Promise<JsonObject | null> {
  const operation = `list ${repository.label}`;
  try {
    const response = await client.connection(repository.registry).send({
      method: "GET",
      target,
      scopes: [{ type: "repository", name: repository.name, actions: ["pull"] }],
      operation,
      signal,
    });
    if (response.headers.get("Content-Type")?.startsWith("application/json") !== true) {
      await response.body?.cancel();
      return null;
    }
    const value = jsonOf(await readText(response, { bytesMax: ANSWER_BYTES_MAX, operation }));
    return isObject(value) ? value : null;
  } catch (error) {
    // Whoever has no such pages says no in many ways; what matters shows up when /v2/ is asked.
    if (error instanceof ClientError && error.status !== null) return null;
    throw error;
  }
}

function toDetails(members: JsonObject): TagDetails {
  const text = (member: string) => {
    const value = members[member];
    return typeof value === "string" ? value : null;
  };
  return {
    name: text("name") ?? "",
    digest: text("digest") ?? "",
    mediaType: text("mediaType") ?? "",
    size: typeof members.size === "number" ? members.size : null,
    platform: text("platform"),
    pushedAt: text("pushedAt"),
    pushedBy: text("pushedBy"),
    pulledAt: text("pulledAt"),
  };
}

/** The same as far as manifests tell, one of each of `names`. A tag that is gone meanwhile is left out. */
export async function* tagsOfManifests(
  repository: Repository,
  names: AsyncIterable<string> | Iterable<string>,
  { signal }: IoOptions,
): AsyncGenerator<TagDetails, void, void> {
  const work = async (name: string): Promise<TagDetails | null> => {
    const manifest = await repository.getManifest(name, { signal });
    if (manifest === null) return null;
    const { config, layers, manifests } = partsOf(manifest);
    const content = [...(config === null ? [] : [config]), ...layers, ...manifests];
    const size = content.reduce((sum, blob) => sum + blob.size, manifest.bytes.byteLength);
    const { digest, mediaType } = manifest;
    return { name, digest, mediaType, size, platform: null, pushedAt: null, pushedBy: null, pulledAt: null };
  };
  for await (const details of inOrder(names, { jobs: JOBS, work })) if (details !== null) yield details;
}

/** Tags that name `digest`, in the order of the registry. */
export async function tagsOfDigest(
  client: RegistryClient,
  { repository, digest, signal }: IoOptions & { readonly repository: Repository; readonly digest: string },
): Promise<readonly string[]> {
  const known = await readApi(client, repository, {
    target: `/api/v1/repositories/${repository.name}/-/manifests/${digest}`,
    signal,
  });
  // Lists of that answer have an end.
  if (known !== null && Array.isArray(known.tags) && known.tags.length < PAGE)
    return known.tags.filter((tag): tag is string => typeof tag === "string");
  const work = async (tag: string) =>
    (await repository.headManifest(tag, { signal }))?.digest === digest ? tag : null;
  const tags: string[] = [];
  for await (const tag of inOrder(repository.tags({ signal }), { jobs: JOBS, work }))
    if (tag !== null) tags.push(tag);
  return tags;
}
