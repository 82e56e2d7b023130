import type { Descriptor } from "@stowage/oci/descriptor";
import type { Digest } from "@stowage/oci/digest";
import { type Manifest, MANIFEST_BYTES_MAX, parseManifest } from "@stowage/oci/manifest";
import { isNonDistributable, manifestKind } from "@stowage/oci/media-type";
import { quote } from "@stowage/oci/reference";
import type { RawManifest } from "../content.ts";
import type { ArchiveContents, ArchivedFile } from "./archive-contents.ts";
import { archiveTooLarge, badArchive } from "./archive-error.ts";
import { requireBytes } from "./archive-json.ts";

/** Most manifests of one image, its indexes counted. */
const MANIFESTS_MAX = 1_024;

/** Deepest nesting of indexes. */
const INDEX_DEPTH_MAX = 8;

/**
 * Entries of manifests that are looked at for one archive. Its images may all name the same manifests, so that a small archive
 * could keep whoever reads it busy for hours; 200 images of 10 platforms with 127 layers stay below.
 */
const STEPS_MAX = 500_000;

/** @throws ClientError when the file is not what the descriptor says */
export function toManifest(file: ArchivedFile, { digest, mediaType, size }: Descriptor): RawManifest {
  requireSize(file, size);
  if (size > MANIFEST_BYTES_MAX) {
    throw archiveTooLarge(`the manifest ${digest} has ${size} bytes; wanted at most ${MANIFEST_BYTES_MAX}`);
  }
  return { mediaType, digest, bytes: requireBytes(file) };
}

function requireSize({ path, size }: ArchivedFile, wanted: number): void {
  if (size === wanted) return;
  throw badArchive(`${quote(path)} has ${size} bytes; wanted ${wanted} as the manifest that names it says`);
}

/** Goes from a manifest to everything below it. */
export class Walk {
  readonly manifests = new Map<Digest, RawManifest>();
  readonly blobs = new Map<Digest, ArchivedFile>();
  readonly missing = new Set<Digest>();
  readonly #contents: ArchiveContents;
  readonly #reader: ManifestReader;
  readonly #visited = new Set<Digest>();

  constructor(contents: ArchiveContents, reader: ManifestReader) {
    this.#contents = contents;
    this.#reader = reader;
  }

  visit(raw: RawManifest, depth: number): void {
    if (this.#visited.has(raw.digest)) return;
    this.#visited.add(raw.digest);
    if (depth > INDEX_DEPTH_MAX) throw badArchive(`its indexes are nested more than ${INDEX_DEPTH_MAX} deep`);
    if (this.#visited.size > MANIFESTS_MAX)
      throw archiveTooLarge(`an image of it has more than ${MANIFESTS_MAX} manifests`);
    const manifest = this.#reader.require(raw);
    if (manifest.kind === "schema1")
      throw badArchive(`${raw.digest} is of schema 1, which archives do not hold`);
    if (manifest.kind === "index") {
      for (const child of manifest.manifests) this.#visitChild(child, depth);
    } else {
      for (const blob of [manifest.config, ...manifest.layers]) this.#need(blob);
    }
    this.manifests.set(raw.digest, raw);
  }

  /** Entries of an index are manifests, or blobs: BuildKit's cache index points at layers. */
  #visitChild(child: Descriptor, depth: number): void {
    if (manifestKind(child.mediaType) === null) {
      this.#need(child);
      return;
    }
    const file = this.#contents.byDigest(child.digest);
    if (file === null) this.missing.add(child.digest);
    else this.visit(toManifest(file, child), depth + 1);
  }

  #need({ digest, mediaType, size }: Descriptor): void {
    const file = this.#contents.byDigest(digest);
    if (file !== null) {
      requireSize(file, size);
      this.blobs.set(digest, file);
    } else if (!isNonDistributable(mediaType)) {
      this.missing.add(digest);
    }
  }
}

/** Reads each manifest of an archive once, however many images need it, and ends what would take too long. */
export class ManifestReader {
  readonly #known = new Map<string, Manifest>();
  #steps = 0;

  require({ bytes, mediaType, digest }: RawManifest): Manifest {
    const key = `${digest} ${mediaType}`;
    const manifest = this.#known.get(key) ?? this.#parse({ bytes, mediaType, digest });
    this.#known.set(key, manifest);
    this.#steps += 1 + entriesOf(manifest);
    if (this.#steps > STEPS_MAX) {
      throw archiveTooLarge(`its images name more than ${STEPS_MAX} manifests and blobs together`);
    }
    return manifest;
  }

  #parse({ bytes, mediaType, digest }: RawManifest): Manifest {
    const parsed = parseManifest(bytes, mediaType);
    if (parsed.ok) return parsed.manifest;
    throw badArchive(`the manifest ${digest} is invalid: ${parsed.problem}`);
  }
}

function entriesOf(manifest: Manifest): number {
  if (manifest.kind === "index") return manifest.manifests.length;
  return manifest.kind === "image" ? manifest.layers.length : 0;
}
