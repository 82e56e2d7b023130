import { type Platform, readPlatform } from "@stowage/oci/descriptor";
import { algorithmOf, type Digest } from "@stowage/oci/digest";
import { RegistryError } from "@stowage/oci/errors";
import { digestedBytes, type Manifest, parseManifest } from "@stowage/oci/manifest";
import { configHasPlatform } from "@stowage/oci/media-type";
import type { Reference } from "@stowage/oci/reference";
import type { RepositoryName } from "@stowage/oci/repository-name";
import { parseStrictJson } from "@stowage/oci/strict-json";
import type { Tag } from "@stowage/oci/tag";
import type { Identity } from "../auth/caller.ts";
import type { BlobStore } from "../blobstore/blob-store.ts";
import type { DeletePreview, ManifestRecord, Metadata, PutManifestResult } from "../metadata/metadata.ts";
import { EMPTY_LAYER } from "./empty-layer.ts";
import { contentOf } from "./manifest-content.ts";
import type { Schema1Mode } from "./manifest-form.ts";
import { digestOf } from "./running-digest.ts";
import { requireAcceptable } from "./schema1.ts";

export type { ManifestRecord };

/** Largest config blob that is read for its platform, in bytes; real ones have a few kilobytes. */
const CONFIG_BYTES_MAX = 1024 * 1024;

/** Missing content that an answer names. */
const MISSING_SHOWN_MAX = 100;

export interface ManifestRules {
  /** Accept manifests whose content is not in the registry (sparse indexes and images). */
  readonly allowSparse: boolean;
  readonly schema1: Schema1Mode;
}

/** Says which tags are set once and never moved or deleted. */
export interface TagPolicy {
  isImmutable(repository: RepositoryName, tag: Tag): boolean;
}

export interface ManifestsOptions {
  readonly metadata: Metadata;
  readonly store: BlobStore;
  readonly rules: ManifestRules;
  /** The policy in force. */
  readonly policy: () => Promise<TagPolicy>;
  /** Gives the repository the empty layer, should it not have it. */
  readonly keepEmptyLayer: (caller: Identity, repository: RepositoryName) => Promise<void>;
}

export interface PutManifest {
  readonly caller: Identity;
  readonly repository: RepositoryName;
  readonly reference: Reference;
  /** More tags to set in the same transaction. */
  readonly tags: readonly Tag[];
  /** Content-Type without parameters, or null. */
  readonly contentType: string | null;
  readonly bytes: Uint8Array;
}

export interface DeleteManifest {
  readonly caller: Identity;
  readonly repository: RepositoryName;
  readonly reference: Reference;
  /** Delete with an index what only it lists, and referrers of what is deleted. */
  readonly withParts: boolean;
}

export interface StoredManifest {
  readonly digest: Digest;
  readonly subject: Digest | null;
}

/** Manifests: what makes content an image, index or artifact. */
export class Manifests {
  readonly #metadata: Metadata;
  readonly #store: BlobStore;
  readonly #rules: ManifestRules;
  readonly #policy: () => Promise<TagPolicy>;
  readonly #keepEmptyLayer: ManifestsOptions["keepEmptyLayer"];

  constructor({ metadata, store, rules, policy, keepEmptyLayer }: ManifestsOptions) {
    this.#metadata = metadata;
    this.#store = store;
    this.#rules = rules;
    this.#policy = policy;
    this.#keepEmptyLayer = keepEmptyLayer;
  }

  /**
   * The manifest. For a pusher the answer is a lease: it stays usable for an index that is pushed next.
   * @throws RegistryError MANIFEST_UNKNOWN
   */
  async require(
    repository: RepositoryName,
    reference: Reference,
    options: { readonly forPush: boolean },
  ): Promise<ManifestRecord> {
    const { manifests } = this.#metadata;
    const found = options.forPush
      ? await manifests.findForPush(repository, reference)
      : await manifests.find(repository, reference);
    if (found === null) throw unknownManifest(reference);
    return found;
  }

