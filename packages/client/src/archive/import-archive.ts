import { algorithmOf, type Digest, type DigestAlgorithm } from "@stowage/oci/digest";
import { quote } from "@stowage/oci/reference";
import type { RawManifest } from "../content.ts";
import { createHasher, digestOf } from "../hasher.ts";
import { ArchiveContents, type ArchivedFile, digestInName } from "./archive-contents.ts";
import { archiveTooLarge, badArchive } from "./archive-error.ts";
import { chooseImage, type WantedImage } from "./choose-image.ts";
import { ImageArchive, type ImageContent } from "./image-archive.ts";
import { keepsFile, startOf } from "./kept-files.ts";
import { readTar, type TarEntry } from "./tar-reader.ts";
import { unpack } from "./unpack.ts";

/** Most blobs of one archive, each of which is an open upload session until the archive ends. */
export const ARCHIVE_BLOBS_MAX = 2_048;

/** What is remembered of an entry besides its names, in bytes. */
const ENTRY_BYTES = 512;

/** Sessions that are finished at once. */
const FINISHED_AT_ONCE_MAX = 4;

/** Where an import puts an image: a repository, seen from inside a registry or over HTTP. */
export interface ImportPort {
  /** Told of bytes that are going to be kept in memory until the import ends; throws when they are too many. */
  keep(bytes: number): void;
  /** Whether the blob is there already; a yes keeps it there until a manifest names it. */
  hasBlob(digest: Digest): Promise<boolean>;
  /** Puts bytes into an upload session, which stays open. When that fails the session is cancelled. */
  upload(algorithm: DigestAlgorithm, content: SizedBytes): Promise<OpenUpload>;
  /** Asked when everything is known and before anything is kept: throws when the image cannot be put in the end. */
  admit(image: RawManifest): Promise<void>;
  /** Puts a manifest by its digest; the image's own, with which the import ends, under its tags as well. */
  putManifest(manifest: RawManifest, isRoot: boolean): Promise<void>;
}

export interface SizedBytes {
  /** How many there will be; when there are fewer, reading them throws. */
  readonly size: number;
  readonly bytes: AsyncGenerator<Uint8Array, void, void>;
}

/** A session whose bytes are all there. */
export interface OpenUpload {
  readonly digest: Digest;
  /** Makes it a blob. */
  finish(): Promise<void>;
  /** Ends it, with its bytes. */
  cancel(): Promise<void>;
}

/** What an import has put. */
export interface ImportedImage {
  readonly digest: Digest;
  readonly mediaType: string;
  /** What the archive calls it. */
  readonly names: readonly string[];
  readonly blobs: { readonly copied: number; readonly existed: number };
  /** Bytes of the blobs that were copied. */
  readonly bytes: number;
}

/**
 * Imports an image from an archive (see {@link ImageArchive}; perhaps gzipped) while it comes. Each file that can be a blob goes
 * into an open upload session: which digest it has is known after it, and whether it is wanted at the end. Small ones and those
 * that look like JSON, among them all manifests and configs, are kept in memory within a bound. When the archive has ended and
 * everything in it is right, the sessions that the image needs are finished and its manifests put; in all other cases every
 * session is cancelled, so that nothing is left of a refused archive. The source is not closed.
 * @throws ClientError of the archive; what the port throws
 */
export async function importArchive(
  archive: AsyncIterable<Uint8Array>,
  port: ImportPort,
  wanted: WantedImage,
): Promise<ImportedImage> {
  const running = new RunningImport(port);
  try {
    for await (const entry of readTar(unpack(archive))) await running.take(entry);
    return await running.commit(wanted);
  } finally {
    await running.cancelRest();
  }
}

class RunningImport {
  readonly #port: ImportPort;
  readonly #contents = new ArchiveContents();
  /** Sessions by the path of their file. */
  readonly #open = new Map<string, OpenUpload>();
  /** Files that the repository has already. */
  readonly #existing = new Set<Digest>();
  #blobs = 0;
  #keptBytes = 0;

  constructor(port: ImportPort) {
    this.#port = port;
  }

  async take(entry: TarEntry): Promise<void> {
    this.#port.keep(ENTRY_BYTES + entry.path.length + entry.linkName.length);
    if (entry.kind === "symlink") this.#contents.addLink(entry.path, entry.linkName);
    if (entry.kind === "file") this.#contents.addFile(await this.#takeFile(entry));
  }

