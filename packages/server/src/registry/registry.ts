import type { PageRequest } from "@stowage/oci/pagination";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Tag } from "@stowage/oci/tag";
import type { BlobStore } from "../blobstore/blob-store.ts";
import type { Metadata } from "../metadata/metadata.ts";
import { Blobs } from "./blobs.ts";
import { Collector, type CollectorRules } from "./collect-garbage.ts";
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
  readonly collector: Collector;
  listTags(repository: RepositoryName, page: PageRequest): Promise<Page<Tag>>;
  listRepositories(page: PageRequest): Promise<Page<RepositoryName>>;
  listReferrers(request: ReferrersRequest): Promise<Page<ReferrerDescriptor>>;
  /** Resolves when the stores can do their work; throws otherwise. */
  ping(): Promise<void>;
}

export interface RegistryOptions {
  readonly metadata: Metadata;
  readonly store: BlobStore;
  readonly rules: RegistryRules;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number;
}

export interface RegistryRules {
  readonly manifests: ManifestRules;
  readonly collector: CollectorRules;
}

export function createRegistry(options: RegistryOptions): Registry {
  const { metadata, store, rules, now, monotonic } = options;
  return {
    blobs: new Blobs(metadata, store),
    uploads: new Uploads(metadata, store, now),
    manifests: new Manifests({ metadata, store, rules: rules.manifests, policy: async () => NO_POLICY }),
    collector: new Collector({ metadata, store, rules: rules.collector, monotonic }),
    listTags: (repository, page) => listTags(metadata, repository, page),
    listRepositories: (page) => listRepositories(metadata, page),
    listReferrers: (request) => listReferrers(metadata, request),
    ping: () => metadata.ping(),
  };
}

const NO_POLICY = { isImmutable: () => false };
