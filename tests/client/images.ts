import { createHasher, manifestFrom, type RawManifest, type Repository, streamOf } from "@stowage/client";
import type { Digest } from "@stowage/oci/digest";

export interface Blob {
  readonly digest: Digest;
  readonly size: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export function blobOf(
  bytes: Uint8Array<ArrayBuffer> | string,
  algorithm: "sha256" | "sha512" = "sha256",
): Blob {
  const content = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
  const hasher = createHasher(algorithm);
  hasher.update(content);
  return { digest: hasher.digest(), size: content.byteLength, bytes: content };
}

/** Bytes that differ by `seed` and do not repeat soon. */
export function noise(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = seed * 2_654_435_761 + 1;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** Opens bytes from an offset, in pieces. */
export function opener({ bytes }: Blob, pieceBytes = 60_000) {
  return async (offset: number) => {
    async function* pieces() {
      for (let at = offset; at < bytes.byteLength; at += pieceBytes) yield bytes.slice(at, at + pieceBytes);
    }
    return streamOf(pieces());
  };
}

export async function putBlob(repository: Repository, blob: Blob): Promise<void> {
  await repository.putBlob(blob, opener(blob));
}

export interface PushedImage {
  readonly manifest: RawManifest;
  readonly config: Blob;
  readonly layers: readonly Blob[];
}

/** Pushes an image with layers of these sizes. */
export async function pushImage(
  repository: Repository,
  { tag, layers = [70_000, 300_000], seed = 1, architecture = "amd64", extra = {} }: PushOptions,
): Promise<PushedImage> {
  const blobs = layers.map((size, at) => blobOf(noise(size, seed * 100 + at)));
  const config = blobOf(
    JSON.stringify({
      os: "linux",
      architecture,
      seed,
      rootfs: { type: "layers", diff_ids: blobs.map(({ digest }) => digest) },
    }),
  );
  for (const blob of [config, ...blobs]) await putBlob(repository, blob);
  const describe = (mediaType: string, { digest, size }: Blob) => ({ mediaType, digest, size });
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = manifestFrom(
    {
      schemaVersion: 2,
      mediaType,
      config: describe("application/vnd.oci.image.config.v1+json", config),
      layers: blobs.map((blob) => describe("application/vnd.oci.image.layer.v1.tar", blob)),
      ...extra,
    },
    mediaType,
  );
  await repository.putManifest(manifest, { tags: tag === null ? [] : [tag] });
  return { manifest, config, layers: blobs };
}

export interface PushOptions {
  readonly tag: string | null;
  readonly layers?: readonly number[];
  readonly seed?: number;
  readonly architecture?: string;
  readonly extra?: Readonly<Record<string, unknown>>;
}
