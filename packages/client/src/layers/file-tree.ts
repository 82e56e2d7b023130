import { badLayer } from "./layer-error.ts";
import type { EntryKind } from "./layer-header.ts";

/** What one or several paths of an image name: a file with its bytes, a folder, a link, a device. */
export interface Inode {
  readonly kind: Exclude<EntryKind, "hardlink">;
  /** Where it was written: number of the layer from 0, the lowest, and of the entry in it. */
  readonly layer: number;
  readonly entry: number;
  /** Bytes of a file. */
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly linkName: string;
  /** `major:minor` of a device, otherwise empty. */
  readonly device: string;
  /** SHA-256 of a file, in hexadecimal, when hashes were wanted. */
  hash: string | null;
}

/** One place in the tree. A folder without an inode is there because something lies in it. */
export interface TreeNode {
  inode: Inode | null;
  /** Layer that put it there. */
  layer: number;
  /** Null: no folder. */
  children: Map<string, TreeNode> | null;
}

/** Symbolic links that are followed on one way, as Linux does it. */
const LINKS_MAX = 40;

/** Steps of one way, those of its links counted: a path of 4,096 characters has half as many. */
const STEPS_MAX = 4_096;

/** Places in one tree; a large image has 300,000. Folders that nobody wrote count: one deep path makes many of them. */
const NODES_MAX = 4_000_000;

/**
 * Places that are looked at for one tree, again and again those that are looked at again: links that lead through links, and
 * whiteouts of folders in which nothing is to be taken away, make small layers large work. Large images need 10,000,000.
 */
const LOOKS_MAX = 50_000_000;

/** The files of an image, one layer over the other (OCI image specification, "Image Layer Filesystem Changeset"). */
export class FileTree {
  readonly root: TreeNode = { inode: null, layer: 0, children: new Map() };
  readonly #nodesMax: number;
  readonly #looksMax: number;
  #nodes = 0;
  #looks = 0;

  constructor({
    nodesMax = NODES_MAX,
    looksMax = LOOKS_MAX,
  }: { readonly nodesMax?: number; readonly looksMax?: number } = {}) {
    this.#nodesMax = nodesMax;
    this.#looksMax = looksMax;
  }

  /**
   * Puts something at a path; a folder over a folder keeps what is in it. False: the path leads nowhere.
   * @throws ClientError of kind `invalid` when there are too many places
   */
  put(path: readonly string[], inode: Inode, layer: number): boolean {
    const name = path.at(-1);
    if (name === undefined) {
      if (inode.kind === "directory") this.root.inode = inode;
      return inode.kind === "directory";
    }
    const folder = this.#openFolder(path.slice(0, -1), layer);
    if (folder === null) return false;
    const before = folder.get(name);
    const children = inode.kind === "directory" ? (before?.children ?? new Map()) : null;
    folder.set(name, { inode, layer, children });
    if (before === undefined) this.#count();
    return true;
  }

  /** Takes away what lower layers have at a path. */
  remove(path: readonly string[], layer: number): void {
    const name = path.at(-1);
    const folder = this.find(path.slice(0, -1))?.children;
    if (name !== undefined && folder !== undefined && folder !== null) this.#removeFrom(folder, name, layer);
  }

  /** Takes away everything that lower layers have in a folder. */
  clear(path: readonly string[], layer: number): void {
    const folder = this.find(path)?.children ?? new Map<string, TreeNode>();
    for (const name of [...folder.keys()]) this.#removeFrom(folder, name, layer);
  }

  /** What is at a path: symbolic links on the way are followed, within the image, and at the end if so wanted. */
  find(path: readonly string[], { followLast = true } = {}): TreeNode | null {
    const found = this.#walk(path, followLast);
    return found === null ? null : found.node;
  }

  /** Every place with what is there, folders before what is in them, names in the order of their code units. */
  *[Symbol.iterator](): Generator<readonly [path: string, node: TreeNode], void, void> {
    const open: (readonly [string, TreeNode])[] = [["", this.root]];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const [path, node] = next;
      if (path !== "") yield next;
      const names = [...(node.children?.keys() ?? [])].toSorted().toReversed();
      for (const name of names) {
        const child = node.children?.get(name);
        if (child !== undefined) open.push([path === "" ? name : `${path}/${name}`, child]);
      }
    }
  }

  /** The folder at a path, made where there is none; what is no folder makes room. Null: links lead in a circle. */
  #openFolder(path: readonly string[], layer: number): Map<string, TreeNode> | null {
    const found = this.#walk(path, true, layer);
    return found?.node.children ?? null;
  }

  /** `makeFor`: the layer that missing folders are made for. */
  #walk(path: readonly string[], followLast: boolean, makeFor?: number): { readonly node: TreeNode } | null {
    const way: TreeNode[] = [this.root];
    const left = path.toReversed();
    let links = 0;
    let steps = 0;
    for (let name = left.pop(); name !== undefined; name = left.pop()) {
      if (++steps > STEPS_MAX) return null;
      this.#look();
      const at = way.at(-1) ?? this.root;
      if (name === "" || name === ".") continue;
      if (name === "..") {
        // Above the root of an image is its root.
        if (way.length > 1) way.pop();
        continue;
      }
      let next = at.children?.get(name);
      if (next?.inode?.kind === "symlink" && (left.length > 0 || followLast)) {
        if (++links > LINKS_MAX) return null;
        const { linkName } = next.inode;
        if (linkName.startsWith("/")) way.length = 1;
        const parts = linkName.split("/").toReversed();
        this.#look(parts.length);
        left.push(...parts);
        continue;
      }
      if (makeFor !== undefined && (next === undefined || next.children === null)) {
        next = { inode: null, layer: makeFor, children: new Map() };
        at.children?.set(name, next);
        this.#count();
      }
      if (next === undefined) return null;
      way.push(next);
    }
    return { node: way.at(-1) ?? this.root };
  }

  /** Whatever is taken away again counts as well: it is a bound of work, too. */
  #count(): void {
    this.#nodes += 1;
    if (this.#nodes > this.#nodesMax)
      throw badLayer(`the image has more than ${this.#nodesMax} files and folders`);
  }

  #look(count = 1): void {
    this.#looks += count;
    if (this.#looks > this.#looksMax) throw badLayer("its links and whiteouts take more work than any image");
  }

  /** What this layer itself put below a place stays (image specification, "Whiteouts" apply to lower layers only). */
  #removeFrom(folder: Map<string, TreeNode>, name: string, layer: number): void {
    this.#look();
    const node = folder.get(name);
    if (node === undefined) return;
    for (const below of [...(node.children?.keys() ?? [])]) {
      if (node.children !== null) this.#removeFrom(node.children, below, layer);
    }
    const isEmpty = (node.children?.size ?? 0) === 0;
    if (node.layer < layer && isEmpty) folder.delete(name);
  }
}
