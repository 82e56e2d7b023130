import { type Digest, digestFromHex } from "@stowage/oci/digest";
import { RegistryError } from "@stowage/oci/errors";
import { type JsonSigner, signJson } from "@stowage/oci/json-signature";
import { type ImageManifest, type Manifest, parseManifest } from "@stowage/oci/manifest";
import { manifestKind, MEDIA_TYPE } from "@stowage/oci/media-type";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Tag } from "@stowage/oci/tag";
import type { BlobStore } from "../blobstore/blob-store.ts";
import type { ManifestRecord, Metadata } from "../metadata/metadata.ts";
import { type Accepted, chooseForm, type ManifestForm, type Schema1Mode } from "./manifest-form.ts";
import { createSchema1Signer } from "./schema1.ts";
import { type ImageToConvert, NoSchema1Form, toSchema1 } from "./to-schema1.ts";

/** Largest config that is read to convert an image, in bytes; real ones have a few kilobytes. */
const CONFIG_BYTES_MAX = 1024 * 1024;

/** Converted manifests that are remembered, and their bytes together. */
const CONVERTED_MAX = 1_000;
const CONVERTED_BYTES_MAX = 8 * 1024 * 1024;

/** The platform of clients that do not say theirs. */
const DEFAULT_OS = "linux";
const DEFAULT_ARCHITECTURE = "amd64";

/** A manifest as it is sent. */
export type ShownManifest = Pick<ManifestRecord, "digest" | "mediaType" | "bytes">;

export interface ManifestFormsOptions {
  readonly metadata: Metadata;
  readonly store: BlobStore;
  readonly mode: Schema1Mode;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Shows what a tag points at to clients of every age (content negotiation). */
export class ManifestForms {
  readonly mode: Schema1Mode;
  readonly #metadata: Metadata;
  readonly #store: BlobStore;
  readonly #now: () => number;
  /** The oldest first. An image under a tag always gives the same, so nothing is ever wrong. */
  readonly #converted = new Map<string, Outcome>();
  #convertedBytes = 0;
  #signer: Promise<JsonSigner> | null = null;

  constructor({ metadata, store, mode, now }: ManifestFormsOptions) {
    this.mode = mode;
    this.#metadata = metadata;
    this.#store = store;
    this.#now = now;
  }

  /** Whether what the tag is answered with depends on the client. */
  isNegotiable(stored: ManifestRecord): boolean {
    return this.mode !== "off" && manifestKind(stored.mediaType) !== null;
  }

  /** The form for a client that asks for a tag which points at `stored`. */
  choose(stored: ManifestRecord, accepted: Accepted): ManifestForm {
    const kind = manifestKind(stored.mediaType);
    return kind === null ? "stored" : chooseForm(this.mode, kind, accepted);
  }

  /**
   * What the tag that points at `stored` is in that form.
   * @throws RegistryError MANIFEST_UNKNOWN without an image for linux/amd64, MANIFEST_INVALID when the image cannot be
   * shown as schema 1
   */
  async show(
    repository: RepositoryName,
    tag: Tag,
    stored: ManifestRecord,
    form: ManifestForm,
  ): Promise<ShownManifest> {
    if (form === "stored") return stored;
    const image =
      manifestKind(stored.mediaType) === "index" ? await this.#defaultImage(repository, stored) : stored;
    return form === "image" ? image : await this.#schema1(repository, tag, image);
  }

  async #defaultImage(repository: RepositoryName, index: ManifestRecord): Promise<ManifestRecord> {
    const manifest = requireParsed(index);
    const entries = manifest.kind === "index" ? manifest.manifests : [];
    const entry = entries.find(
      ({ mediaType, platform }) =>
        manifestKind(mediaType) === "image" &&
        platform?.os === DEFAULT_OS &&
        platform.architecture === DEFAULT_ARCHITECTURE,
    );
    const found =
      entry === undefined
        ? null
        : await this.#metadata.manifests.find(repository, { kind: "digest", digest: entry.digest });
    if (found !== null) return found;
    throw new RegistryError("MANIFEST_UNKNOWN", {
      message: `index ${index.digest} has no image for ${DEFAULT_OS}/${DEFAULT_ARCHITECTURE}; ask for it with Accept: ${index.mediaType}`,
      detail: { digest: index.digest },
    });
  }

