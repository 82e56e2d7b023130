import type { Descriptor } from "@stowage/oci/descriptor";
import { ClientError } from "../client-error.ts";
import type { ContentSource, IoOptions } from "../content.ts";
import { createHasher } from "../hasher.ts";
import { FileTree, type Inode } from "./file-tree.ts";
import { layerBytes } from "./layer-bytes.ts";
import { type LayerEntry, readLayer } from "./layer-tar.ts";

/** Files, folders and links of one image, all layers together; a large one has 300,000. */
const ENTRIES_MAX = 2_000_000;

/** Characters of all their paths together. */
const PATHS_LENGTH_MAX = 512 * 1024 ** 2;

/** Longest path, in characters, and deepest. */
const PATH_LENGTH_MAX = 4_096;

/** What whiteouts are called (OCI image specification, "Whiteouts"). */
const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";
/** Other files of AUFS, which mean nothing in an image. */
const AUFS = ".wh..wh.";

export interface ImageFilesOptions extends IoOptions {
  /** Whether files are hashed, so that those of two images can be compared. */
  readonly hash?: boolean;
  /** Told of each entry that is left out, and why. Both are as the layer has them: no text for a terminal. */
  readonly onSkipped?: ((skipped: SkippedEntry) => void) | undefined;
}

export interface SkippedEntry {
  readonly layer: Descriptor;
  readonly name: string;
  readonly why: string;
}

/** The files that a container of the image would see. */
export interface ImageFiles {
  readonly layers: readonly Descriptor[];
  readonly tree: FileTree;
}

/**
 * Lays the layers of an image over one another, each read to its end and so verified; only names stay in memory. Nothing is
 * written anywhere, and no path leads out of the tree: what points above the root is left out.
 * @throws ClientError
 */
export async function readImageFiles(
  source: ContentSource,
  layers: readonly Descriptor[],
  options: ImageFilesOptions = {},
): Promise<ImageFiles> {
  const tree = new FileTree();
  const budget = { entries: ENTRIES_MAX, length: PATHS_LENGTH_MAX };
  for (const [layer, descriptor] of layers.entries()) {
    let entry = 0;
    const skip = (name: string, why: string) => options.onSkipped?.({ layer: descriptor, name, why });
    for await (const header of readLayer(layerBytes(source, descriptor, options))) {
      budget.entries -= 1;
      budget.length -= header.name.length + header.linkName.length;
      if (budget.entries < 0 || budget.length < 0)
        throw new ClientError("invalid", `${source.label}: the image has more files than can be looked at`);
      const hash = options.hash === true && header.kind === "file" ? await hashOf(header) : null;
      const why = apply(tree, header, { layer, entry, hash });
      if (why !== null) skip(header.name, why);
      entry += 1;
    }
  }
  return { layers, tree };
}

/** Components of a path in a layer; null when it leads above the root, or is longer than any path. */
export function pathOf(name: string): readonly string[] | null {
  if (name.length > PATH_LENGTH_MAX || name.includes("\0")) return null;
  const path: string[] = [];
  for (const part of name.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") path.push(part);
    else if (path.pop() === undefined) return null;
  }
  return path;
}

interface Place {
  readonly layer: number;
  readonly entry: number;
  readonly hash: string | null;
}

/** Null, or why the entry is left out. */
function apply(tree: FileTree, header: LayerEntry, place: Place): string | null {
  const path = pathOf(header.name);
  if (path === null) return "it leads out of the image";
  if (header.linkName.length > PATH_LENGTH_MAX) return "it links to what is longer than any path";
  const name = path.at(-1) ?? "";
  const folder = path.slice(0, -1);
  if (name === OPAQUE) {
    tree.clear(folder, place.layer);
    return null;
  }
  if (name.startsWith(AUFS)) return null;
  if (name.startsWith(WHITEOUT)) return applyWhiteout(tree, [...folder, name.slice(WHITEOUT.length)], place);
  const inode = header.kind === "hardlink" ? linkedInode(tree, header.linkName) : inodeOf(header, place);
  if (inode === null) return "it is a hard link to nothing";
  return tree.put(path, inode, place.layer) ? null : "its folder cannot be there";
}

function applyWhiteout(tree: FileTree, path: readonly string[], { layer }: Place): string | null {
  const name = path.at(-1) ?? "";
  if (name === "" || name === "." || name === "..") return "it deletes nothing that can be named";
  tree.remove(path, layer);
  return null;
}

/** A hard link is another name of what its target is in this layer or below. */
function linkedInode(tree: FileTree, target: string): Inode | null {
  const path = pathOf(target);
  const inode = path === null ? null : (tree.find(path, { followLast: false })?.inode ?? null);
  return inode === null || inode.kind === "directory" ? null : inode;
}

function inodeOf(header: LayerEntry, { layer, entry, hash }: Place): Inode | null {
  const { kind, size, mode, uid, gid, linkName, major, minor } = header;
  if (kind === "hardlink") return null;
  const isDevice = kind === "character" || kind === "block";
  const link = kind === "symlink" ? linkName : "";
  const device = isDevice ? `${major}:${minor}` : "";
  return { kind, layer, entry, size, mode, uid, gid, linkName: link, device, hash };
}

async function hashOf(entry: LayerEntry): Promise<string> {
  const hasher = createHasher("sha256");
  for await (const piece of entry.bytes()) hasher.update(piece);
  return hasher.digest().slice("sha256:".length);
}

/**
 * Opens the bytes of a file of the image: its layer is read once more, and to its end.
 * @throws ClientError
 */
export async function* readImageFile(
  source: ContentSource,
  { layers }: ImageFiles,
  { inode, signal }: IoOptions & { readonly inode: Inode },
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const layer = layers[inode.layer];
  if (layer === undefined) return;
  let entry = 0;
  for await (const header of readLayer(layerBytes(source, layer, { signal }))) {
    if (entry === inode.entry) yield* header.bytes();
    entry += 1;
  }
}
