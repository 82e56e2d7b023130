import { digestOf, type TestBlob } from "./content.ts";

/** One entry as it shall stand in a tar file, however wrong. */
export interface TarPart {
  readonly name: string;
  readonly bytes?: Uint8Array | string;
  /** "0" by default. */
  readonly type?: string;
  readonly linkName?: string;
  /** What the header says; the length of the bytes by default. */
  readonly size?: number;
  /** The size field as it stands there. */
  readonly rawSize?: string;
  readonly magic?: string;
  /** Bytes of the header that are changed after its checksum was computed. */
  readonly damage?: Readonly<Record<number, number>>;
}

const BLOCK_BYTES = 512;

/** A tar file of these entries, made without the code under test. */
export function tarOfParts(
  parts: readonly TarPart[],
  { end = 2 * BLOCK_BYTES }: { readonly end?: number } = {},
): Uint8Array<ArrayBuffer> {
  const pieces = parts.flatMap((part) => {
    const bytes =
      typeof part.bytes === "string"
        ? new TextEncoder().encode(part.bytes)
        : (part.bytes ?? new Uint8Array());
    const padding = (BLOCK_BYTES - (bytes.byteLength % BLOCK_BYTES)) % BLOCK_BYTES;
    return [headerOf(part, bytes.byteLength), bytes, new Uint8Array(padding)];
  });
  return new Uint8Array(Buffer.concat([...pieces, new Uint8Array(end)]));
}

function headerOf(part: TarPart, length: number): Uint8Array {
  const header = Buffer.alloc(BLOCK_BYTES);
  header.write(part.name.slice(0, 100), 0, "utf8");
  for (const at of [100, 108, 116]) header.write("0000644", at, "latin1");
  header.write(part.rawSize ?? `${(part.size ?? length).toString(8).padStart(11, "0")}\0`, 124, "latin1");
  header.write("00000000000", 136, "latin1");
  header.fill(" ", 148, 156);
  header.write(part.type ?? "0", 156, "latin1");
  header.write(part.linkName ?? "", 157, "utf8");
  header.write(part.magic ?? "ustar\u000000", 257, "latin1");
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  for (const [at, byte] of Object.entries(part.damage ?? {})) header[Number(at)] = byte;
  return header;
}

/** A pax header for the entry after it. */
export function pax(records: Readonly<Record<string, string>>, type = "x"): TarPart {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`);
    let length = rest;
    while (length !== rest + String(length).length) length = rest + String(length).length;
    return `${length} ${key}=${value}\n`;
  });
  return { name: "pax", type, bytes: lines.join("") };
}

/** The files of an image as `docker save` of before 25 writes them. */
export interface SavedImage {
  readonly parts: readonly TarPart[];
  readonly config: TestBlob;
  readonly layers: readonly TestBlob[];
}

export function savedImage(
  layers: readonly TestBlob[],
  names: readonly string[] | null = ["app:1.0"],
): SavedImage {
  const diffIds = layers.map(({ digest }) => digest);
  const text = JSON.stringify({
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: diffIds },
  });
  const config = { bytes: new TextEncoder().encode(text), digest: digestOf(text) };
  const configName = `${config.digest.replace("sha256:", "")}.json`;
  const paths = layers.map((_layer, at) => `${String(at).repeat(64)}/layer.tar`);
  const manifest = [{ Config: configName, RepoTags: names, Layers: paths }];
  return {
    config,
    layers,
    parts: [
      ...layers.flatMap(({ bytes }, at) => [
        { name: `${String(at).repeat(64)}/`, type: "5" },
        { name: `${String(at).repeat(64)}/VERSION`, bytes: "1.0" },
        { name: `${String(at).repeat(64)}/json`, bytes: "{}" },
        { name: paths[at] ?? "", bytes },
      ]),
      { name: configName, bytes: config.bytes },
      { name: "manifest.json", bytes: JSON.stringify(manifest) },
      { name: "repositories", bytes: "{}" },
    ],
  };
}

const INDEX = "application/vnd.oci.image.index.v1+json";

export interface NamedManifest {
  readonly blob: TestBlob;
  readonly mediaType: string;
  readonly name?: string | undefined;
}

/** The files of an OCI layout: these blobs, and an index that names these manifests. */
export function layoutParts(manifests: readonly NamedManifest[], blobs: readonly TestBlob[]): TarPart[] {
  const index = {
    schemaVersion: 2,
    mediaType: INDEX,
    manifests: manifests.map(({ blob, mediaType, name }) => ({
      mediaType,
      digest: blob.digest,
      size: blob.bytes.byteLength,
      ...(name === undefined ? {} : { annotations: { "org.opencontainers.image.ref.name": name } }),
    })),
  };
  return [
    { name: "oci-layout", bytes: JSON.stringify({ imageLayoutVersion: "1.0.0" }) },
    { name: "index.json", bytes: JSON.stringify(index) },
    ...blobs.map(({ bytes, digest }) => ({ name: `blobs/${digest.replace(":", "/")}`, bytes })),
  ];
}
