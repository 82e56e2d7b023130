import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type Descriptor, isObject, type JsonObject } from "@stowage/oci/descriptor";
import { algorithmOf, type Digest, hexOf, parseDigest } from "@stowage/oci/digest";
import { MANIFEST_BYTES_MAX, parseManifest } from "@stowage/oci/manifest";
import { manifestKind, MEDIA_TYPE } from "@stowage/oci/media-type";
import { quote } from "@stowage/oci/reference";
import { parseStrictJson } from "@stowage/oci/strict-json";
import { indexFile, LAYOUT_FILE } from "../archive/export-archive.ts";
import { CONTAINERD_NAME, REF_NAME } from "../archive/image-archive.ts";
import { ClientError } from "../client-error.ts";
import type {
  BlobRef,
  ClosableTarget,
  ContentSource,
  IoOptions,
  ManifestHead,
  OpenBytes,
  PutBlobOptions,
  RawManifest,
} from "../content.ts";
import { digestOf } from "../hasher.ts";
import { partsOf } from "../image-manifests.ts";
import { streamOf } from "../streams.ts";
import { referrersAmong } from "./archive-source.ts";
import { fileSize, NewFile, readFile, unusable } from "./files.ts";
import { readJson, readWhole, writeWhole } from "./whole-files.ts";
import { rootsOf } from "./roots.ts";
import { receive, verified } from "./verified-bytes.ts";

/** Most manifests that are looked at for referrers. */
const MANIFESTS_MAX = 10_000;

/**
 * A folder with an OCI image layout (OCI image specification, "Image Layout"), to read and to write. Tags are the annotation
 * `org.opencontainers.image.ref.name` of `index.json`, which `close` writes; blobs and manifests appear under their digest at once,
 * complete or not at all.
 */
export class OciLayout implements ContentSource, ClosableTarget {
  readonly label: string;
  readonly #path: string;
  /** Entries of `index.json` as they stand there. */
  #entries: readonly JsonObject[];
  readonly #put = new Map<Digest, RawManifest>();
  readonly #names = new Map<string, Digest>();

  private constructor(path: string, entries: readonly JsonObject[]) {
    this.#path = path;
    this.label = `oci:${path}`;
    this.#entries = entries;
  }

  /** A layout that is there. @throws ClientError of kind `not-found`, or `invalid` when it is none */
  static async open(path: string): Promise<OciLayout> {
    const layout = await readJson(join(path, LAYOUT_FILE.path));
    if (layout === null) throw new ClientError("not-found", `there is no OCI layout in ${quote(path)}`);
    if (layout.imageLayoutVersion !== "1.0.0") {
      throw new ClientError("invalid", `the OCI layout in ${quote(path)} is not of version 1.0.0`);
    }
    const index = await readJson(join(path, "index.json"));
    const entries = index === null ? [] : index.manifests;
    if (!Array.isArray(entries) || !entries.every(isObject)) {
      throw new ClientError(
        "invalid",
        `"index.json" of the OCI layout in ${quote(path)} has no list of manifests`,
      );
    }
    return new OciLayout(path, entries);
  }

  /** A layout that is made unless it is there; what it holds stays. @throws ClientError `invalid`: the folder holds other things */
  static async create(path: string): Promise<OciLayout> {
    try {
      await mkdir(join(path), { recursive: true });
      const found = await readdir(path);
      if (found.length > 0)
        return await OciLayout.open(path).catch((error: unknown) => refuseFolder(path, error));
      await mkdir(join(path, "blobs", "sha256"), { recursive: true });
    } catch (error) {
      throw error instanceof ClientError ? error : unusable("write", path, error);
    }
    await writeWhole(join(path, LAYOUT_FILE.path), LAYOUT_FILE.content);
    return new OciLayout(path, []);
  }

