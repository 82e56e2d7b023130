import type { Digest } from "@stowage/oci/digest";
import { parseRepositoryName, type RepositoryName } from "@stowage/oci/repository-name";
import { parseTag, type Tag } from "@stowage/oci/tag";
import { randomUploadId, type UploadId } from "@stowage/oci/upload-id";
import type { StorageKey } from "../blobstore/blob-store.ts";
import { digestOf } from "../registry/running-digest.ts";
import type { BlobRecord, DeleteManifestOptions, Durations, Metadata, NewManifest } from "./metadata.ts";

/** A store to test, with a clock that the test turns. */
export interface MetadataUnderTest extends AsyncDisposable {
  readonly metadata: Metadata;
  /** Moves the store's clock on. */
  advanceClock(ms: number): void;
}

/** Durations that the tests count with. */
export const TEST_DURATIONS: Durations = {
  leaseMs: 1_000,
  uploadAgeMsMax: 10_000,
  finishedUploadMs: 500,
  intentMs: 2_000,
  tombstoneGraceMs: 100,
  undoMs: 300,
};

export const A = requireName("team/a");
export const B = requireName("team/b");
export const EVERYTHING = { entriesMax: 1_000, after: "" };
export const ALL_REFERRERS = { artifactType: null, after: "", entriesMax: 100 };

export const DELETE: DeleteManifestOptions = {
  evenIfListed: false,
  withParts: false,
  isImmutable: () => false,
  by: { name: "somebody", reason: "request" },
};

export async function dueKeys(metadata: Metadata): Promise<readonly StorageKey[]> {
  return (await metadata.garbage.due(10)).map(({ key }) => key);
}

export function digest(text: string): Digest {
  return digestOf(new TextEncoder().encode(text), "sha256");
}

export function uploadKey(id: UploadId): StorageKey {
  return `uploads/${id}` as StorageKey;
}

export function blobOf(text: string, id: UploadId): BlobRecord {
  return { digest: digest(text), size: text.length, storageKey: `blobs/${digest(text)}.${id}` as StorageKey };
}

export function ref(blob: BlobRecord) {
  return { digest: blob.digest, size: blob.size, required: true };
}

export async function startUpload(metadata: Metadata, repository: RepositoryName = A): Promise<UploadId> {
  const id = randomUploadId();
  await metadata.uploads.start({ id, repository, principal: null, algorithm: "sha256" });
  return id;
}

export async function putBlob(
  metadata: Metadata,
  repository: RepositoryName,
  text: string,
): Promise<BlobRecord> {
  const id = await startUpload(metadata, repository);
  const blob = blobOf(text, id);
  await metadata.uploads.prepareFinish(id, blob, uploadKey(id));
  await metadata.uploads.finish(id, blob);
  return blob;
}

export interface ManifestParts extends Partial<Omit<NewManifest, "tags">> {
  readonly tags?: readonly Tag[];
}

export function manifestOf(text: string, { tags = [], ...parts }: ManifestParts): NewManifest {
  return {
    repository: A,
    digest: digest(text),
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    bytes: new TextEncoder().encode(text),
    artifactType: null,
    annotations: null,
    platform: null,
    subject: null,
    contentSize: 0,
    blobs: [],
    children: [],
    tags: tags.map((tag) => ({ tag, immutable: false })),
    pushedBy: null,
    ...parts,
  };
}

export function requireName(text: string): RepositoryName {
  const name = parseRepositoryName(text);
  if (name === null) throw new Error(`"${text}" is no repository name`);
  return name;
}

export function requireTag(text: string): Tag {
  const tag = parseTag(text);
  if (tag === null) throw new Error(`"${text}" is no tag`);
  return tag;
}

export function entryOf<T>(list: readonly T[], at: number): T {
  const found = list[at];
  if (found === undefined) throw new Error(`no entry ${at}`);
  return found;
}
