import type { Digest } from "@stowage/oci/digest";
import { RegistryError } from "@stowage/oci/errors";
import type { PageRequest } from "@stowage/oci/pagination";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Tag } from "@stowage/oci/tag";
import type { Identity } from "../auth/caller.ts";
import type { Metadata } from "../metadata/metadata.ts";
import { immutableTag, type TagPolicy, unknownManifest } from "./manifests.ts";
import { listPage, type Page } from "./page.ts";

/** Tags of a repository in byte order. @throws RegistryError NAME_UNKNOWN */
export async function listTags(
  metadata: Metadata,
  repository: RepositoryName,
  page: PageRequest,
): Promise<Page<Tag>> {
  return await listPage(page, async (wanted) => {
    const tags = await metadata.manifests.listTags(repository, wanted);
    if (tags === null) throw new RegistryError("NAME_UNKNOWN", { detail: { name: repository } });
    return tags;
  });
}

export interface SetTagRequest {
  readonly caller: Identity;
  readonly repository: RepositoryName;
  readonly tag: Tag;
  readonly digest: Digest;
}

export interface SetTagOptions {
  readonly metadata: Metadata;
  /** The policy in force. */
  readonly policy: () => Promise<TagPolicy>;
}

/**
 * Points a tag at a manifest that the repository has, without its bytes being sent again.
 * @throws RegistryError MANIFEST_UNKNOWN, TAG_IMMUTABLE
 */
export async function setTag(
  { metadata, policy }: SetTagOptions,
  { caller, repository, tag, digest }: SetTagRequest,
): Promise<void> {
  const immutable = (await policy()).isImmutable(repository, tag);
  const wanted = { tag, digest, immutable, pushedBy: caller.name };
  const result = await metadata.manifests.setTag(repository, wanted);
  if (result.kind === "unknown") throw unknownManifest({ kind: "digest", digest });
  if (result.kind === "immutable") throw immutableTag(tag);
}
