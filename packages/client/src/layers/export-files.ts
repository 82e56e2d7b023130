import type { ContentSource, IoOptions } from "../content.ts";
import type { Inode } from "./file-tree.ts";
import type { ImageFiles } from "./image-files.ts";
import { layerBytes } from "./layer-bytes.ts";
import { BLOCK_BYTES, type LayerHeader } from "./layer-header.ts";
import { readLayer } from "./layer-tar.ts";
import { formatLayerHeader } from "./layer-header-writer.ts";

/**
 * The files of an image as one tar file, as a container would see them: every path once, none that leads through a link, no
 * whiteouts. Owners, modes, times, devices and extended attributes are as the layers have them; names of one file stay
 * names of one file, also when the name that the layer wrote first is gone. Each layer is read once more.
 * @throws ClientError
 */
export async function* exportFiles(
  source: ContentSource,
  files: ImageFiles,
  options: IoOptions = {},
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const paths = pathsByPlace(files);
  for (const [layer, descriptor] of files.layers.entries()) {
    const wanted = paths[layer];
    // A layer of which nothing is left is not fetched again.
    if (wanted === undefined || wanted.size === 0) continue;
    let at = 0;
    for await (const entry of readLayer(layerBytes(source, descriptor, options))) {
      const [first, ...others] = wanted.get(at) ?? [];
      at += 1;
      if (first === undefined) continue;
      yield formatLayerHeader({ ...entry, name: nameOf(first, entry) });
      if (entry.size > 0) yield* entry.bytes();
      if (entry.size % BLOCK_BYTES > 0) yield new Uint8Array(BLOCK_BYTES - (entry.size % BLOCK_BYTES));
      for (const other of others) yield formatLayerHeader(linkTo(first, { ...entry, name: other }));
    }
  }
  yield new Uint8Array(2 * BLOCK_BYTES);
}

/** For each layer: which entries of it are there in the end, and under which paths. */
function pathsByPlace({ layers, tree }: ImageFiles): readonly Map<number, string[]>[] {
  const places = layers.map(() => new Map<number, string[]>());
  const add = ({ layer, entry }: Inode, path: string) => {
    const known = places[layer]?.get(entry);
    if (known === undefined) places[layer]?.set(entry, [path]);
    else known.push(path);
  };
  if (tree.root.inode !== null) add(tree.root.inode, ".");
  for (const [path, { inode }] of tree) {
    if (inode !== null) add(inode, path);
  }
  return places;
}

function nameOf(path: string, { kind }: LayerHeader): string {
  return kind === "directory" ? `${path}/` : path;
}

function linkTo(target: string, header: LayerHeader): LayerHeader {
  return { ...header, kind: "hardlink", linkName: target, size: 0 };
}