  /** @throws ClientError of kind `invalid` when there are several of that name, or null is asked for and there is not one */
  async getManifest(reference: string | null): Promise<RawManifest | null> {
    const digest = parseDigest(reference ?? "");
    if (digest !== null) return await this.#readManifest(digest, this.#typeOf(digest));
    const found = this.#find(reference);
    const [first, ...others] = [...new Map(found.map((entry) => [entry.digest, entry])).values()];
    if (others.length > 0) {
      const names = [...this.#tagList()].map(quote).join(", ");
      throw new ClientError(
        "invalid",
        `${this.label} has ${others.length + 1} images${reference === null ? "" : ` called ${quote(reference)}`}; say which: ${names}`,
      );
    }
    return first === undefined ? null : await this.#readManifest(first.digest, first.mediaType);
  }

  async openBlob(
    blob: BlobRef,
    { offset = 0 }: IoOptions & { readonly offset?: number } = {},
  ): Promise<ReadableStream<Uint8Array<ArrayBuffer>> | null> {
    const path = this.#blobPath(blob.digest);
    if ((await fileSize(path)) === null) return null;
    return streamOf(verified(readFile(path, offset), blob, { offset, label: this.label }));
  }

  async *referrers(
    digest: Digest,
    { artifactType }: IoOptions & { readonly artifactType?: string | undefined } = {},
  ): AsyncIterable<Descriptor> {
    for await (const manifest of this.#allManifests())
      yield* referrersAmong([manifest], { digest, artifactType });
  }

  async *tags(): AsyncIterable<string> {
    yield* this.#tagList();
  }

  async hasBlob({ digest, size }: BlobRef): Promise<boolean> {
    return (await fileSize(this.#blobPath(digest))) === size;
  }

  async headManifest(reference: string): Promise<ManifestHead | null> {
    const digest = this.#names.get(reference) ?? null;
    const manifest = (digest === null ? null : this.#put.get(digest)) ?? (await this.getManifest(reference));
    return (
      manifest && { digest: manifest.digest, mediaType: manifest.mediaType, size: manifest.bytes.byteLength }
    );
  }

  async mountBlob(): Promise<boolean> {
    return false;
  }

  async putBlob(blob: BlobRef, open: OpenBytes, options: PutBlobOptions = {}): Promise<void> {
    await using file = await this.#newBlob(blob.digest);
    const write = async (bytes: Uint8Array) => await file.write(bytes);
    await receive(blob, open, { write, label: this.label, options });
    await file.commit();
  }

  async putManifest(
    manifest: RawManifest,
    { tags = [] }: IoOptions & { readonly tags?: readonly string[] } = {},
  ): Promise<void> {
    await using file = await this.#newBlob(manifest.digest);
    await file.write(manifest.bytes);
    await file.commit();
    this.#put.set(manifest.digest, manifest);
    for (const tag of tags) this.#names.set(tag, manifest.digest);
  }

  /** Writes `index.json`: a name that was put moves, what else is there stays. */
  async close(): Promise<void> {
    const roots = rootsOf(this.#put, this.#names);
    const added = new Set(roots.map(({ manifest }) => String(manifest.digest)));
    const kept = this.#entries.filter((entry) => {
      const name = nameOf(entry);
      return name === null ? !added.has(textOf(entry.digest)) : !this.#names.has(name);
    });
    const listed = new Set(kept.map((entry) => textOf(entry.digest)));
    const news = roots.filter(({ manifest, names }) => names.length > 0 || !listed.has(manifest.digest));
    const { content } = indexFile(news);
    const made = parseStrictJson(content);
    const entries =
      made.ok && isObject(made.value) && Array.isArray(made.value.manifests) ? made.value.manifests : [];
    this.#entries = [...kept, ...entries.filter(isObject)];
    const index = { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: this.#entries };
    await writeWhole(join(this.#path, "index.json"), new TextEncoder().encode(JSON.stringify(index)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Files are open only while they are read or written.
  }

  #find(reference: string | null): readonly { readonly digest: Digest; readonly mediaType: string }[] {
    return this.#entries.flatMap((entry) => {
      const digest = parseDigest(textOf(entry.digest));
      const isWanted =
        reference === null || nameOf(entry) === reference || containerdNameOf(entry) === reference;
      return digest !== null && isWanted ? [{ digest, mediaType: textOf(entry.mediaType) }] : [];
    });
  }

  #typeOf(digest: Digest): string | null {
    const entry = this.#entries.find((each) => each.digest === digest);
    return entry === undefined ? null : textOf(entry.mediaType);
  }

  *#tagList(): Generator<string, void, void> {
    const names = this.#entries.map(nameOf).filter((name) => name !== null);
    yield* new Set(names);
  }

  /** What `index.json` lists, and what is listed there in turn. */
  async *#allManifests(): AsyncGenerator<RawManifest, void, void> {
    const queue: { digest: Digest; mediaType: string | null }[] = [...this.#find(null)];
    const seen = new Set<Digest>();
    for (let next = queue.shift(); next !== undefined && seen.size < MANIFESTS_MAX; next = queue.shift()) {
      if (seen.has(next.digest)) continue;
      seen.add(next.digest);
      const manifest = await this.#readManifest(next.digest, next.mediaType);
      if (manifest === null) continue;
      yield manifest;
      queue.push(...partsOf(manifest).manifests.filter(({ mediaType }) => manifestKind(mediaType) !== null));
    }
  }

  /** @throws ClientError `mismatch` when the file is not that manifest, `invalid` when it is none */
  async #readManifest(digest: Digest, mediaType: string | null): Promise<RawManifest | null> {
    const path = this.#blobPath(digest);
    const size = await fileSize(path);
    if (size === null) return null;
    if (size > MANIFEST_BYTES_MAX)
      throw new ClientError("invalid", `${this.label}: ${digest} is too large for a manifest`);
    const bytes = await readWhole(path, size);
    const got = digestOf(bytes, algorithmOf(digest));
    if (got !== digest) {
      throw new ClientError(
        "mismatch",
        `${this.label}: the digest of a manifest is ${got}; wanted ${digest}`,
        { wanted: digest, got },
      );
    }
    return { digest, bytes, mediaType: mediaType ?? typeIn(bytes) };
  }

  async #newBlob(digest: Digest): Promise<NewFile> {
    const path = this.#blobPath(digest);
    await mkdir(join(path, ".."), { recursive: true });
    return await NewFile.create(path);
  }

  #blobPath(digest: Digest): string {
    return join(this.#path, "blobs", algorithmOf(digest), hexOf(digest));
  }
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function nameOf({ annotations }: JsonObject): string | null {
  const name = isObject(annotations) ? annotations[REF_NAME] : null;
  return typeof name === "string" && name !== "" ? name : null;
}

function containerdNameOf({ annotations }: JsonObject): unknown {
  return isObject(annotations) ? annotations[CONTAINERD_NAME] : null;
}

/** Manifests below an index are asked for by digest alone. */
function typeIn(bytes: Uint8Array): string {
  const json = parseStrictJson(bytes);
  const value = json.ok && isObject(json.value) ? json.value : {};
  if (typeof value.mediaType === "string") return value.mediaType;
  return parseManifest(bytes, MEDIA_TYPE.ociIndex).ok ? MEDIA_TYPE.ociIndex : MEDIA_TYPE.ociManifest;
}

function refuseFolder(path: string, error: unknown): never {
  if (!(error instanceof ClientError) || error.kind !== "not-found") throw error;
  throw new ClientError("invalid", `cannot write an OCI layout to ${quote(path)}: other things are in it`);
}
