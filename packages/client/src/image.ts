import { type Descriptor, isObject, type Platform, readPlatform } from "@stowage/oci/descriptor";
import type { Digest } from "@stowage/oci/digest";
import { configHasPlatform, manifestKind } from "@stowage/oci/media-type";
import { ClientError } from "./client-error.ts";
import type { BlobRef, ContentSource, IoOptions, RawManifest } from "./content.ts";
import { type ManifestParts, partsOf } from "./image-manifests.ts";
import { entriesForPlatform, formatPlatform } from "./platform.ts";
import { piecesOf } from "./streams.ts";

/** Largest config of an image, in bytes. */
export const CONFIG_BYTES_MAX = 16 * 1024 * 1024;

/** Indexes in indexes; real ones have one level. */
const NESTING_MAX = 8;

export interface ResolvedImage {
  /** The outermost index, when the reference names one. */
  readonly index: RawManifest | null;
  readonly manifest: RawManifest;
  readonly parts: ManifestParts;
}

/** @throws ClientError of kind `not-found` */
export async function requireManifest(
  source: ContentSource,
  reference: string | null,
  options: IoOptions = {},
): Promise<RawManifest> {
  const manifest = await source.getManifest(reference, options);
  if (manifest !== null) return manifest;
  const name =
    reference === null ? source.label : `${source.label}${reference.includes(":") ? "@" : ":"}${reference}`;
  throw new ClientError("not-found", `pull ${name}: manifest unknown (MANIFEST_UNKNOWN, 404)`, {
    code: "MANIFEST_UNKNOWN",
    status: 404,
  });
}

/**
 * The image of a reference: of an index the one for `platform`, by default linux/amd64, or the only one that there is.
 * @throws ClientError of kind `not-found`, which names the platforms that there are
 */
export async function resolveImage(
  source: ContentSource,
  reference: string | null,
  { platform = null, signal }: IoOptions & { readonly platform?: Platform | null } = {},
): Promise<ResolvedImage> {
  const root = await requireManifest(source, reference, { signal });
  let manifest = root;
  for (let level = 0; level < NESTING_MAX; level++) {
    const parts = partsOf(manifest);
    if (parts.kind === "image") {
      // What an index says of its entries is not asked of them again.
      if (manifest === root && platform !== null)
        await requirePlatformOf(source, parts, { wanted: [platform], signal });
      return { index: manifest === root ? null : root, manifest, parts };
    }
    const { digest } = chooseEntry(parts.manifests, platform, source.label);
    manifest = await requireManifest(source, digest, { signal });
  }
  throw new ClientError("invalid", `${source.label}: more than ${NESTING_MAX} indexes in each other`);
}

/** What an image says of itself (OCI image specification, "Image Configuration"); members are read by name. */
export type ImageConfig = Readonly<Record<string, unknown>>;

/** The config of an image. @throws ClientError of kind `not-found`, `mismatch`, or `invalid` when it is no JSON object */
export async function readConfig(
  source: ContentSource,
  parts: ManifestParts,
  options: IoOptions = {},
): Promise<ImageConfig> {
  const { config } = parts;
  if (config === null) throw new ClientError("invalid", `${source.label}: the manifest has no config`);
  const bytes = await readBlob(source, config, { ...options, bytesMax: CONFIG_BYTES_MAX });
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (isObject(value)) return value;
  } catch {
    // Said below: it is the same to who asks.
  }
  throw new ClientError("invalid", `${source.label}: the config ${config.digest} is not a JSON object`);
}

/**
 * Sees to it that an image which stands alone is for one of `wanted`; one that does not say is for all.
 * @throws ClientError of kind `not-found`
 */
export async function requirePlatformOf(
  source: ContentSource,
  parts: ManifestParts,
  { wanted, signal }: IoOptions & { readonly wanted: readonly Platform[] },
): Promise<void> {
  if (parts.config === null || !configHasPlatform(parts.config.mediaType)) return;
  const own = readPlatform(await readConfig(source, parts, { signal }));
  const isWanted = (platform: Platform) => entriesForPlatform([{ platform: own }], platform).length > 0;
  if (own === null || wanted.some(isWanted)) return;
  const names = wanted.map(formatPlatform).join(", ");
  throw new ClientError(
    "not-found",
    `${source.label} has no image for ${names}; it is for ${formatPlatform(own)}`,
  );
}

/** A small blob as a whole, verified. @throws ClientError */
export async function readBlob(
  source: ContentSource,
  blob: BlobRef,
  { signal, bytesMax }: IoOptions & { readonly bytesMax: number },
): Promise<Uint8Array<ArrayBuffer>> {
  if (blob.size > bytesMax) {
    throw new ClientError(
      "invalid",
      `${source.label}: ${blob.digest} has ${blob.size} bytes; at most ${bytesMax} are read at once`,
    );
  }
  const stream = await source.openBlob(blob, { signal });
  if (stream === null) throw blobUnknown(source, blob.digest);
  // Not by a Response: in browsers it hides what the stream failed with.
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for await (const piece of piecesOf(stream)) pieces.push(piece);
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

export function blobUnknown(source: ContentSource, digest: Digest): ClientError {
  return new ClientError("not-found", `pull ${source.label}@${digest}: blob unknown (BLOB_UNKNOWN, 404)`, {
    code: "BLOB_UNKNOWN",
    status: 404,
  });
}

const USUAL_PLATFORM: Platform = { os: "linux", architecture: "amd64", variant: null };

function chooseEntry(entries: readonly Descriptor[], platform: Platform | null, label: string): Descriptor {
  // Attestations stand beside images as manifests of no platform.
  const images = entries.filter(
    (entry) => manifestKind(entry.mediaType) !== null && entry.platform?.os !== "unknown",
  );
  const [only, ...others] = images;
  if (platform === null && only !== undefined && others.length === 0) return only;
  const [found] = entriesForPlatform(images, platform ?? USUAL_PLATFORM);
  if (found !== undefined) return found;
  const offered = images.flatMap((entry) =>
    entry.platform === null ? [] : [formatPlatform(entry.platform)],
  );
  throw new ClientError(
    "not-found",
    `${label} has no image for ${formatPlatform(platform ?? USUAL_PLATFORM)}; there are ${offered.join(", ") || "none with a platform"}`,
  );
}
