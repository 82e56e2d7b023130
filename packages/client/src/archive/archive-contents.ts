import { type Digest, digestFromHex, parseDigestAlgorithm } from "@stowage/oci/digest";
import { quote } from "@stowage/oci/reference";
import { archiveTooLarge, badArchive, wrongDigest } from "./archive-error.ts";

/** Most links that are followed from one to the next; real archives have one. */
const LINK_HOPS_MAX = 8;

/** Most folders of one archive: a docker-archive has one for each layer. */
const FOLDERS_MAX = 65_536;

/** A file of an archive. */
export interface ArchivedFile {
  readonly path: string;
  /** Of the algorithm that its name says, otherwise sha256. */
  readonly digest: Digest;
  readonly size: number;
  /** Its first bytes: how a layer is packed. */
  readonly start: Uint8Array;
  /** All of them, when they are few enough to be kept. */
  readonly bytes: Uint8Array<ArrayBuffer> | null;
}

/** What an archive holds, by path and by digest. */
export class ArchiveContents {
  readonly #files = new Map<string, ArchivedFile>();
  readonly #byDigest = new Map<Digest, ArchivedFile>();
  readonly #links = new Map<string, string>();
  readonly #folders = new Set<string>();

  /** @throws ClientError `mismatch` when its name says another digest; `invalid` when it lies below a file */
  addFile(file: ArchivedFile): void {
    this.#claim(file.path);
    const wanted = digestInName(file.path);
    if (wanted !== null && wanted !== file.digest) {
      throw wrongDigest(quote(file.path), { wanted, got: file.digest });
    }
    this.#files.set(file.path, file);
    if (!this.#byDigest.has(file.digest)) this.#byDigest.set(file.digest, file);
  }

  /** @throws ClientError when the link leads out of the archive, or lies below a file */
  addLink(path: string, target: string): void {
    this.#claim(path);
    this.#links.set(path, resolveLink(path, target));
  }

  /** The file at the path, links followed; null when there is none. @throws ClientError when links go in a circle */
  get(path: string): ArchivedFile | null {
    let at = path;
    for (let hops = 0; hops <= LINK_HOPS_MAX; hops++) {
      const file = this.#files.get(at);
      if (file !== undefined) return file;
      const next = this.#links.get(at);
      if (next === undefined) return null;
      at = next;
    }
    throw badArchive(`the symbolic link ${quote(path)} leads to no file after ${LINK_HOPS_MAX} others`);
  }

  byDigest(digest: Digest): ArchivedFile | null {
    return this.#byDigest.get(digest) ?? null;
  }

  /** A path that is a file or link is not also a folder: programs that unpack it would not agree on what is where. */
  #claim(path: string): void {
    for (let slash = path.indexOf("/"); slash !== -1; slash = path.indexOf("/", slash + 1)) {
      // A part of the path, which the runtime keeps once: an archive may have tens of thousands of them.
      const folder = path.slice(0, slash);
      if (this.#files.has(folder) || this.#links.has(folder)) {
        throw badArchive(`${quote(path)} lies below ${quote(folder)}, which is no folder`);
      }
      this.#folders.add(folder);
    }
    if (this.#folders.size > FOLDERS_MAX) throw archiveTooLarge(`it has more than ${FOLDERS_MAX} folders`);
    if (this.#folders.has(path)) throw badArchive(`${quote(path)} is a folder as well`);
  }
}

/** The digest that a path says: `blobs/<algorithm>/<hex>` of a layout; `<hex>.json` or `<hex>.tar` of a docker-archive. */
export function digestInName(path: string): Digest | null {
  const [, name = "", blobHex = ""] = /^blobs\/(\w+)\/(\w+)$/.exec(path) ?? [];
  const algorithm = parseDigestAlgorithm(name);
  if (algorithm !== null) return digestFromHex(algorithm, blobHex);
  const [, hex = ""] = /^(?:sha256:)?([0-9a-f]{64})(?:\.json|\.tar|\.tar\.gz)?$/.exec(path) ?? [];
  return digestFromHex("sha256", hex);
}

function resolveLink(path: string, target: string): string {
  const resolved = path.split("/").slice(0, -1);
  const leadsOut = () =>
    badArchive(`the symbolic link ${quote(path)} leads out of the archive, to ${quote(target)}`);
  if (target === "" || target.startsWith("/") || target.includes("\\")) throw leadsOut();
  for (const component of target.split("/")) {
    if (component === "" || component === ".") continue;
    if (component !== "..") resolved.push(component);
    else if (resolved.pop() === undefined) throw leadsOut();
  }
  return resolved.join("/");
}
