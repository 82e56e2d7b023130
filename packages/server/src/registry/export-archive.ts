import {
  archiveBytesOf,
  blobFile,
  dockerFile,
  type ExportedFile,
  indexFile,
  LAYOUT_FILE,
  loadableImage,
  writeArchive,
} from "@stowage/client/archive/export-archive";
import type { RawManifest } from "@stowage/client/content";
import { entriesForPlatform, formatPlatform } from "@stowage/client/platform";
import type { Descriptor, Platform } from "@stowage/oci/descriptor";
import type { Digest } from "@stowage/oci/digest";
import { type ErrorCode, RegistryError } from "@stowage/oci/errors";
import { parseManifest } from "@stowage/oci/manifest";
import type { Reference } from "@stowage/oci/reference";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { StoredObject } from "../blobstore/blob-store.ts";
import type { Blobs } from "./blobs.ts";
import type { ManifestRecord, Manifests } from "./manifests.ts";
import { digestOf } from "./running-digest.ts";

/** Most files of one archive. */
const FILES_MAX = 16_384;

/** Bytes of its manifests, which are read to know what is below them: an import takes no more either. */
const MANIFEST_BYTES_SUM_MAX = 32 * 1024 ** 2;

export interface ExportImage {
  readonly repository: RepositoryName;
  readonly reference: Reference;
  /** The image of an index that is wanted; null: the index with all of them. */
  readonly platform: Platform | null;
  /** What the archive calls the image; null: nothing. */
  readonly name: string | null;
}

/** An archive that is ready to be sent. Nothing of it is read before its bytes are asked for. */
export interface ArchiveOfImage {
  /** Of the image that is in it. */
  readonly digest: Digest;
  /** Another one says other bytes. */
  readonly tag: Digest;
  /** How many bytes it has. */
  readonly size: number;
  bytes(): AsyncGenerator<Uint8Array, void, void>;
}

export interface ExportRules {
  readonly blobs: Blobs;
  readonly manifests: Manifests;
}

/**
 * An image as an archive that is an OCI layout and a docker-archive at once. What the repository lacks of a sparse image is
 * left out.
 * @throws RegistryError MANIFEST_UNKNOWN, SIZE_INVALID, UNSUPPORTED
 */
export async function exportImage(rules: ExportRules, request: ExportImage): Promise<ArchiveOfImage> {
  const { repository } = request;
  const { digest, tag, files, objects } = await plan(rules, request);
  const open = (digest: Digest) => {
    const object = objects.get(digest);
    return object === undefined ? manifestPieces(rules, repository, digest) : piecesOf(object);
  };
  return { digest, tag, size: archiveBytesOf(files), bytes: () => writeArchive(files, open) };
}

/** All that is kept while an archive is sent, for as long as the client takes: no bytes of manifests. */
interface Plan extends Pick<ArchiveOfImage, "digest" | "tag"> {
  readonly files: readonly ExportedFile[];
  readonly objects: ReadonlyMap<Digest, StoredObject>;
}

async function plan(rules: ExportRules, request: ExportImage): Promise<Plan> {
  const { repository, reference, platform, name } = request;
  const asked = await rules.manifests.require(repository, reference, { forPush: false });
  const root = platform === null ? asked : await imageFor(rules, { repository, index: asked, platform });
  const content = new Content(rules, repository);
  await content.add(root);
  const names = name === null ? [] : [name];
  const image = loadableImage(
    toRaw(root),
    (digest) => content.manifests.get(digest) ?? null,
    (digest) => content.objects.has(digest),
  );
  const index = indexFile([{ manifest: toRaw(root), names }]);
  const described = image === null ? [index] : [index, dockerFile([{ image, names }])];
  const blobs = [...content.objects].map(([digest, { size }]) => blobFile({ digest, size }));
  const manifests = [...content.manifests.values()].map(({ digest, bytes }) =>
    blobFile({ digest, size: bytes.byteLength }),
  );
  return {
    digest: root.digest,
    tag: digestOf(Buffer.concat(described.map(({ content }) => content)), "sha256"),
    files: [LAYOUT_FILE, ...described, ...manifests, ...blobs],
    objects: content.objects,
  };
}

