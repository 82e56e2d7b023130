import type { PageRequest } from "@stowage/oci/pagination";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Tag } from "@stowage/oci/tag";
import type { BlobStore } from "../blobstore/blob-store.ts";
import type { Metadata } from "../metadata/metadata.ts";
import { Audit, type AuditLog } from "./audit.ts";
import { Blobs } from "./blobs.ts";
import { Collector, type CollectorRules } from "./collect-garbage.ts";
import { Deletions } from "./deletions.ts";
import { keepEmptyLayer } from "./empty-layer.ts";
import { type ArchiveOfImage, type ExportImage, exportImage } from "./export-archive.ts";
import { type ImportImage, importImage } from "./import-archive.ts";
import { ImportMemory } from "./import-memory.ts";
import { Inventory } from "./inventory.ts";
import { ManifestForms } from "./manifest-forms.ts";
import { type ManifestRules, Manifests, type StoredManifest, type TagPolicy } from "./manifests.ts";
import type { Page } from "./page.ts";
import { Pulls } from "./pulls.ts";
import { listReferrers, type ReferrerDescriptor, type ReferrersRequest } from "./referrers.ts";
import { listRepositories } from "./repositories.ts";
import { Quotas } from "./quotas.ts";
import { Retention } from "./retention.ts";
import { Scrubber, type ScrubRules } from "./scrub.ts";
import { listTags, setTag, type SetTagRequest } from "./tags.ts";
import { Uploads } from "./uploads.ts";

/** The registry's rules, by noun, over its two stores. Knows no HTTP, no SQL and no files. */
export interface Registry {
  readonly blobs: Blobs;
  readonly uploads: Uploads;
  readonly manifests: Manifests;
  readonly manifestForms: ManifestForms;
  readonly collector: Collector;
  readonly scrubber: Scrubber;
  readonly retention: Retention;
  readonly pulls: Pulls;
  readonly deletions: Deletions;
  readonly inventory: Inventory;
  readonly audit: Audit;
  readonly quotas: Quotas;
  /** @throws RegistryError, see {@link importImage} */
  importImage(request: ImportImage): Promise<StoredManifest>;
  /** @throws RegistryError, see {@link exportImage} */
  exportImage(request: ExportImage): Promise<ArchiveOfImage>;
  listTags(repository: RepositoryName, page: PageRequest): Promise<Page<Tag>>;
  /** @throws RegistryError MANIFEST_UNKNOWN, TAG_IMMUTABLE */
  setTag(request: SetTagRequest): Promise<void>;
  listRepositories(page: PageRequest): Promise<Page<RepositoryName>>;
  listReferrers(request: ReferrersRequest): Promise<Page<ReferrerDescriptor>>;
  /** Resolves when the stores can do their work; throws otherwise. */
  ping(): Promise<void>;
}

export interface RegistryOptions {
  readonly metadata: Metadata;
  readonly store: BlobStore;
  readonly rules: RegistryRules;
  readonly log: AuditLog;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number;
}

export interface RegistryRules {
  readonly manifests: ManifestRules;
  readonly collector: CollectorRules;
  readonly scrub: ScrubRules;
}

export function createRegistry(options: RegistryOptions): Registry {
  const { metadata, store, rules, log, now, monotonic } = options;
  const collector = new Collector({ metadata, store, rules: rules.collector, monotonic });
  const pulls = new Pulls(metadata, now);
  const retention = new Retention({ metadata, collector, pulls, monotonic });
  const policy = async () => (await retention.policies()) ?? NO_POLICY;
  const mode = rules.manifests.schema1;
  const blobs = new Blobs(metadata, store, {
    monotonic,
    sleep: Bun.sleep,
    showsEmptyLayer: mode !== "off",
  });
  const uploads = new Uploads(metadata, store, now);
  const memory = new ImportMemory();
  const manifests = new Manifests({
    metadata,
    store,
    rules: rules.manifests,
    policy,
    keepEmptyLayer: (caller, repository) => keepEmptyLayer({ metadata, uploads }, caller, repository),
  });
  return {
    blobs,
    uploads,
    manifests,
    manifestForms: new ManifestForms({ metadata, store, mode, now }),
    collector,
    retention,
    pulls,
    scrubber: new Scrubber({ metadata, store, rules: rules.scrub, monotonic, sleep: Bun.sleep }),
    deletions: new Deletions(metadata),
    inventory: new Inventory(metadata),
    audit: new Audit({ metadata, log, now }),
    quotas: new Quotas(metadata),
    exportImage: (request) => exportImage({ blobs, manifests }, request),
    importImage: (request) => importImage({ uploads, blobs, manifests, memory }, request),
    setTag: (request) => setTag({ metadata, policy }, request),
    listTags: (repository, page) => listTags(metadata, repository, page),
    listRepositories: (page) => listRepositories(metadata, page),
    listReferrers: (request) => listReferrers(metadata, request),
    ping: () => metadata.ping(),
  };
}

/** Until somebody sets policies, every tag may move. */
const NO_POLICY: TagPolicy = { isImmutable: () => false };
