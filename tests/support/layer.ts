import { digestOf } from "./content.ts";
import { formatLayerHeader } from "@stowage/client/layers/layer-header-writer";
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
    const header = formatLayerHeader({
      kind: "file",
      mode: 0o644,
      uid: 0,
      gid: 0,
      uname: "",
      gname: "",
      mtime: 0,
      linkName: "",
      major: 0,
      minor: 0,
      records: new Map(),
      ...entry,
      size: bytes.byteLength,
    });
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
