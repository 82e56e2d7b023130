import { ClientError } from "./client-error.ts";
import type { ContentSource, IoOptions } from "./content.ts";
import { type ImageConfig, readConfig, resolveImage } from "./image.ts";
import { partsOf } from "./image-manifests.ts";
import { formatPlatform } from "./platform.ts";
import type { Platform } from "@stowage/oci/descriptor";

/** What an image is; null and empty where it does not say. Sizes are bytes, as they are pulled. */
export interface ImageSummary {
  readonly digest: string;
  readonly mediaType: string;
  readonly artifactType: string | null;
  /** Digest of the index that the reference names. */
  readonly index: string | null;
  /** What the index offers, as `os/architecture[/variant]`. */
  readonly platforms: readonly string[];
  readonly platform: string | null;
  readonly created: string | null;
  readonly author: string | null;
  readonly size: number;
  readonly layers: number;
  readonly subject: string | null;
  readonly annotations: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly user: string | null;
  readonly workingDir: string | null;
  readonly environment: readonly string[];
  readonly ports: readonly string[];
  readonly volumes: readonly string[];
  readonly stopSignal: string | null;
  readonly labels: Readonly<Record<string, string>>;
}

/** Reads manifest and config of an image, of an index those for `platform`. @throws ClientError */
export async function inspectImage(
  source: ContentSource,
  reference: string | null,
  { platform = null, signal }: IoOptions & { readonly platform?: Platform | null } = {},
): Promise<ImageSummary> {
  const { index, manifest, parts } = await resolveImage(source, reference, { platform, signal });
  const isImage = parts.config !== null && !parts.config.mediaType.endsWith(".empty.v1+json");
  const config = isImage ? await readConfig(source, parts, { signal }).catch(noConfig) : {};
  const content = [...(parts.config === null ? [] : [parts.config]), ...parts.layers];
  const offered = index === null ? [] : partsOf(index).manifests;
  return {
    digest: manifest.digest,
    mediaType: manifest.mediaType,
    artifactType: parts.artifactType,
    index: index?.digest ?? null,
    platforms: offered.flatMap((entry) => (entry.platform === null ? [] : [formatPlatform(entry.platform)])),
    platform: platformText(config),
    created: textOf(config.created),
    author: textOf(config.author),
    size: content.reduce((sum, blob) => sum + blob.size, manifest.bytes.byteLength),
    layers: parts.layers.length,
    subject: parts.subject?.digest ?? null,
    annotations: parts.annotations,
    ...runtimeOf(config),
  };
}

/** A config that is no JSON object belongs to an artifact. */
function noConfig(error: unknown): ImageConfig {
  if (error instanceof ClientError && error.kind === "invalid") return {};
  throw error;
}

function platformText(config: ImageConfig): string | null {
  const { os, architecture, variant } = config;
  if (typeof os !== "string" || typeof architecture !== "string") return null;
  return formatPlatform({ os, architecture, variant: textOf(variant) });
}

/** What a container of it does (OCI image specification, "Image Configuration", config). */
function runtimeOf({ config }: ImageConfig) {
  const members =
    typeof config === "object" && config !== null ? (config as Readonly<Record<string, unknown>>) : {};
  return {
    entrypoint: textsOf(members.Entrypoint),
    command: textsOf(members.Cmd),
    user: textOf(members.User),
    workingDir: textOf(members.WorkingDir),
    environment: textsOf(members.Env),
    ports: keysOf(members.ExposedPorts),
    volumes: keysOf(members.Volumes),
    stopSignal: textOf(members.StopSignal),
    labels: labelsOf(members.Labels),
  };
}

function textOf(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(shown) : [];
}

function keysOf(value: unknown): readonly string[] {
  return typeof value === "object" && value !== null ? Object.keys(value) : [];
}

function labelsOf(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== "object" || value === null) return {};
  return Object.fromEntries(Object.entries(value).map(([key, text]) => [key, shown(text)]));
}

/** Others have written it: an object would turn itself into text as it likes, or not at all. */
function shown(value: unknown): string {
  return typeof value === "object" ? "" : String(value);
}
