import type { PageRequest } from "@stowage/oci/pagination";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Tag } from "@stowage/oci/tag";
import type { BlobStore } from "../blobstore/blob-store.ts";
import type { Metadata } from "../metadata/metadata.ts";
import { Blobs } from "./blobs.ts";
import { type ManifestRules, Manifests } from "./manifests.ts";
import type { Page } from "./page.ts";
import { listReferrers, type ReferrerDescriptor, type ReferrersRequest } from "./referrers.ts";
import { listRepositories } from "./repositories.ts";
import { listTags } from "./tags.ts";
import { Uploads } from "./uploads.ts";

/** The registry's rules, by noun, over its two stores. Knows no HTTP, no SQL and no files. */
export interface Registry {
  readonly blobs: Blobs;
  readonly uploads: Uploads;
  readonly manifests: Manifests;
  listTags(repository: RepositoryName, page: PageRequest): Promise<Page<Tag>>;
  listRepositories(page: PageRequest): Promise<Page<RepositoryName>>;
  listReferrers(request: ReferrersRequest): Promise<Page<ReferrerDescriptor>>;
  /** Resolves when the stores can do their work; throws otherwise. */
  ping(): Promise<void>;
}

export interface RegistryOptions {
  readonly metadata: Metadata;
  readonly store: BlobStore;
  readonly rules: ManifestRules;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export function createRegistry({ metadata, store, rules, now }: RegistryOptions): Registry {
  return {
    blobs: new Blobs(metadata, store),
    uploads: new Uploads(metadata, store, now),
    manifests: new Manifests(metadata, store, rules),
    listTags: (repository, page) => listTags(metadata, repository, page),
    listRepositories: (page) => listRepositories(metadata, page),
    listReferrers: (request) => listReferrers(metadata, request),
    ping: () => metadata.ping(),
  };
}