  /**
   * Stores a manifest with its tags, or nothing.
   * @throws RegistryError MANIFEST_INVALID, MANIFEST_UNVERIFIED, MANIFEST_BLOB_UNKNOWN, DIGEST_INVALID, TAG_IMMUTABLE
   */
  async put(request: PutManifest): Promise<StoredManifest> {
    const { reference, bytes } = request;
    const algorithm = reference.kind === "digest" ? algorithmOf(reference.digest) : "sha256";
    const parsed = parseManifest(bytes, request.contentType);
    const digest = digestOf(parsed.ok ? digestedBytes(parsed.manifest, bytes) : bytes, algorithm);
    if (reference.kind === "digest" && reference.digest !== digest) {
      throw new RegistryError("DIGEST_INVALID", {
        message: `digest of the pushed manifest is ${digest}; wanted ${reference.digest}`,
        detail: { digest: reference.digest },
      });
    }
    if (!parsed.ok) {
      const what = parsed.code === "MANIFEST_UNVERIFIED" ? "unverified" : "invalid";
      throw new RegistryError(parsed.code, { message: `manifest ${what}: ${parsed.problem}` });
    }
    const { manifest } = parsed;
    const tags = reference.kind === "tag" ? [reference.tag, ...request.tags] : request.tags;
    const { repository, caller } = request;
    const { schema1: mode } = this.#rules;
    if (manifest.kind === "schema1") await requireAcceptable(manifest, { mode, repository, tags });
    const content = contentOf(manifest, this.#rules);
    // HEAD promised to the pusher that the empty layer is here.
    const hasEmptyLayer = content.blobs.some((blob) => blob.digest === EMPTY_LAYER);
    if (hasEmptyLayer && mode !== "off") await this.#keepEmptyLayer(caller, repository);
    const policy = await this.#policy();
    const result = await this.#metadata.manifests.put({
      repository: request.repository,
      digest,
      mediaType: manifest.mediaType,
      bytes,
      artifactType: manifest.artifactType,
      annotations: manifest.annotations,
      platform: await this.#platformOf(request.repository, manifest),
      subject: manifest.subject,
      ...content,
      tags: tags.map((tag) => ({ tag, immutable: policy.isImmutable(request.repository, tag) })),
      pushedBy: request.caller.name,
    });
    requireStored(result, request.repository);
    return { digest, subject: manifest.subject };
  }

  /** @throws RegistryError TAG_IMMUTABLE when one of the tags names another manifest for ever */
  async requireTaggable(repository: RepositoryName, digest: Digest, tags: readonly Tag[]): Promise<void> {
    const policy = await this.#policy();
    for (const tag of tags) {
      if (!policy.isImmutable(repository, tag)) continue;
      const found = await this.#metadata.manifests.find(repository, { kind: "tag", tag });
      if (found !== null && found.digest !== digest) throw immutableTag(tag);
    }
  }

  /**
   * Deletes what the reference names: a tag alone, or a manifest with all its tags. The record of it undoes that for a
   * while.
   * @throws RegistryError MANIFEST_UNKNOWN, TAG_IMMUTABLE, or MANIFEST_IN_USE while an index of the repository lists it
   */
  async delete({ caller, repository, reference, withParts }: DeleteManifest): Promise<{ deletion: number }> {
    const { manifests } = this.#metadata;
    const policy = await this.#policy();
    const by = { name: caller.name, reason: "request" } as const;
    if (reference.kind === "tag") {
      if (policy.isImmutable(repository, reference.tag)) throw immutableTag(reference.tag);
      const deletion = await manifests.deleteTag(repository, reference.tag, by);
      if (deletion === null) throw unknownManifest(reference);
      return { deletion };
    }
    const { digest } = reference;
    const result = await manifests.delete(repository, digest, {
      evenIfListed: this.#rules.allowSparse,
      withParts,
      isImmutable: (tag) => policy.isImmutable(repository, tag),
      by,
    });
    switch (result.kind) {
      case "deleted":
        return result;
      case "absent":
        throw unknownManifest(reference);
      case "immutable":
        throw immutableTag(result.tag);
      case "in-use":
        throw new RegistryError("MANIFEST_IN_USE", {
          message: `cannot delete manifest ${digest}: an index of "${repository}" lists it; delete the index first`,
          headers: { Allow: "GET, HEAD, PUT" },
        });
      default:
        return result satisfies never;
    }
  }

  /** What deleting the manifest would take along and free. @throws RegistryError MANIFEST_UNKNOWN */
  async previewDelete(
    repository: RepositoryName,
    digest: Digest,
    options: { readonly withParts: boolean },
  ): Promise<DeletePreview> {
    const preview = await this.#metadata.manifests.previewDelete(repository, digest, options);
    if (preview === null) throw unknownManifest({ kind: "digest", digest });
    return preview;
  }

  /** Platform of an image, from its config; only shown, so a config that does not say it is no error. */
  async #platformOf(repository: RepositoryName, manifest: Manifest): Promise<Platform | null> {
    if (manifest.kind === "schema1") return manifest.platform;
    if (manifest.kind !== "image" || !configHasPlatform(manifest.config.mediaType)) return null;
    const record = await this.#metadata.blobs.find(repository, manifest.config.digest);
    if (record === null || record.size > CONFIG_BYTES_MAX) return null;
    const object = await this.#store.open(record.storageKey);
    if (object === null) return null;
    const config = await new Response(object.body()).bytes();
    const json = parseStrictJson(config);
    return json.ok ? readPlatform(json.value) : null;
  }
}

function requireStored(result: PutManifestResult, repository: RepositoryName): void {
  switch (result.kind) {
    case "stored":
      return;
    case "unknown":
      throw new RegistryError("MANIFEST_BLOB_UNKNOWN", {
        message: `manifest refers to content that is not in "${repository}": ${result.missing.slice(0, 5).join(", ")}`,
        detail: { digests: result.missing.slice(0, MISSING_SHOWN_MAX) },
      });
    case "size-differs":
      throw new RegistryError("MANIFEST_INVALID", {
        message: `manifest invalid: ${result.digest} has ${result.stored} bytes, its descriptor says otherwise`,
      });
    case "immutable":
      throw immutableTag(result.tag);
    default:
      result satisfies never;
  }
}

/** An immutable tag that should be moved or deleted. */
export function immutableTag(tag: Tag): RegistryError {
  return new RegistryError("TAG_IMMUTABLE", {
    message: `tag "${tag}" is immutable: it can neither be moved nor deleted; push under another tag`,
    detail: { tag },
  });
}

export function unknownManifest(reference: Reference): RegistryError {
  const detail = reference.kind === "tag" ? { tag: reference.tag } : { digest: reference.digest };
  return new RegistryError("MANIFEST_UNKNOWN", { detail });
}