  async #takeFile(entry: TarEntry): Promise<ArchivedFile> {
    const { path, size } = entry;
    const named = digestInName(path);
    const algorithm = named === null ? "sha256" : algorithmOf(named);
    const { start, rest } = await startOf(entry.bytes());
    if (keepsFile(entry, start, this.#keptBytes)) {
      this.#port.keep(size);
      const bytes = await collect(rest, size);
      this.#keptBytes += size;
      return { path, size, start, bytes, digest: digestOf(bytes, algorithm) };
    }
    if (++this.#blobs > ARCHIVE_BLOBS_MAX)
      throw archiveTooLarge(`it has more than ${ARCHIVE_BLOBS_MAX} blobs`);
    if (named !== null && (await this.#port.hasBlob(named))) {
      const digest = await hashAll(rest, algorithm);
      this.#existing.add(digest);
      return { path, size, start, bytes: null, digest };
    }
    const upload = await this.#port.upload(algorithm, { size, bytes: rest });
    this.#open.set(path, upload);
    return { path, size, start, bytes: null, digest: upload.digest };
  }

  async commit(wanted: WantedImage): Promise<ImportedImage> {
    const archive = new ImageArchive(this.#contents);
    const { manifest, names } = chooseImage(archive, wanted);
    const content = archive.requireContentOf(manifest);
    const needed = await this.#uploadsOf(content);
    await this.#port.admit(manifest);
    const uploads = [...needed.keys()];
    for (let at = 0; at < uploads.length; at += FINISHED_AT_ONCE_MAX) {
      await Promise.all(uploads.slice(at, at + FINISHED_AT_ONCE_MAX).map((path) => this.#finish(path)));
    }
    for (const child of content.manifests) await this.#port.putManifest(child, child === manifest);
    return {
      digest: manifest.digest,
      mediaType: manifest.mediaType,
      names,
      blobs: { copied: needed.size, existed: content.blobs.length - needed.size },
      bytes: [...needed.values()].reduce((sum, { size }) => sum + size, 0),
    };
  }

  /** What the image needs and the repository has not: open sessions, also of files that were kept in memory. */
  async #uploadsOf({ blobs }: ImageContent): Promise<ReadonlyMap<string, ArchivedFile>> {
    const needed = new Map<string, ArchivedFile>();
    for (const blob of blobs) {
      if (this.#existing.has(blob.digest)) continue;
      if (!this.#open.has(blob.path)) {
        if (blob.bytes === null) throw badArchive(`${quote(blob.path)} is not there any more`);
        if (await this.#port.hasBlob(blob.digest)) continue;
        this.#open.set(blob.path, await this.#upload(blob.digest, blob.bytes));
      }
      needed.set(blob.path, blob);
    }
    return needed;
  }

  async #upload(digest: Digest, bytes: Uint8Array<ArrayBuffer>): Promise<OpenUpload> {
    return await this.#port.upload(algorithmOf(digest), { size: bytes.byteLength, bytes: once(bytes) });
  }

  async #finish(path: string): Promise<void> {
    const upload = this.#open.get(path);
    await upload?.finish();
    this.#open.delete(path);
  }

  /** Ends every session that did not become a blob. What cannot be cancelled now ends by its age. */
  async cancelRest(): Promise<void> {
    for (const upload of this.#open.values()) await upload.cancel().catch(() => undefined);
    this.#open.clear();
  }
}

async function collect(
  pieces: AsyncGenerator<Uint8Array, void, void>,
  size: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(size);
  let filled = 0;
  for await (const piece of pieces) {
    bytes.set(piece, filled);
    filled += piece.byteLength;
  }
  return bytes;
}

async function hashAll(
  pieces: AsyncGenerator<Uint8Array, void, void>,
  algorithm: DigestAlgorithm,
): Promise<Digest> {
  const hasher = createHasher(algorithm);
  for await (const piece of pieces) hasher.update(piece);
  return hasher.digest();
}

/** A copy: who takes it may give its memory away. */
async function* once(bytes: Uint8Array<ArrayBuffer>): AsyncGenerator<Uint8Array, void, void> {
  if (bytes.byteLength > 0) yield bytes.slice();
}
