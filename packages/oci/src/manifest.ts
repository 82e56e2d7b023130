import {
  type Annotations,
  type Descriptor,
  isObject,
  type JsonObject,
  ManifestProblem,
  readAnnotations,
  readMediaType,
  requireDescriptor,
} from "./descriptor.ts";
import type { Digest } from "./digest.ts";
import { UnverifiedProblem } from "./json-signature.ts";
import { isSchema1Type, MANIFEST_MEDIA_TYPES, manifestKind, MEDIA_TYPE } from "./media-type.ts";
import { quote } from "./reference.ts";
import { readSchema1, type Schema1Content } from "./schema1.ts";
import { parseStrictJson } from "./strict-json.ts";

/** Largest manifest, in bytes: what the specification asks registries to accept at least ("Pushing Manifests"). */
export const MANIFEST_BYTES_MAX = 4 * 1024 * 1024;

/** Most descriptors in one manifest: each is looked up and linked in the one transaction that stores it. */
export const MANIFEST_DESCRIPTORS_MAX = 4_096;

interface ManifestBase {
  readonly mediaType: string;
  /** What a referrers listing shows: `artifactType`, or for an image without one its config's media type. */
  readonly artifactType: string | null;
  readonly annotations: Annotations | null;
  /** The manifest this one refers to; it need not exist. */
  readonly subject: Digest | null;
}

export interface ImageManifest extends ManifestBase {
  readonly kind: "image";
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

export interface IndexManifest extends ManifestBase {
  readonly kind: "index";
  readonly manifests: readonly Descriptor[];
}

/** Docker's old image manifest: it has its configuration inside and is signed. */
export interface Schema1Manifest extends ManifestBase, Schema1Content {
  readonly kind: "schema1";
}

export type Manifest = ImageManifest | IndexManifest | Schema1Manifest;

export type ManifestResult =
  | { readonly ok: true; readonly manifest: Manifest }
  | {
      readonly ok: false;
      readonly problem: string;
      /** MANIFEST_UNVERIFIED: schema 1 without signatures, or with some that say nothing. */
      readonly code: "MANIFEST_INVALID" | "MANIFEST_UNVERIFIED";
    };

/**
 * Reads a pushed manifest. `contentType` is the request's Content-Type without parameters, or null when the
 * client sent none; the body's `mediaType` must not contradict it. Nothing is looked up: whether the
 * referenced content exists is the registry's question, and so is whether signatures (schema 1) are right.
 */
export function parseManifest(bytes: Uint8Array, contentType: string | null): ManifestResult {
  const json = parseStrictJson(bytes);
  if (!json.ok) return { ok: false, problem: json.problem, code: "MANIFEST_INVALID" };
  try {
    if (!isObject(json.value)) throw new ManifestProblem("not a JSON object");
    const manifest = isSchema1(json.value, contentType)
      ? toSchema1(readSchema1(bytes, json.value, MANIFEST_DESCRIPTORS_MAX))
      : readManifest(json.value, contentType);
    return { ok: true, manifest };
  } catch (error) {
    if (!(error instanceof ManifestProblem)) throw error;
    const code = error instanceof UnverifiedProblem ? "MANIFEST_UNVERIFIED" : "MANIFEST_INVALID";
    return { ok: false, problem: error.message, code };
  }
}

/** What the manifest's digest is of: its bytes, or for schema 1 what was signed. */
export function digestedBytes(manifest: Manifest, bytes: Uint8Array): Uint8Array {
  return manifest.kind === "schema1" ? manifest.signed.payload : bytes;
}

/** Clients of that time also sent no Content-Type, or application/json. */
function isSchema1(value: JsonObject, contentType: string | null): boolean {
  if (contentType !== null && isSchema1Type(contentType)) return true;
  return value.schemaVersion === 1 && (contentType === null || contentType === "application/json");
}

function toSchema1(content: Schema1Content): Schema1Manifest {
  const base = { artifactType: null, annotations: null, subject: null };
  return { ...base, ...content, kind: "schema1", mediaType: MEDIA_TYPE.dockerSchema1Signed };
}

function readManifest(value: JsonObject, contentType: string | null): Manifest {
  const mediaType = resolveMediaType(readMediaType(value.mediaType, "mediaType"), contentType);
  if (value.schemaVersion !== 2) throw new ManifestProblem("schemaVersion is not 2");
  const kind = manifestKind(mediaType);
  const base = {
    mediaType,
    annotations: readAnnotations(value.annotations, "annotations"),
    subject: isAbsent(value.subject) ? null : requireDescriptor(value.subject, "subject").digest,
  };
  const artifactType = readMediaType(value.artifactType, "artifactType");
  if (kind === "image") return readImage(value, base, artifactType);
  if (kind === "index") return readIndex(value, base, artifactType);
  throw new ManifestProblem(
    `media type ${quote(mediaType)} is not accepted: wanted one of ${MANIFEST_MEDIA_TYPES.join(", ")}`,
  );
}

type Base = Omit<ManifestBase, "artifactType">;

function readImage(value: JsonObject, base: Base, artifactType: string | null): ImageManifest {
  // A body that reads as an image to one client and as an index to another is an attack (CVE-2021-41190).
  if (!isAbsent(value.manifests)) throw new ManifestProblem("an image manifest has no manifests");
  const config = requireDescriptor(value.config, "config");
  const layers = readDescriptors(value.layers, "layers");
  return { ...base, kind: "image", artifactType: artifactType ?? config.mediaType, config, layers };
}

function readIndex(value: JsonObject, base: Base, artifactType: string | null): IndexManifest {
  if (!isAbsent(value.config) || !isAbsent(value.layers)) {
    throw new ManifestProblem("an index has neither config nor layers");
  }
  return {
    ...base,
    kind: "index",
    artifactType,
    manifests: readDescriptors(value.manifests, "manifests"),
  };
}

function readDescriptors(value: unknown, where: string): readonly Descriptor[] {
  if (!Array.isArray(value)) throw new ManifestProblem(`${where} is not a list`);
  if (value.length > MANIFEST_DESCRIPTORS_MAX) {
    throw new ManifestProblem(`${where} has more than ${MANIFEST_DESCRIPTORS_MAX} entries`);
  }
  return value.map((entry: unknown, at) => requireDescriptor(entry, `${where}[${at}]`));
}

function resolveMediaType(inBody: string | null, contentType: string | null): string {
  if (inBody !== null && contentType !== null && inBody !== contentType) {
    throw new ManifestProblem(`mediaType ${quote(inBody)} contradicts Content-Type ${quote(contentType)}`);
  }
  const mediaType = contentType ?? inBody;
  if (mediaType === null) throw new ManifestProblem("neither Content-Type nor mediaType says what it is");
  return mediaType;
}

function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}
