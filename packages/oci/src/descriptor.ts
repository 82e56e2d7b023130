import { type Digest, parseDigest } from "./digest.ts";
import { isNonDistributable, parseMediaType } from "./media-type.ts";

/** Key to value, both text (OCI image specification, "Annotations"). */
export type Annotations = Readonly<Record<string, string>>;

/** `os/architecture[/variant]` of an image. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | null;
}

/** A reference to content (OCI image specification, "Descriptor"). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Size of the content in bytes. */
  readonly size: number;
  readonly artifactType: string | null;
  readonly annotations: Annotations | null;
  readonly platform: Platform | null;
}

/** Thrown inside the parsers of this folder; leaves them as a problem text. */
export class ManifestProblem extends Error {}

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Reads a descriptor. `where` names it in the problem text, for example `layers[2]`.
 * @throws ManifestProblem
 */
export function requireDescriptor(value: unknown, where: string): Descriptor {
  if (!isObject(value)) throw new ManifestProblem(`${where} is not an object`);
  const mediaType = readMediaType(value.mediaType, `${where}.mediaType`);
  if (mediaType === null) throw new ManifestProblem(`${where}.mediaType is missing`);
  const digestText = value.digest;
  const digest = typeof digestText === "string" ? parseDigest(digestText) : null;
  if (digest === null) throw new ManifestProblem(`${where}.digest is not a sha256 or sha512 digest`);
  const size = value.size;
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
    throw new ManifestProblem(`${where}.size is not a whole number of bytes from 0 to 2^53-1`);
  }
  requireUrls(value.urls, mediaType, where);
  return {
    mediaType,
    digest,
    size,
    artifactType: readMediaType(value.artifactType, `${where}.artifactType`),
    annotations: readAnnotations(value.annotations, `${where}.annotations`),
    platform: readPlatform(value.platform),
  };
}

/** A media type, or null when the field is absent. @throws ManifestProblem */
export function readMediaType(value: unknown, where: string): string | null {
  if (value === undefined || value === "") return null;
  const mediaType = typeof value === "string" ? parseMediaType(value) : null;
  if (mediaType === null || mediaType !== value) throw new ManifestProblem(`${where} is not a media type`);
  return mediaType;
}

/** @throws ManifestProblem */
export function readAnnotations(value: unknown, where: string): Annotations | null {
  if (value === undefined || value === null) return null;
  if (!isObject(value)) throw new ManifestProblem(`${where} is not an object`);
  for (const text of Object.values(value)) {
    if (typeof text !== "string") throw new ManifestProblem(`${where} has a value that is not text`);
  }
  return value as Annotations;
}

/** Platform as far as it is said; used for display only, so an odd one is absent rather than an error. */
export function readPlatform(value: unknown): Platform | null {
  if (!isObject(value)) return null;
  const { os, architecture, variant } = value;
  if (typeof os !== "string" || typeof architecture !== "string" || os === "" || architecture === "")
    return null;
  return { os, architecture, variant: typeof variant === "string" && variant !== "" ? variant : null };
}

/**
 * Content of a registry lies in the registry: only layers that may not be distributed name other places, and
 * those are stored but never fetched. @throws ManifestProblem
 */
function requireUrls(value: unknown, mediaType: string, where: string): void {
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return;
  if (!isNonDistributable(mediaType))
    throw new ManifestProblem(`${where}.urls is allowed on non-distributable layers only`);
  const valid =
    Array.isArray(value) && value.every((url) => typeof url === "string" && /^https?:\/\//i.test(url));
  if (!valid) throw new ManifestProblem(`${where}.urls is not a list of http or https addresses`);
}
