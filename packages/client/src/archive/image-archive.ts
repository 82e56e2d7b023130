import type { Descriptor } from "@stowage/oci/descriptor";
import type { Digest } from "@stowage/oci/digest";
import { parseManifest } from "@stowage/oci/manifest";
import { manifestKind, MEDIA_TYPE } from "@stowage/oci/media-type";
import { quote } from "@stowage/oci/reference";
import type { RawManifest } from "../content.ts";
import type { ArchiveContents, ArchivedFile } from "./archive-contents.ts";
import { requireBytes, requireJson, requireObject } from "./archive-json.ts";
import { badArchive, missingContent } from "./archive-error.ts";
import { type DockerImage, makeManifest, readDockerImages } from "./docker-archive.ts";
import { ManifestReader, toManifest, Walk } from "./image-walk.ts";

/** Annotations that say what an image is called: of OCI's layout, and of containerd and docker. */
export const REF_NAME = "org.opencontainers.image.ref.name";
export const CONTAINERD_NAME = "io.containerd.image.name";

/** An image, index or artifact that an archive offers. */
export interface ArchiveImage {
  /** What the archive calls it: `1.0`, `app:1.0`, `localhost:5000/team/app:1.0`. */
  readonly names: readonly string[];
  readonly manifest: RawManifest;
}

/** Everything that one image needs. */
export interface ImageContent {
  /** Each after those that it names; the image's own is the last. */
  readonly manifests: readonly RawManifest[];
  readonly blobs: readonly ArchivedFile[];
  /** What is not in the archive, though it should. */
  readonly missing: readonly Digest[];
}

/**
 * What an archive means: an OCI layout when it has an `index.json`, otherwise a docker-archive. `docker save` writes both,
 * and only the layout has the image's own manifest.
 */
export class ImageArchive {
  /** By digest each once. */
  readonly images: readonly ArchiveImage[];
  readonly #contents: ArchiveContents;
  readonly #reader = new ManifestReader();
  #dockerFile: readonly DockerImage[] | null = null;
  /** Manifests that were made here. */
  readonly #made = new Map<Digest, RawManifest>();

  /** @throws ClientError when it is neither, or says what cannot be */
  constructor(contents: ArchiveContents) {
    this.#contents = contents;
    this.images = contents.get("index.json") === null ? this.#dockerImages() : this.#layoutImages();
    if (this.images.length === 0) throw badArchive("there is no image in it");
  }

  /** A manifest of the archive, or null. @throws ClientError when it is none */
  manifest(digest: Digest): RawManifest | null {
    const known =
      this.#made.get(digest) ?? this.images.find((image) => image.manifest.digest === digest)?.manifest;
    if (known !== undefined) return known;
    for (const image of this.images) {
      const found = this.contentOf(image.manifest).manifests.find((manifest) => manifest.digest === digest);
      if (found !== undefined) return found;
    }
    return null;
  }

  blob(digest: Digest): ArchivedFile | null {
    return this.#contents.byDigest(digest);
  }

  /** @throws ClientError when a manifest is broken, or a size is not what it says */
  contentOf(manifest: RawManifest): ImageContent {
    const walk = new Walk(this.#contents, this.#reader);
    walk.visit(manifest, 0);
    return {
      manifests: [...walk.manifests.values()],
      blobs: [...walk.blobs.values()],
      missing: [...walk.missing],
    };
  }

  /** The same. @throws ClientError as well when something is missing */
  requireContentOf(manifest: RawManifest): ImageContent {
    const content = this.contentOf(manifest);
    if (content.missing.length === 0) return content;
    const shown = content.missing.slice(0, 5).join(", ");
    throw missingContent(`its image ${manifest.digest} needs what is not in it: ${shown}`);
  }

  #dockerImages(): readonly ArchiveImage[] {
    const images = this.#readDockerFile().map((image) => {
      const manifest = makeManifest(image);
      this.#made.set(manifest.digest, manifest);
      return { names: image.names, manifest };
    });
    if (images.length > 0) return mergeByDigest(images);
    throw badArchive(
      'neither "index.json" nor "manifest.json" is in it; wanted an OCI archive or what docker save of 1.10 or later writes',
    );
  }

  #readDockerFile(): readonly DockerImage[] {
    this.#dockerFile ??= readDockerImages(this.#contents);
    return this.#dockerFile;
  }

  #layoutImages(): readonly ArchiveImage[] {
    requireLayoutVersion(this.#contents);
    const file = this.#contents.get("index.json");
    const parsed = file === null ? null : parseManifest(requireBytes(file), MEDIA_TYPE.ociIndex);
    if (parsed === null || !parsed.ok)
      throw badArchive(`"index.json" is no index: ${parsed?.problem ?? "absent"}`);
    if (parsed.manifest.kind !== "index") throw badArchive('"index.json" is no index');
    const images = parsed.manifest.manifests.flatMap((descriptor) => {
      if (manifestKind(descriptor.mediaType) === null) return [];
      return [{ names: namesOf(descriptor), manifest: this.#requireManifest(descriptor) }];
    });
    return mergeByDigest(mergeByDigest(images).map((image) => this.#withoutAbsentPlatforms(image)));
  }

  #requireManifest(descriptor: Descriptor): RawManifest {
    const file = this.#contents.byDigest(descriptor.digest);
    if (file === null) throw missingContent(`"index.json" names ${descriptor.digest}, which is not in it`);
    return toManifest(file, descriptor);
  }

  /**
   * `docker save` of an engine with containerd's store keeps the index of all platforms and the content of one: the image is
   * then the one that `manifest.json` names.
   */
  #withoutAbsentPlatforms(image: ArchiveImage): ArchiveImage {
    if (manifestKind(image.manifest.mediaType) !== "index") return image;
    const content = this.contentOf(image.manifest);
    if (content.missing.length === 0) return image;
    const configs = new Set(this.#readDockerFile().map(({ config }) => config.digest));
    const complete = content.manifests.filter((raw) => {
      const manifest = this.#reader.require(raw);
      const isNamed = manifest.kind === "image" && configs.has(manifest.config.digest);
      return isNamed && this.contentOf(raw).missing.length === 0;
    });
    return complete.length === 1 && complete[0] !== undefined ? { ...image, manifest: complete[0] } : image;
  }
}

function requireLayoutVersion(contents: ArchiveContents): void {
  const file = contents.get("oci-layout");
  if (file === null) throw badArchive('it has an "index.json" and no "oci-layout"');
  const { imageLayoutVersion } = requireObject(requireJson(file), '"oci-layout"');
  if (imageLayoutVersion === "1.0.0") return;
  throw badArchive(
    `the version of its layout is ${quote(JSON.stringify(imageLayoutVersion) ?? "")}; wanted "1.0.0"`,
  );
}

function namesOf({ annotations }: Descriptor): readonly string[] {
  const names = [annotations?.[CONTAINERD_NAME], annotations?.[REF_NAME]];
  return names.flatMap((name) => (name === undefined || name === "" ? [] : [name]));
}

function mergeByDigest(images: readonly ArchiveImage[]): readonly ArchiveImage[] {
  const merged = new Map<Digest, { readonly names: Set<string>; readonly manifest: RawManifest }>();
  for (const { names, manifest } of images) {
    const known = merged.get(manifest.digest) ?? { names: new Set(), manifest };
    merged.set(manifest.digest, known);
    for (const name of names) known.names.add(name);
  }
  return [...merged.values()].map(({ names, manifest }) => ({ names: [...names], manifest }));
}
