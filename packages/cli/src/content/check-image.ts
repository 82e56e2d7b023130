import { isObject, type Descriptor } from "@stowage/oci/descriptor";
import { isNonDistributable, manifestKind } from "@stowage/oci/media-type";
import { parseManifest } from "@stowage/oci/manifest";
import { ClientError } from "@stowage/client/client-error";
import type { ContentSource, IoOptions, RawManifest } from "@stowage/client/content";
import { createHasher } from "@stowage/client/hasher";
import { readConfig, requireManifest } from "@stowage/client/image";
import { type ManifestParts, partsOf } from "@stowage/client/image-manifests";
import { layerBytes } from "@stowage/client/layers/layer-bytes";
import { piecesOf } from "@stowage/client/streams";

/** Something that is wrong with an image. */
export interface Finding {
  /** The manifest that it is about. */
  readonly manifest: string;
  /** The blob or manifest that is wrong; the manifest itself when it is that. */
  readonly digest: string;
  readonly problem: string;
}

export interface CheckResult {
  readonly digest: string;
  readonly manifests: number;
  readonly blobs: number;
  /** Bytes of blobs that were read. */
  readonly bytes: number;
  readonly findings: readonly Finding[];
}

/** Manifests of one image, findings that are told, and how deep indexes may lie in each other. */
const MANIFESTS_MAX = 10_000;
const FINDINGS_MAX = 1_000;
const DEPTH_MAX = 8;

/**
 * Reads everything of an image, of every platform: is it there, has it its digest and size, are the layers those that the config
 * says. A blob that several manifests name is read once. @throws ClientError when the image itself is not there, or nobody answers
 */
export async function checkImage(
  source: ContentSource,
  reference: string | null,
  options: IoOptions & { readonly onBlob?: (blob: Descriptor) => void } = {},
): Promise<CheckResult> {
  const check = new Check(source, options);
  const root = await requireManifest(source, reference, options);
  await check.manifest(root, 0);
  return { digest: root.digest, ...check.result };
}

type BlobState = { readonly problem: string | null; readonly diffId: string | null };

class Check {
  readonly #source: ContentSource;
  readonly #options: IoOptions & { readonly onBlob?: (blob: Descriptor) => void };
  readonly #blobs = new Map<string, BlobState>();
  readonly #manifests = new Set<string>();
  readonly #findings: Finding[] = [];
  #bytes = 0;

  constructor(source: ContentSource, options: IoOptions & { readonly onBlob?: (blob: Descriptor) => void }) {
    this.#source = source;
    this.#options = options;
  }

