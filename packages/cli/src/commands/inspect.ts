import { type ImageConfig, readConfig, resolveImage } from "@stowage/client/image";
import { partsOf } from "@stowage/client/image-manifests";
import { formatPlatform } from "@stowage/client/platform";
import { formatSize } from "../byte-size.ts";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { openImage, PLATFORM_OPTION, platformOf } from "../image.ts";
import { printable } from "../table.ts";

export const INSPECT: Command = {
  about: "Prints what an image is: digest, platform, size, command, labels; of an index also what it has.",
  places: [{ name: "REF", completes: "reference" }],
  options: PLATFORM_OPTION,
  shared: ["output", "registry"],
  examples: [
    { line: "inspect localhost:5000/team/app:1.0" },
    { line: "inspect localhost:5000/team/app:1.0 --format json" },
    { line: "inspect localhost:5000/team/app:1.0 --format '{{.digest}} {{.platform}}'" },
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const { args, output, signal } = call;
  const { repository, target, name } = await openImage(call, args.places[0] ?? "");
  const { index, manifest, parts } = await resolveImage(repository, target, {
    platform: platformOf(call),
    signal,
  });
  const isImage = parts.config !== null && !parts.config.mediaType.endsWith(".empty.v1+json");
  const config = isImage ? await readConfig(repository, parts, { signal }).catch(noConfig) : {};
  const content = [...(parts.config === null ? [] : [parts.config]), ...parts.layers];
  const platforms = index === null ? [] : partsOf(index).manifests;
  const value = {
    name,
    digest: manifest.digest,
    mediaType: manifest.mediaType,
    artifactType: parts.artifactType,
    index: index?.digest ?? null,
    platforms: platforms.flatMap(({ platform }) => (platform === null ? [] : [formatPlatform(platform)])),
    platform: platformText(config),
    created: textOf(config.created),
    author: textOf(config.author),
    size: content.reduce((sum, blob) => sum + blob.size, manifest.bytes.byteLength),
    layers: parts.layers.length,
    subject: parts.subject?.digest ?? null,
    annotations: parts.annotations,
    ...runtimeOf(config),
  };
  output.print({ value, text: () => describe(value), ids: () => [manifest.digest] });
  return EXIT.ok;
}

/** A config that is no JSON object belongs to an artifact. */
function noConfig(error: unknown): ImageConfig {
  if (error instanceof Error && "kind" in error && error.kind === "invalid") return {};
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

function describe(value: Readonly<Record<string, unknown>>): string {
  const rows = Object.entries(value).flatMap(([key, member]): (readonly [string, string])[] => {
    if (member === null || member === "") return [];
    if (key === "size" && typeof member === "number") return [[key, formatSize(member)]];
    if (Array.isArray(member)) return member.map((entry, at) => [at === 0 ? key : "", String(entry)]);
    if (typeof member !== "object") return [[key, String(member)]];
    return Object.entries(member).map(([label, text], at) => [at === 0 ? key : "", `${label}=${text}`]);
  });
  const width = Math.max(...rows.map(([key]) => key.length));
  return rows
    .map(([key, text]) => `${(key === "" ? "" : `${key}:`).padEnd(width + 1)} ${printable(text)}\n`)
    .join("");
}

function textOf(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function keysOf(value: unknown): readonly string[] {
  return typeof value === "object" && value !== null ? Object.keys(value) : [];
}

function labelsOf(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== "object" || value === null) return {};
  return Object.fromEntries(Object.entries(value).map(([key, text]) => [key, String(text)]));
}
