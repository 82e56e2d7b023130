import type { RawManifest } from "@stowage/client/content";
import { manifestFrom } from "@stowage/client/image-manifests";
import type { Repository } from "@stowage/client/repository";
import type { Digest } from "@stowage/oci/digest";
import { MEDIA_TYPE } from "@stowage/oci/media-type";
import { encode, putBytes } from "../../packages/cli/src/content/made-image.ts";
import { digestOf } from "./content.ts";
import { EMPTY_HEADER, formatLayerHeader } from "@stowage/client/layers/layer-header-writer";
import type { LayerHeader } from "@stowage/client/layers/layer-header";

/** What of an entry a test says; the rest is a plain file of root. */
export type EntryParts = Partial<Omit<LayerHeader, "size">> & {
  readonly name: string;
  readonly text?: string;
};

/** The tar file of a layer. Names may be hostile: they are written as they are. */
export function layerOf(entries: readonly EntryParts[], end = new Uint8Array(1024)): Uint8Array<ArrayBuffer> {
  const parts = entries.flatMap(({ text = "", ...entry }) => {
    const bytes = new TextEncoder().encode(text);
    const header = formatLayerHeader({ ...EMPTY_HEADER, ...entry, size: bytes.byteLength });
    return [header, bytes, new Uint8Array((512 - (bytes.byteLength % 512)) % 512)];
  });
  return new Uint8Array(Buffer.concat([...parts, end]));
}

/** A layer as images carry it, with the digest of its tar file. */
export function packedLayer(
  entries: readonly EntryParts[],
  packing: "gzip" | "zstd" | "none" = "gzip",
): { readonly bytes: Uint8Array<ArrayBuffer>; readonly diffId: string } {
  const tar = layerOf(entries);
  const bytes =
    packing === "gzip"
      ? Bun.gzipSync(tar)
      : packing === "zstd"
        ? new Uint8Array(Bun.zstdCompressSync(tar))
        : tar;
  return { bytes, diffId: digestOf(tar) };
}

const LAYER_TYPES = {
  gzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  zstd: "application/vnd.oci.image.layer.v1.tar+zstd",
  none: "application/vnd.oci.image.layer.v1.tar",
} as const;

export interface LayeredImage {
  readonly manifest: RawManifest;
  readonly config: Digest;
  readonly layers: readonly Digest[];
}

/** Pushes an image whose layers have these entries; `config` is merged into its config. */
export async function pushLayers(
  repository: Repository,
  layers: readonly (readonly EntryParts[])[],
  {
    tags = [],
    packing = "gzip",
    config: extra = {},
  }: {
    readonly tags?: readonly string[];
    readonly packing?: "gzip" | "zstd" | "none";
    readonly config?: Readonly<Record<string, unknown>>;
  } = {},
): Promise<LayeredImage> {
  const packed = layers.map((entries) => packedLayer(entries, packing));
  const rootfs = { type: "layers", diff_ids: packed.map(({ diffId }) => diffId) };
  const config = encode({ architecture: "amd64", os: "linux", rootfs, ...extra });
  const describe = (mediaType: string, bytes: Uint8Array) => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.byteLength,
  });
  for (const bytes of [config, ...packed.map((layer) => layer.bytes)]) await putBytes(repository, bytes);
  const manifest = manifestFrom(
    {
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.ociManifest,
      config: describe(MEDIA_TYPE.ociConfig, config),
      layers: packed.map(({ bytes }) => describe(LAYER_TYPES[packing], bytes)),
    },
    MEDIA_TYPE.ociManifest,
  );
  await repository.putManifest(manifest, { tags });
  return { manifest, config: digestOf(config), layers: packed.map(({ bytes }) => digestOf(bytes)) };
}
