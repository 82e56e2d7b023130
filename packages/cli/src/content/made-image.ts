import type { ContentTarget, RawManifest } from "@stowage/client/content";
import { digestOf } from "@stowage/client/hasher";
import { manifestFrom } from "@stowage/client/image-manifests";
import { formatLayerHeader } from "@stowage/client/layers/layer-header-writer";
import { streamOf } from "@stowage/client/streams";
import type { Digest } from "@stowage/oci/digest";
import { MEDIA_TYPE } from "@stowage/oci/media-type";

/** Modes of what is in a made image. */
const FILE_MODE = 0o644;
const BLOCK_BYTES = 512;

/** Puts an image of one layer with some text files into a target, and tags it. */
export async function putTextImage(
  target: ContentTarget,
  {
    files,
    tags,
    created,
  }: {
    readonly files: Readonly<Record<string, string>>;
    readonly tags: readonly string[];
    readonly created: Date;
  },
): Promise<RawManifest> {
  const tar = tarOf(files, created);
  const layer = Bun.gzipSync(tar);
  const config = encode({
    created: created.toISOString(),
    architecture: "amd64",
    os: "linux",
    config: { WorkingDir: "/" },
    rootfs: { type: "layers", diff_ids: [digestOf(tar)] },
    history: [{ created: created.toISOString(), created_by: "stowage demo" }],
  });
  await putBytes(target, layer);
  await putBytes(target, config);
  const manifest = manifestFrom(
    {
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.ociManifest,
      config: { mediaType: MEDIA_TYPE.ociConfig, digest: digestOf(config), size: config.byteLength },
      layers: [
        {
          mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
          digest: digestOf(layer),
          size: layer.byteLength,
        },
      ],
    },
    MEDIA_TYPE.ociManifest,
  );
  await target.putManifest(manifest, { tags });
  return manifest;
}

/** Bytes that lie in memory, as a blob. */
export async function putBytes(target: ContentTarget, bytes: Uint8Array<ArrayBuffer>): Promise<Digest> {
  const digest = digestOf(bytes);
  await target.putBlob({ digest, size: bytes.byteLength }, async (offset) =>
    streamOf(piece(bytes.subarray(offset))),
  );
  return digest;
}

async function* piece(bytes: Uint8Array<ArrayBuffer>): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  if (bytes.byteLength > 0) yield bytes;
}

function tarOf(files: Readonly<Record<string, string>>, created: Date): Uint8Array<ArrayBuffer> {
  const parts = Object.entries(files).flatMap(([name, text]) => {
    const bytes = new TextEncoder().encode(text);
    const header = formatLayerHeader({
      name,
      kind: "file",
      size: bytes.byteLength,
      mode: FILE_MODE,
      uid: 0,
      gid: 0,
      uname: "",
      gname: "",
      mtime: Math.floor(created.getTime() / 1_000),
      linkName: "",
      major: 0,
      minor: 0,
      records: new Map(),
    });
    return [header, bytes, new Uint8Array((BLOCK_BYTES - (bytes.byteLength % BLOCK_BYTES)) % BLOCK_BYTES)];
  });
  return new Uint8Array(Buffer.concat([...parts, new Uint8Array(2 * BLOCK_BYTES)]));
}

export function encode(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value));
}
