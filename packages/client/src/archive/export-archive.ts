import type { Descriptor } from "@stowage/oci/descriptor";
import { algorithmOf, type Digest, hexOf } from "@stowage/oci/digest";
import { parseManifest } from "@stowage/oci/manifest";
import { configHasPlatform, manifestKind, MEDIA_TYPE } from "@stowage/oci/media-type";
import type { BlobRef, RawManifest } from "../content.ts";
import { parseImageReference } from "../image-reference.ts";
import { entriesForPlatform } from "../platform.ts";
import { DOCKER_MANIFEST_FILE } from "./docker-archive.ts";
import { CONTAINERD_NAME, REF_NAME } from "./image-archive.ts";
import { TAR_END, tarBytesOf, tarHeaderOf, tarPaddingOf } from "./tar-writer.ts";

/** A file of an archive that is about to be written. */
export interface ExportedFile {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** What is in it, or the blob that is. */
  readonly content: Uint8Array<ArrayBuffer> | Digest;
}

/** A file whose bytes are known. */
export interface KnownFile extends ExportedFile {
  readonly content: Uint8Array<ArrayBuffer>;
}

/** An image and the names that an archive shall call it by. */
export interface NamedImage {
  readonly manifest: RawManifest;
  readonly names: readonly string[];
}

/** The image that `docker load` takes: its config and layers are blobs of the archive. */
export interface LoadableImage {
  readonly config: BlobRef;
  readonly layers: readonly BlobRef[];
}

/** Where a blob or manifest lies in a layout. */
export function pathOf(digest: Digest): string {
  return `blobs/${algorithmOf(digest)}/${hexOf(digest)}`;
}

export const LAYOUT_FILE: KnownFile = jsonFile("oci-layout", { imageLayoutVersion: "1.0.0" });

/** The `index.json` that names these images; one without a name stands there as well. */
export function indexFile(images: readonly NamedImage[]): KnownFile {
  const manifests = images.flatMap(({ manifest: { mediaType, digest, bytes }, names }) => {
    const descriptor = { mediaType, digest, size: bytes.byteLength };
    if (names.length === 0) return [descriptor];
    return names.map((name) => ({ ...descriptor, annotations: annotationsOf(name) }));
  });
  return jsonFile("index.json", { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests });
}

/** Docker and containerd take the second as a whole name; podman and skopeo know the first alone. */
function annotationsOf(name: string): Record<string, string> {
  const isWhole = parseImageReference(name)?.tag !== null && name.includes("/");
  return { ...(isWhole ? { [CONTAINERD_NAME]: name } : {}), [REF_NAME]: name };
}

/** The `manifest.json` that `docker load` reads. Layers may be compressed: docker, podman and crane look. */
export function dockerFile(
  images: readonly { readonly image: LoadableImage; readonly names: readonly string[] }[],
): KnownFile {
  const entries = images.map(({ image, names }) => ({
    Config: pathOf(image.config.digest),
    // What is no name with a tag would make docker refuse all of it.
    RepoTags: names.filter((name) => (parseImageReference(name)?.tag ?? null) !== null),
    Layers: image.layers.map(({ digest }) => pathOf(digest)),
  }));
  return jsonFile(DOCKER_MANIFEST_FILE, entries);
}

export function manifestFile({ digest, bytes }: RawManifest): KnownFile {
  return { path: pathOf(digest), size: bytes.byteLength, content: bytes };
}

export function blobFile({ digest, size }: BlobRef): ExportedFile {
  return { path: pathOf(digest), size, content: digest };
}

/**
 * Which image of an index `docker load` gets, which has room for one: that of `linux/amd64`, else the first for Linux, else the
 * first. Null when nothing there is a container image. `find` gives the manifests below it; null for what is not there.
 */
export function loadableImage(
  root: RawManifest,
  find: (digest: Digest) => RawManifest | null,
  hasBlob: (digest: Digest) => boolean,
): LoadableImage | null {
  const parsed = parseManifest(root.bytes, root.mediaType);
  if (!parsed.ok) return null;
  const { manifest } = parsed;
  if (manifest.kind === "image") {
    const { config, layers } = manifest;
    const isWhole = [config, ...layers].every(({ digest }) => hasBlob(digest));
    return configHasPlatform(config.mediaType) && isWhole ? { config, layers } : null;
  }
  if (manifest.kind === "schema1") return null;
  for (const { digest } of byPreference(manifest.manifests)) {
    const child = find(digest);
    // Indexes in indexes are rare enough to be left to the layout.
    const isImage = child !== null && manifestKind(child.mediaType) === "image";
    const image = isImage ? loadableImage(child, find, hasBlob) : null;
    if (image !== null) return image;
  }
  return null;
}

function byPreference(entries: readonly Descriptor[]): readonly Descriptor[] {
  const amd64 = entriesForPlatform(entries, { os: "linux", architecture: "amd64", variant: null });
  const linux = entries.filter(({ platform }) => platform?.os === "linux");
  // BuildKit's attestations are for the platform unknown/unknown.
  const others = entries.filter(({ platform }) => platform?.os !== "unknown");
  return [...new Set([...amd64, ...linux, ...others])];
}

/** How many bytes an archive of these files has. */
export function archiveBytesOf(files: readonly ExportedFile[]): number {
  return files.reduce((sum, { path, size }) => sum + tarBytesOf(path, size), TAR_END.byteLength);
}

/** The archive's bytes; the same each time. `openBlob` gives as many bytes as the file has. @throws Error otherwise */
export async function* writeArchive(
  files: readonly ExportedFile[],
  openBlob: (digest: Digest) => AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  for (const { path, size, content } of files) {
    yield tarHeaderOf(path, size);
    if (typeof content !== "string") yield content;
    else yield* exactly(openBlob(content), { path, size });
    yield new Uint8Array(tarPaddingOf(size));
  }
  yield TAR_END;
}

/** The pieces, of which there have to be `size` bytes. @throws Error */
export async function* exactly(
  pieces: AsyncIterable<Uint8Array>,
  { path, size }: Pick<ExportedFile, "path" | "size">,
): AsyncGenerator<Uint8Array, void, void> {
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.byteLength;
    if (bytes > size) break;
    yield piece;
  }
  if (bytes !== size) throw new Error(`${path} has ${bytes > size ? "more" : bytes} bytes; wanted ${size}`);
}

function jsonFile(path: string, value: unknown): KnownFile {
  const content = new TextEncoder().encode(JSON.stringify(value));
  return { path, size: content.byteLength, content };
}