  get result() {
    const [manifests, blobs] = [this.#manifests.size, this.#blobs.size];
    return { manifests, blobs, bytes: this.#bytes, findings: this.#findings };
  }

  async manifest(manifest: RawManifest, depth: number): Promise<void> {
    if (this.#manifests.has(manifest.digest)) return;
    this.#manifests.add(manifest.digest);
    if (this.#manifests.size > MANIFESTS_MAX || depth > DEPTH_MAX)
      throw new ClientError("invalid", `more than ${MANIFESTS_MAX} manifests, or ${DEPTH_MAX} in each other`);
    const read = parseManifest(manifest.bytes, manifest.mediaType);
    if (!read.ok) {
      this.#report(manifest, manifest.digest, read.problem);
      return;
    }
    const parts = partsOf(manifest);
    if (parts.kind === "index") await this.#index(manifest, parts, depth);
    else await this.#image(manifest, parts);
  }

  async #index(index: RawManifest, { manifests }: ManifestParts, depth: number): Promise<void> {
    for (const entry of manifests) {
      if (manifestKind(entry.mediaType) === null) {
        // BuildKit's caches list blobs.
        this.#reportState(index, entry, await this.#blob(entry, { isLayer: false }));
        continue;
      }
      const child = await this.#attempt(() => this.#source.getManifest(entry.digest, this.#options));
      if (child instanceof ClientError) this.#report(index, entry.digest, child.message);
      else if (child === null) this.#report(index, entry.digest, "the manifest is not there");
      else if (child.bytes.byteLength !== entry.size)
        this.#report(
          index,
          entry.digest,
          `it has ${child.bytes.byteLength} bytes; the index says ${entry.size}`,
        );
      else await this.manifest(child, depth + 1);
    }
  }

  async #image(manifest: RawManifest, parts: ManifestParts): Promise<void> {
    const diffIds: (string | null)[] = [];
    const { config } = parts;
    if (config !== null) this.#reportState(manifest, config, await this.#blob(config, { isLayer: false }));
    const isImage = config !== null && /image.*config|container\.image/.test(config.mediaType);
    for (const layer of parts.layers) {
      const state = await this.#blob(layer, { isLayer: isImage });
      this.#reportState(manifest, layer, state);
      diffIds.push(state.diffId);
    }
    if (isImage && this.#blobs.get(config.digest)?.problem === null)
      await this.#diffIds(manifest, parts, diffIds);
  }

  /** What the config says that the layers are when they are unpacked (image specification, "Layer DiffID"). */
  async #diffIds(
    manifest: RawManifest,
    parts: ManifestParts,
    found: readonly (string | null)[],
  ): Promise<void> {
    const config = await this.#attempt(() => readConfig(this.#source, parts, this.#options));
    if (config instanceof ClientError) {
      this.#report(manifest, parts.config?.digest ?? manifest.digest, config.message);
      return;
    }
    const { rootfs } = config;
    const wanted: readonly unknown[] =
      isObject(rootfs) && Array.isArray(rootfs.diff_ids) ? rootfs.diff_ids : [];
    if (wanted.length !== found.length) {
      this.#report(
        manifest,
        parts.config?.digest ?? manifest.digest,
        `the config is of ${wanted.length} layers; the manifest has ${found.length}`,
      );
      return;
    }
    found.forEach((diffId, at) => {
      if (diffId === null || diffId === wanted[at]) return;
      const layer = parts.layers[at]?.digest ?? "";
      this.#report(
        manifest,
        layer,
        `unpacked it is ${diffId}; the config says ${textOf(wanted[at]).slice(0, 200)}`,
      );
    });
  }

  async #blob(blob: Descriptor, { isLayer }: { readonly isLayer: boolean }): Promise<BlobState> {
    const known = this.#blobs.get(blob.digest);
    // As a layer it has to be unpacked as well.
    if (known !== undefined && (known.diffId !== null || !isLayer || known.problem !== null)) return known;
    this.#options.onBlob?.(blob);
    const result = await this.#attempt(() => (isLayer ? this.#readLayer(blob) : this.#readBytes(blob)));
    const state = result instanceof ClientError ? { problem: problemOf(blob, result), diffId: null } : result;
    this.#blobs.set(blob.digest, state);
    return state;
  }

  async #readBytes(blob: Descriptor): Promise<BlobState> {
    const stream = await this.#source.openBlob(blob, this.#options);
    if (stream === null) return { problem: absence(blob), diffId: null };
    for await (const piece of piecesOf(stream)) this.#bytes += piece.byteLength;
    return { problem: null, diffId: null };
  }

  async #readLayer(blob: Descriptor): Promise<BlobState> {
    const hasher = createHasher("sha256");
    try {
      for await (const piece of layerBytes(this.#source, blob, this.#options)) hasher.update(piece);
    } catch (error) {
      // Broken as a packed file: its own bytes may still be what they should be.
      if (!(error instanceof ClientError) || error.kind !== "invalid") throw error;
      const bytes = await this.#readBytes(blob);
      return bytes.problem === null ? { problem: error.message, diffId: null } : bytes;
    }
    this.#bytes += blob.size;
    return { problem: null, diffId: hasher.digest() };
  }

  /** What is wrong with content is a finding; that nobody answers, or that we may not, is none. */
  async #attempt<T>(work: () => Promise<T>): Promise<T | ClientError> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof ClientError && ["not-found", "mismatch", "invalid"].includes(error.kind))
        return error;
      throw error;
    }
  }

  #reportState(manifest: RawManifest, { digest }: Descriptor, { problem }: BlobState): void {
    if (problem !== null) this.#report(manifest, digest, problem);
  }

  #report({ digest: manifest }: RawManifest, digest: string, problem: string): void {
    if (this.#findings.length < FINDINGS_MAX) this.#findings.push({ manifest, digest, problem });
  }
}

function problemOf(blob: Descriptor, error: ClientError): string | null {
  return error.kind === "not-found" ? absence(blob) : error.message;
}

/** Foreign layers need not be there (image specification, "Non-Distributable Layers"). */
function absence({ mediaType }: Descriptor): string | null {
  return isNonDistributable(mediaType) ? null : "the blob is not there";
}

/** Others have written it: an object would turn itself into text as it likes, or not at all. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "nothing");
}
