import type { FileHandle } from "node:fs/promises";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Descriptor } from "@stowage/oci/descriptor";
import { algorithmOf, type Digest, parseDigest } from "@stowage/oci/digest";
import { quote } from "@stowage/oci/reference";
import { ArchiveContents, type ArchivedFile, digestInName } from "../archive/archive-contents.ts";
import { chooseImage } from "../archive/choose-image.ts";
import { type ArchiveImage, ImageArchive } from "../archive/image-archive.ts";
import { keepsFile, startOf } from "../archive/kept-files.ts";
import { readTar, type TarEntry } from "../archive/tar-reader.ts";
import { packingOf, unpack } from "../archive/unpack.ts";
import { ClientError } from "../client-error.ts";
import type { BlobRef, ContentSource, IoOptions, RawManifest } from "../content.ts";
import { createHasher } from "../hasher.ts";
import { partsOf } from "../image-manifests.ts";
import { streamOf } from "../streams.ts";
import { openFile, readRange } from "./files.ts";
import { verified } from "./verified-bytes.ts";

/**
 * A tar file with images: an OCI archive or a docker-archive, perhaps gzipped. Opened, it is read once, so that every digest
 * is known and everything in it has been judged; then blobs are read where they lie.
 */
export class ArchiveSource implements ContentSource, AsyncDisposable {
  readonly label: string;
  readonly #handle: FileHandle;
  readonly #archive: ImageArchive;
  /** Where the bytes of a file begin. */
  readonly #offsets: ReadonlyMap<string, number>;

  private constructor(label: string, handle: FileHandle, { archive, offsets }: Indexed) {
    this.label = label;
    this.#handle = handle;
    this.#archive = archive;
    this.#offsets = offsets;
  }

  /** @throws ClientError `not-found`; `invalid` or `mismatch` when the archive is refused */
  static async open(path: string, label: string): Promise<ArchiveSource> {
    const handle = await openUnpacked(path);
    try {
      return new ArchiveSource(label, handle, await readIndex(handle));
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  get images(): readonly ArchiveImage[] {
    return this.#archive.images;
  }

  /** By one of its names, its tag alone, or a digest. @throws ClientError `not-found` that lists what is there, unless asked by digest */
  async getManifest(reference: string | null): Promise<RawManifest | null> {
    const digest = parseDigest(reference ?? "");
    if (digest !== null) return this.#archive.manifest(digest);
    const nothing = { image: null, digest: null, repository: null, tag: null };
    if (reference === null) return chooseImage(this.#archive, nothing).manifest;
    const byTag = this.images.filter(({ names }) => names.some((name) => name.endsWith(`:${reference}`)));
    if (byTag.length === 1 && byTag[0] !== undefined && !reference.includes(":")) return byTag[0].manifest;
    return chooseImage(this.#archive, { ...nothing, image: reference }).manifest;
  }

  async openBlob(
    blob: BlobRef,
    { offset = 0 }: IoOptions & { readonly offset?: number } = {},
  ): Promise<ReadableStream<Uint8Array<ArrayBuffer>> | null> {
    const file = this.#archive.blob(blob.digest);
    const start = file === null ? undefined : this.#offsets.get(file.path);
    if (file === null || start === undefined) return null;
    const pieces = readRange(this.#handle, start + offset, start + file.size);
    return streamOf(verified(pieces, blob, { offset, label: this.label }));
  }

  async *referrers(
    digest: Digest,
    { artifactType }: IoOptions & { readonly artifactType?: string | undefined } = {},
  ): AsyncIterable<Descriptor> {
    const manifests = new Map(
      this.images.flatMap(({ manifest }) =>
        this.#archive.contentOf(manifest).manifests.map((each) => [each.digest, each] as const),
      ),
    );
    yield* referrersAmong(manifests.values(), { digest, artifactType });
  }

  async *tags(): AsyncIterable<string> {
    for (const { names } of this.images) yield* names;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

/** Those of the manifests whose subject is `digest`. */
export function* referrersAmong(
  manifests: Iterable<RawManifest>,
  { digest, artifactType }: { readonly digest: Digest; readonly artifactType: string | undefined },
): Generator<Descriptor, void, void> {
  for (const manifest of manifests) {
    const parts = partsOf(manifest);
    const type = parts.artifactType ?? parts.config?.mediaType ?? null;
    if (parts.subject?.digest !== digest || (artifactType !== undefined && type !== artifactType)) continue;
    const { mediaType, bytes } = manifest;
    const { annotations } = parts;
    yield {
      mediaType,
      digest: manifest.digest,
      size: bytes.byteLength,
      artifactType: type,
      annotations,
      platform: null,
    };
  }
}

interface Indexed {
  readonly archive: ImageArchive;
  readonly offsets: ReadonlyMap<string, number>;
}

async function readIndex(handle: FileHandle): Promise<Indexed> {
  const contents = new ArchiveContents();
  const offsets = new Map<string, number>();
  const { size } = await handle.stat();
  let keptBytes = 0;
  for await (const entry of readTar(readRange(handle, 0, size))) {
    if (entry.kind === "symlink") contents.addLink(entry.path, entry.linkName);
    if (entry.kind !== "file") continue;
    const file = await readFile(entry, keptBytes);
    keptBytes += file.bytes?.byteLength ?? 0;
    contents.addFile(file);
    offsets.set(entry.path, entry.offset);
  }
  return { archive: new ImageArchive(contents), offsets };
}

async function readFile(entry: TarEntry, keptBytes: number): Promise<ArchivedFile> {
  const { path, size } = entry;
  const named = digestInName(path);
  const hasher = createHasher(named === null ? "sha256" : algorithmOf(named));
  const { start, rest } = await startOf(entry.bytes());
  const bytes = keepsFile(entry, start, keptBytes) ? new Uint8Array(size) : null;
  let at = 0;
  for await (const piece of rest) {
    hasher.update(piece);
    bytes?.set(piece, at);
    at += piece.byteLength;
  }
  return { path, size, start, bytes, digest: hasher.digest() };
}

/** A gzipped archive cannot be read at any place: it is unpacked into a file that nobody else sees. */
async function openUnpacked(path: string): Promise<FileHandle> {
  const handle = await openFile(path);
  if (handle === null)
    throw new ClientError("not-found", `cannot read ${quote(path)}: there is no such file`);
  try {
    const { size } = await handle.stat();
    const { buffer, bytesRead } = await handle.read(new Uint8Array(8), 0, 8, 0);
    if (packingOf(buffer.subarray(0, bytesRead)) === null) return handle;
    const unpacked = await temporaryFile();
    try {
      for await (const piece of unpack(readRange(handle, 0, size))) await unpacked.writeFile(piece);
    } catch (error) {
      await unpacked.close();
      throw error;
    }
    await handle.close();
    return unpacked;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function temporaryFile(): Promise<FileHandle> {
  const folder = await mkdtemp(join(tmpdir(), "stowage-"));
  try {
    return await open(join(folder, "archive.tar"), "wx+", 0o600);
  } finally {
    // The open file stays readable without its name.
    await rm(folder, { recursive: true, force: true });
  }
}