  async #schema1(repository: RepositoryName, tag: Tag, image: ManifestRecord): Promise<ShownManifest> {
    const key = `${repository}:${tag}@${image.digest}`;
    try {
      const known = this.#converted.get(key);
      if (known instanceof NoSchema1Form) throw known;
      return known ?? (await this.#convert({ key, repository, tag, image }));
    } catch (error) {
      if (!(error instanceof NoSchema1Form)) throw error;
      throw new RegistryError("MANIFEST_INVALID", {
        message: `image ${image.digest} cannot be shown as schema 1: ${error.message}; ask for it with Accept: ${image.mediaType}`,
        detail: { digest: image.digest },
      });
    }
  }

  async #convert({ key, repository, tag, image }: Conversion): Promise<ShownManifest> {
    const manifest = requireParsed(image);
    if (manifest.kind !== "image") throw new NoSchema1Form("it is not an image");
    const config = await this.#readConfig(repository, manifest);
    const payload = tryToSchema1({ repository, tag, manifest, config });
    if (payload instanceof NoSchema1Form) {
      this.#remember(key, payload);
      throw payload;
    }
    this.#signer ??= createSchema1Signer();
    const time = new Date(this.#now()).toISOString().replace(/\.\d+/, "");
    const bytes = await signJson(payload, await this.#signer, time);
    const shown = { digest: sha256(payload), mediaType: MEDIA_TYPE.dockerSchema1Signed, bytes };
    this.#remember(key, shown);
    return shown;
  }

  async #readConfig(repository: RepositoryName, { config }: ImageManifest): Promise<Uint8Array> {
    const record = await this.#metadata.blobs.find(repository, config.digest);
    if (record === null) throw new NoSchema1Form("its config is not in the registry");
    if (record.size > CONFIG_BYTES_MAX) {
      throw new NoSchema1Form(`its config has more than ${CONFIG_BYTES_MAX} bytes`);
    }
    const object = await this.#store.open(record.storageKey);
    if (object === null) throw new Error(`blob ${config.digest} is missing in the store`);
    return await new Response(object.body()).bytes();
  }

  #remember(key: string, outcome: Outcome): void {
    if (this.#converted.has(key)) return;
    this.#converted.set(key, outcome);
    this.#convertedBytes += bytesOf(outcome);
    for (const [oldest, old] of this.#converted) {
      if (this.#converted.size <= CONVERTED_MAX && this.#convertedBytes <= CONVERTED_BYTES_MAX) break;
      this.#converted.delete(oldest);
      this.#convertedBytes -= bytesOf(old);
    }
  }
}

interface Conversion {
  readonly key: string;
  readonly repository: RepositoryName;
  readonly tag: Tag;
  readonly image: ManifestRecord;
}

/** An image that cannot be converted is remembered, too: finding that out takes as long. */
type Outcome = ShownManifest | NoSchema1Form;

function bytesOf(outcome: Outcome): number {
  return outcome instanceof NoSchema1Form ? 0 : outcome.bytes.byteLength;
}

function tryToSchema1(image: ImageToConvert): string | NoSchema1Form {
  try {
    return toSchema1(image);
  } catch (error) {
    if (error instanceof NoSchema1Form) return error;
    throw error;
  }
}

/** What was stored was parsed before. */
function requireParsed({ digest, mediaType, bytes }: ManifestRecord): Manifest {
  const parsed = parseManifest(bytes, mediaType);
  if (!parsed.ok) throw new Error(`stored manifest ${digest} cannot be read: ${parsed.problem}`);
  return parsed.manifest;
}

function sha256(text: string): Digest {
  const digest = digestFromHex("sha256", new Bun.CryptoHasher("sha256").update(text).digest("hex"));
  if (digest === null) throw new Error("the hasher gave no digest");
  return digest;
}
