import { RegistryError } from "@stowage/oci/errors";
import type { PageRequest } from "@stowage/oci/pagination";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Tag } from "@stowage/oci/tag";
import type { Metadata } from "../metadata/metadata.ts";
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
