import type { PageRequest } from "@stowage/oci/pagination";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Metadata } from "../metadata/metadata.ts";
import { listPage, type Page } from "./page.ts";

/** Repositories that have something to pull, in byte order. */
export async function listRepositories(metadata: Metadata, page: PageRequest): Promise<Page<RepositoryName>> {
  return await listPage(page, (wanted) => metadata.manifests.listRepositories(wanted));
}
