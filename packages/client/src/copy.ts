import { type Descriptor, isObject } from "@stowage/oci/descriptor";
import type { Digest } from "@stowage/oci/digest";
import { isNonDistributable, manifestKind } from "@stowage/oci/media-type";
import { ClientError } from "./client-error.ts";
import type { ContentSource, ContentTarget, RawManifest } from "./content.ts";
import { CopyBlobs } from "./copy-blobs.ts";
import type { CopyOptions, CopyResult } from "./copy-options.ts";
import { requireManifest, requirePlatformOf } from "./image.ts";
import { manifestFrom, partsOf } from "./image-manifests.ts";
import { entriesForPlatform } from "./platform.ts";
import { allEnded } from "./semaphore.ts";

/** Manifests of one copy, and how deep they may lie in each other. */
const MANIFESTS_MAX = 10_000;
const NESTING_MAX = 8;

/** Bytes of all of them together: each is kept until what it names has been copied. */
const MANIFEST_BYTES_ALL_MAX = 256 * 1024 ** 2;

/** Blobs that travel at once. */
const JOBS_DEFAULT = 4;

/**
 * Copies an image with everything that belongs to it, blob by blob; what is there already stays. Manifests come after what they
 * name, tags last, so whoever pulls meanwhile never meets half an image. @throws ClientError
 */
export async function copy(
  source: ContentSource,
  reference: string | null,
  target: ContentTarget,
  options: CopyOptions = {},
): Promise<CopyResult> {
  const run = new CopyRun(source, target, options);
  const root = await run.choose(await requireManifest(source, reference, options));
  const tags = options.tags ?? [];
  await run.copyManifest(root, { tags, level: 0 });
  if (options.referrers === true) await run.copyReferrers(root.digest);
  return {
    digest: root.digest,
    mediaType: root.mediaType,
    blobs: run.blobs.counts,
    bytes: run.blobs.bytes,
    manifests: run.written,
  };
}

class CopyRun {
  readonly #source: ContentSource;
  readonly #target: ContentTarget;
  readonly #options: CopyOptions;
  readonly #manifests = new Map<Digest, Promise<void>>();
  readonly blobs: CopyBlobs;
  written = 0;
  #bytes = 0;

  constructor(source: ContentSource, target: ContentTarget, options: CopyOptions) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
    this.blobs = new CopyBlobs(source, target, { ...options, jobs: options.jobs ?? JOBS_DEFAULT });
  }

  /** What of an index is wanted. */
  async choose(root: RawManifest): Promise<RawManifest> {
    const { platforms = "all" } = this.#options;
    const parts = partsOf(root);
    if (platforms === "all") return root;
    if (parts.kind === "image") {
      await requirePlatformOf(this.#source, parts, { wanted: platforms, signal: this.#options.signal });
      return root;
    }
    const wanted = parts.manifests.filter((entry) =>
      platforms.some((platform) => entriesForPlatform([entry], platform).length > 0),
    );
    const [first, ...others] = wanted;
    if (first === undefined) {
      throw new ClientError(
        "not-found",
        `${this.#source.label} has no image for the platforms that are wanted`,
      );
    }
    if (others.length === 0) return await requireManifest(this.#source, first.digest, this.#options);
    return indexOf(root, new Set(wanted.map(({ digest }) => digest)));
  }

  /** Copies a manifest and what it names; nothing of it when the target has it. */
  async copyManifest(
    manifest: RawManifest,
    { tags, level }: { readonly tags: readonly string[]; readonly level: number },
  ): Promise<void> {
    const { signal, dryRun, onProgress } = this.#options;
    const missing = await this.#tagsToWrite(manifest, tags);
    const isThere =
      missing === null || (await this.#target.headManifest(manifest.digest, { signal })) !== null;
    if (!isThere) await this.#copyContent(manifest, level);
    if (missing !== null && (!isThere || missing.length > 0)) {
      if (dryRun !== true) await this.#target.putManifest(manifest, { tags: missing, signal });
      this.written += 1;
    }
    onProgress?.({ kind: "manifest", digest: manifest.digest, size: manifest.bytes.byteLength });
  }

  /** Tags that do not name the manifest yet; null: all do, which also says that it is there. */
  async #tagsToWrite(manifest: RawManifest, tags: readonly string[]): Promise<readonly string[] | null> {
    const missing: string[] = [];
    for (const tag of tags) {
      const head = await this.#target.headManifest(tag, this.#options);
      if (head?.digest !== manifest.digest) missing.push(tag);
    }
    return tags.length > 0 && missing.length === 0 ? null : missing;
  }

  async #copyContent(manifest: RawManifest, level: number): Promise<void> {
    if (level >= NESTING_MAX)
      throw new ClientError(
        "invalid",
        `${this.#source.label}: more than ${NESTING_MAX} indexes in each other`,
      );
    const { config, layers, manifests } = partsOf(manifest);
    const blobs = [...(config === null ? [] : [config]), ...layers];
    // An index may name blobs too: BuildKit's caches do.
    const children = manifests.filter(({ mediaType }) => manifestKind(mediaType) !== null);
    const others = manifests.filter(({ mediaType }) => manifestKind(mediaType) === null);
    await allEnded([
      ...[...blobs, ...others].map((blob) =>
        this.blobs.copy(blob, { mayBeAbsent: isNonDistributable(blob.mediaType) }),
      ),
      ...children.map((child) => this.#copyChild(child, level + 1)),
    ]);
  }

  async #copyChild(child: Descriptor, level: number): Promise<void> {
    const known = this.#manifests.get(child.digest);
    if (known !== undefined) return await known;
    if (this.#manifests.size >= MANIFESTS_MAX)
      throw new ClientError("invalid", `more than ${MANIFESTS_MAX} manifests in one copy`);
    const work = this.blobs
      .read(() => this.#readChild(child.digest))
      .then((manifest) => this.copyManifest(manifest, { tags: [], level }));
    this.#manifests.set(child.digest, work);
    await work;
  }

  /** Too many bytes are not read on: those that wait for their turn find it out as well. */
  async #readChild(digest: Digest): Promise<RawManifest> {
    if (this.#bytes < MANIFEST_BYTES_ALL_MAX) {
      const manifest = await requireManifest(this.#source, digest, this.#options);
      this.#bytes += manifest.bytes.byteLength;
      return manifest;
    }
    throw new ClientError("invalid", `more than ${MANIFEST_BYTES_ALL_MAX} bytes of manifests in one copy`);
  }

  /** What refers to a manifest and to everything in it, and what refers to that. */
  async copyReferrers(subject: Digest): Promise<void> {
    const subjects = new Set([subject]);
    // What is added meanwhile comes as well, and what is there already does not come again.
    for (const next of subjects) {
      for await (const entry of this.#source.referrers(next, this.#options)) await this.#copyChild(entry, 1);
      for (const known of this.#manifests.keys()) subjects.add(known);
    }
  }
}

/** An index with some of the entries of another, each as it stands there. */
function indexOf(root: RawManifest, wanted: ReadonlySet<string>): RawManifest {
  const body: unknown = JSON.parse(new TextDecoder().decode(root.bytes));
  const entries: readonly unknown[] = isObject(body) && Array.isArray(body.manifests) ? body.manifests : [];
  const manifests = entries.filter(
    (entry) => isObject(entry) && typeof entry.digest === "string" && wanted.has(entry.digest),
  );
  return manifestFrom({ ...(isObject(body) ? body : {}), manifests }, root.mediaType);
}
