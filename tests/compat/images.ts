import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { blobOf, digestOf, seededBytes, type TestBlob } from "../support/content.ts";

export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip";
const EMPTY_CONFIG = "application/vnd.oci.empty.v1+json";

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

/** Something with a manifest and everything below it; the first of `blobs` is the manifest. */
export interface Content {
  readonly descriptor: Descriptor;
  readonly blobs: readonly TestBlob[];
}

/** An image whose digests were computed here and not by the client under test. */
export interface LayeredImage extends Content {
  readonly config: TestBlob;
  readonly layers: readonly TestBlob[];
  /** Digests of the layers before compression, as the config has them. */
  readonly diffIds: readonly string[];
}

export interface ImageOptions {
  readonly architecture: "amd64" | "arm64";
  /** Layers, each with one file of its own. */
  readonly layerCount: number;
  /** Another seed makes another image. */
  readonly seed: number;
}

const LAYER_FILE_BYTES = 40_000;

/** An OCI image with gzip layers, the same for the same options. */
export function layeredImage({ architecture, layerCount, seed }: ImageOptions): LayeredImage {
  const tars = Array.from({ length: layerCount }, (_, at) =>
    tarOf({ [`layer-${at}.bin`]: seededBytes(LAYER_FILE_BYTES, seed * 1_000 + at) }),
  );
  return imageOfLayers(architecture, tars);
}

/** An OCI image of these layers, which are compressed. */
export function imageOfLayers(
  architecture: ImageOptions["architecture"],
  tars: readonly Uint8Array<ArrayBuffer>[],
): LayeredImage {
  const layers = tars.map((tar) => blobOf(Bun.gzipSync(tar)));
  const diffIds = tars.map((tar) => digestOf(tar));
  const rootfs = { type: "layers", diff_ids: diffIds };
  const config = blobOf(JSON.stringify({ architecture, os: "linux", config: {}, rootfs }));
  const manifest = blobOf(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: describe(OCI_CONFIG, config),
      layers: layers.map((layer) => describe(OCI_LAYER_GZIP, layer)),
    }),
  );
  const descriptor = { ...describe(OCI_MANIFEST, manifest), platform: { os: "linux", architecture } };
  return { descriptor, blobs: [manifest, config, ...layers], config, layers, diffIds };
}

/** An index of images for more than one platform. */
export function imageIndex(images: readonly Content[]): Content {
  const manifests = images.map((image) => image.descriptor);
  const index = blobOf(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
  return {
    descriptor: describe(OCI_INDEX, index),
    blobs: [index, ...images.flatMap((image) => image.blobs)],
  };
}

/** An artifact that refers to `subject`, as signatures and bills of materials do. */
export function artifactOf(subject: Content, artifactType: string, text: string): Content {
  const config = blobOf("{}");
  const payload = blobOf(text);
  const { mediaType, digest, size } = subject.descriptor;
  const manifest = blobOf(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      artifactType,
      config: describe(EMPTY_CONFIG, config),
      layers: [describe("text/plain", payload)],
      subject: { mediaType, digest, size },
    }),
  );
  return { descriptor: describe(OCI_MANIFEST, manifest), blobs: [manifest, config, payload] };
}

export function describe(mediaType: string, blob: TestBlob): Descriptor {
  return { mediaType, digest: blob.digest, size: blob.bytes.byteLength };
}

/** Writes an OCI image layout with `content` under the tag `tag` (Image Layout Specification). */
export async function writeLayout(folder: string, content: Content, tag: string): Promise<void> {
  const blobFolder = join(folder, "blobs", "sha256");
  await mkdir(blobFolder, { recursive: true });
  await Promise.all(content.blobs.map((blob) => Bun.write(join(blobFolder, hexOf(blob.digest)), blob.bytes)));
  await writeLayoutIndex(folder, content.descriptor, tag);
}

export async function writeLayoutIndex(folder: string, descriptor: Descriptor, tag: string): Promise<void> {
  const annotations = { "org.opencontainers.image.ref.name": tag };
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [{ ...descriptor, annotations }] };
  await Bun.write(join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await Bun.write(join(folder, "index.json"), JSON.stringify(index));
}

/** Which of `content`'s blobs are missing or differ in an image layout that a client wrote. */
export async function differencesInLayout(folder: string, content: Content): Promise<string[]> {
  const differences: string[] = [];
  for (const { digest } of content.blobs) {
    const file = Bun.file(join(folder, "blobs", "sha256", hexOf(digest)));
    const actual = (await file.exists()) ? digestOf(await file.bytes()) : "nothing";
    if (actual !== digest) differences.push(`${digest} is ${actual}`);
  }
  return differences;
}

export function hexOf(digest: string): string {
  return digest.slice(digest.indexOf(":") + 1);
}

const TAR_BLOCK_BYTES = 512;

/** A tar archive (ustar) of the files, always with the same bytes: no owner, no date. */
export function tarOf(
  files: Readonly<Record<string, Uint8Array<ArrayBuffer> | string>>,
): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  for (const [name, content] of Object.entries(files)) {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    parts.push(tarHeader(name, bytes.byteLength), bytes);
    parts.push(new Uint8Array((TAR_BLOCK_BYTES - (bytes.byteLength % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES));
  }
  parts.push(new Uint8Array(2 * TAR_BLOCK_BYTES));
  return new Uint8Array(Buffer.concat(parts));
}

/** Header of one file; POSIX.1-1988 (ustar) says where each field is. */
export function tarHeader(name: string, bytes: number): Uint8Array<ArrayBuffer> {
  const header = Buffer.alloc(TAR_BLOCK_BYTES);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, "0");
  header.write(name, 0, "ascii");
  header.write(`${octal(0o644, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0`, 100, "ascii");
  header.write(`${octal(bytes, 11)}\0${octal(0, 11)}\0`, 124, "ascii");
  // The checksum counts its own field as spaces.
  header.write("        0", 148, "ascii");
  header.write("ustar\x0000", 257, "ascii");
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\0 `, 148, "ascii");
  return new Uint8Array(header);
}
