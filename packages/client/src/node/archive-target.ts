import { open, stat } from "node:fs/promises";
import type { Digest } from "@stowage/oci/digest";
import { parseDigest } from "@stowage/oci/digest";
import {
  blobFile,
  dockerFile,
  type KnownFile,
  indexFile,
  LAYOUT_FILE,
  loadableImage,
  manifestFile,
} from "../archive/export-archive.ts";
import { TAR_END, tarHeaderOf, tarPaddingOf } from "../archive/tar-writer.ts";
import { ClientError } from "../client-error.ts";
import type {
  BlobRef,
  ClosableTarget,
  IoOptions,
  ManifestHead,
  OpenBytes,
  PutBlobOptions,
  RawManifest,
} from "../content.ts";
import { Semaphore } from "../semaphore.ts";
import { NewFile } from "./files.ts";
import { rootsOf } from "./roots.ts";
import { receive } from "./verified-bytes.ts";

/** Where an archive's bytes go. */
export interface ArchiveSink extends AsyncDisposable {
  write(bytes: Uint8Array): Promise<void>;
  /** The archive is complete. */
  commit(): Promise<void>;
}

/**
 * An archive that is written from its beginning to its end: an OCI layout, for `docker-archive` with the `manifest.json` that
 * `docker load` reads beside it. Tags are the names of its images. What was begun and not closed leaves no file.
 */
export class ArchiveTarget implements ClosableTarget, AsyncDisposable {
  readonly label: string;
  readonly #isForDocker: boolean;
  readonly #sink: ArchiveSink;
  /** One file at a time. */
  readonly #turn = new Semaphore(1);
  readonly #blobs = new Set<Digest>();
  readonly #manifests = new Map<Digest, RawManifest>();
  readonly #names = new Map<string, Digest>();
  #failure: unknown = null;

  constructor(
    sink: ArchiveSink,
    { label, isForDocker }: { readonly label: string; readonly isForDocker: boolean },
  ) {
    this.#sink = sink;
    this.label = label;
    this.#isForDocker = isForDocker;
  }

  async hasBlob({ digest }: BlobRef): Promise<boolean> {
    return this.#blobs.has(digest);
  }

  async headManifest(reference: string): Promise<ManifestHead | null> {
    const digest = this.#names.get(reference) ?? parseDigest(reference);
    const manifest = digest === null ? undefined : this.#manifests.get(digest);
    if (manifest === undefined) return null;
    return { digest: manifest.digest, mediaType: manifest.mediaType, size: manifest.bytes.byteLength };
  }

  async mountBlob(): Promise<boolean> {
    return false;
  }

  async putBlob(blob: BlobRef, open: OpenBytes, options: PutBlobOptions = {}): Promise<void> {
    await this.#write(async () => {
      if (this.#blobs.has(blob.digest)) return;
      const { path, size } = blobFile(blob);
      await this.#sink.write(tarHeaderOf(path, size));
      const write = async (bytes: Uint8Array) => await this.#sink.write(bytes);
      await receive(blob, open, { write, label: this.label, options });
      await this.#sink.write(new Uint8Array(tarPaddingOf(size)));
      this.#blobs.add(blob.digest);
    });
  }

  async putManifest(
    manifest: RawManifest,
    { tags = [] }: IoOptions & { readonly tags?: readonly string[] } = {},
  ): Promise<void> {
    await this.#write(async () => {
      if (!this.#manifests.has(manifest.digest)) await this.#writeFile(manifestFile(manifest));
      this.#manifests.set(manifest.digest, manifest);
      for (const tag of tags) this.#names.set(tag, manifest.digest);
    });
  }

  /** Ends the archive. @throws ClientError of kind `invalid` when there is nothing that docker could load */
  async close(): Promise<void> {
    await this.#write(async () => {
      const roots = rootsOf(this.#manifests, this.#names);
      await this.#writeFile(LAYOUT_FILE);
      await this.#writeFile(indexFile(roots));
      if (this.#isForDocker) {
        const loadable = roots.flatMap(({ manifest, names }) => {
          const image = loadableImage(
            manifest,
            (digest) => this.#manifests.get(digest) ?? null,
            (digest) => this.#blobs.has(digest),
          );
          return image === null ? [] : [{ image, names }];
        });
        if (loadable.length === 0) {
          throw new ClientError(
            "invalid",
            `cannot write ${this.label}: there is no container image to put into it`,
          );
        }
        await this.#writeFile(dockerFile(loadable));
      }
      await this.#sink.write(TAR_END);
      await this.#sink.commit();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sink[Symbol.asyncDispose]();
  }

  async #writeFile({ path, size, content }: KnownFile): Promise<void> {
    await this.#sink.write(tarHeaderOf(path, size));
    await this.#sink.write(content);
    await this.#sink.write(new Uint8Array(tarPaddingOf(size)));
  }

  /** In turn; after a failure in the middle of a file nothing more can be written. */
  async #write(work: () => Promise<void>): Promise<void> {
    await this.#turn.run(async () => {
      if (this.#failure !== null) {
        throw new ClientError("invalid", `${this.label} is broken off`, { cause: this.#failure });
      }
      try {
        await work();
      } catch (error) {
        this.#failure = error ?? new Error("unknown");
        throw error;
      }
    });
  }
}

/** A file; devices and pipes are written as they are. @throws ClientError of kind `invalid` */
export async function fileSink(path: string): Promise<ArchiveSink> {
  const found = await stat(path).catch(() => null);
  if (found !== null && !found.isFile() && !found.isDirectory()) {
    const handle = await open(path, "w");
    const sink = streamSink(async (bytes) => await handle.writeFile(bytes));
    return { ...sink, [Symbol.asyncDispose]: async () => await handle.close() };
  }
  return await NewFile.create(path);
}

/** Whatever takes bytes, for example standard output. */
export function streamSink(write: (bytes: Uint8Array) => Promise<void>): ArchiveSink {
  return {
    write: async (bytes) => {
      if (bytes.byteLength > 0) await write(bytes);
    },
    commit: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}