async function imageFor(
  { manifests }: ExportRules,
  { repository, index, platform }: { repository: RepositoryName; index: ManifestRecord; platform: Platform },
): Promise<ManifestRecord> {
  const parsed = parseManifest(index.bytes, index.mediaType);
  if (!parsed.ok || parsed.manifest.kind !== "index") return index;
  const [entry] = entriesForPlatform(parsed.manifest.manifests, platform);
  if (entry === undefined) {
    const offered = parsed.manifest.manifests.flatMap((child) =>
      child.platform === null || child.platform.os === "unknown" ? [] : [formatPlatform(child.platform)],
    );
    throw new RegistryError("MANIFEST_UNKNOWN", {
      message: `the index has no image for ${formatPlatform(platform)}; it has ${offered.join(", ")}`,
    });
  }
  return await manifests.require(repository, { kind: "digest", digest: entry.digest }, { forPush: false });
}

/** Everything below a manifest, in an order that depends on nothing but it. */
class Content {
  readonly manifests = new Map<Digest, RawManifest>();
  readonly objects = new Map<Digest, StoredObject>();
  readonly #rules: ExportRules;
  readonly #repository: RepositoryName;
  #manifestBytes = 0;

  constructor(rules: ExportRules, repository: RepositoryName) {
    this.#rules = rules;
    this.#repository = repository;
  }

  async add(record: ManifestRecord): Promise<void> {
    const { digest, mediaType, bytes } = record;
    if (this.manifests.has(digest)) return;
    this.manifests.set(digest, toRaw(record));
    this.#manifestBytes += bytes.byteLength;
    if (this.#manifestBytes > MANIFEST_BYTES_SUM_MAX) {
      throw new RegistryError("SIZE_INVALID", {
        message: `the manifests of the image have more than ${MANIFEST_BYTES_SUM_MAX} bytes together`,
      });
    }
    if (this.manifests.size + this.objects.size > FILES_MAX) {
      throw new RegistryError("SIZE_INVALID", { message: `the image has more than ${FILES_MAX} parts` });
    }
    const parsed = parseManifest(bytes, mediaType);
    if (!parsed.ok) throw new Error(`stored manifest ${digest} is invalid: ${parsed.problem}`);
    const { manifest } = parsed;
    if (manifest.kind === "schema1") {
      throw new RegistryError("UNSUPPORTED", {
        message: `${digest} is of schema 1, which archives do not hold`,
      });
    }
    const entries = manifest.kind === "index" ? manifest.manifests : [manifest.config, ...manifest.layers];
    for (const entry of entries) await this.#addEntry(entry, manifest.kind === "index");
  }

  /** Entries of an index are manifests, or blobs: BuildKit's cache points at layers. */
  async #addEntry({ digest }: Descriptor, isInIndex: boolean): Promise<void> {
    if (this.objects.has(digest)) return;
    const { manifests, blobs } = this.#rules;
    const reference = { kind: "digest", digest } as const;
    const child = isInIndex
      ? await unless("MANIFEST_UNKNOWN", manifests.require(this.#repository, reference, { forPush: false }))
      : null;
    if (child !== null) {
      await this.add(child);
      return;
    }
    const object = await unless("BLOB_UNKNOWN", blobs.open(this.#repository, digest));
    if (object !== null) this.objects.set(digest, object);
  }
}

async function* manifestPieces(
  { manifests }: ExportRules,
  repository: RepositoryName,
  digest: Digest,
): AsyncGenerator<Uint8Array, void, void> {
  const { bytes } = await manifests.require(repository, { kind: "digest", digest }, { forPush: false });
  yield new Uint8Array(bytes);
}

async function unless<T>(code: ErrorCode, found: Promise<T>): Promise<T | null> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof RegistryError && error.code === code) return null;
    throw error;
  }
}

/** A stream that nobody reads on is closed with it. */
async function* piecesOf(object: StoredObject): AsyncGenerator<Uint8Array, void, void> {
  const { body } = new Response(object.body());
  if (body !== null) yield* body;
}

function toRaw({ digest, mediaType, bytes }: ManifestRecord): RawManifest {
  return { digest, mediaType, bytes: new Uint8Array(bytes) };
}
