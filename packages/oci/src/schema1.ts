import { isObject, type JsonObject, ManifestProblem, type Platform, readPlatform } from "./descriptor.ts";
import { type Digest, parseDigest } from "./digest.ts";
import { readSignedJson, type SignedJson } from "./json-signature.ts";
import { parseStrictJson } from "./strict-json.ts";

/** Longest name, tag or architecture that is read, in characters. */
const TEXT_LENGTH_MAX = 512;

/** What is read of a manifest of Docker's "Image Manifest Version 2, Schema 1". */
export interface Schema1Content {
  /** Repository and tag that it was signed for. */
  readonly name: string;
  readonly tag: string;
  /** Newest first; the same layer may come several times. */
  readonly fsLayers: readonly Digest[];
  /** As its newest entry of `history` says. */
  readonly platform: Platform | null;
  readonly signed: SignedJson;
}

/**
 * Reads a signed schema 1 manifest, of which at most `layersMax` layers are accepted; its signatures are not verified.
 * @throws ManifestProblem, UnverifiedProblem
 */
export function readSchema1(bytes: Uint8Array, value: JsonObject, layersMax: number): Schema1Content {
  if (value.schemaVersion !== 1) throw new ManifestProblem("schemaVersion is not 1");
  // A body that reads as another kind of manifest to another client is an attack (CVE-2021-41190).
  for (const key of ["mediaType", "config", "layers", "manifests"]) {
    if (value[key] !== undefined) throw new ManifestProblem(`a schema 1 manifest has no ${key}`);
  }
  const fsLayers = requireList(value.fsLayers, "fsLayers", layersMax).map((entry, at) => {
    const text = isObject(entry) ? entry.blobSum : null;
    const digest = typeof text === "string" ? parseDigest(text) : null;
    if (digest === null)
      throw new ManifestProblem(`fsLayers[${at}].blobSum is not a sha256 or sha512 digest`);
    return digest;
  });
  const history = requireList(value.history, "history", layersMax).map((entry, at) => {
    const text = isObject(entry) ? entry.v1Compatibility : null;
    if (typeof text !== "string") throw new ManifestProblem(`history[${at}].v1Compatibility is not text`);
    return text;
  });
  if (fsLayers.length !== history.length) {
    throw new ManifestProblem(`it has ${fsLayers.length} fsLayers and ${history.length} entries of history`);
  }
  requireText(value.architecture, "architecture");
  return {
    name: requireText(value.name, "name"),
    tag: requireText(value.tag, "tag"),
    fsLayers,
    platform: readNewestPlatform(history[0] ?? ""),
    signed: readSignedJson(bytes, value),
  };
}

function requireList(value: unknown, where: string, entriesMax: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > entriesMax) {
    throw new ManifestProblem(`${where} is not a list of 1 to ${entriesMax} entries`);
  }
  return value;
}

function requireText(value: unknown, where: string): string {
  if (typeof value !== "string" || value.length > TEXT_LENGTH_MAX) {
    throw new ManifestProblem(`${where} is not text of at most ${TEXT_LENGTH_MAX} characters`);
  }
  return value;
}

function readNewestPlatform(v1Compatibility: string): Platform | null {
  const config = parseStrictJson(new TextEncoder().encode(v1Compatibility));
  return config.ok ? readPlatform(config.value) : null;
}
