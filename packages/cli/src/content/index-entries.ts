import type { Call } from "../command.ts";
import { jsonOf } from "@stowage/client/answers";
import { copy } from "@stowage/client/copy";
import { readConfig, requireManifest } from "@stowage/client/image";
import { descriptorOf, partsOf } from "@stowage/client/image-manifests";
import type { RawManifest } from "@stowage/client/content";
import type { Repository } from "@stowage/client/repository";
import { configHasPlatform } from "@stowage/oci/media-type";
import { isObject, type JsonObject } from "@stowage/oci/descriptor";
import { CommandError } from "../failure.ts";
import { EXIT } from "../exit-codes.ts";
import type { OpenedImage } from "./open-image.ts";

/** An entry of an index as it stands in it; members that nobody here knows stay. */
export type IndexEntry = JsonObject;

/** An index: what it says, and its entries. */
export interface IndexBody {
  readonly manifest: RawManifest;
  readonly body: JsonObject;
  readonly entries: readonly IndexEntry[];
}

/** @throws ClientError, CommandError when it is an image */
export async function requireIndex(
  call: Call,
  repository: Repository,
  reference: string,
): Promise<IndexBody> {
  const manifest = await requireManifest(repository, reference, { signal: call.signal });
  const index = readIndex(manifest);
  if (index !== null) return index;
  throw new CommandError(`${repository.label}: ${manifest.digest} is an image; wanted an index`, {
    code: EXIT.usage,
  });
}

function readIndex(manifest: RawManifest): IndexBody | null {
  const body = jsonOf(new TextDecoder().decode(manifest.bytes));
  if (!isObject(body) || !Array.isArray(body.manifests)) return null;
  return { manifest, body, entries: body.manifests.filter(isObject) };
}

/**
 * Copies images to where the index is to be, and resolves with their entries: an image's own, with the platform of its config, or
 * all of an index. @throws ClientError
 */
export async function bringEntries(
  call: Call,
  sources: readonly OpenedImage[],
  target: Repository,
): Promise<readonly IndexEntry[]> {
  const entries: IndexEntry[] = [];
  for (const { source, reference } of sources) {
    const manifest = await requireManifest(source, reference, { signal: call.signal });
    const isThere = source === target || source.label === target.label;
    if (!isThere) await copy(source, manifest.digest, target, { signal: call.signal });
    const index = readIndex(manifest);
    if (index !== null) entries.push(...index.entries);
    else entries.push(await entryOf(call, source, manifest));
  }
  return entries;
}

async function entryOf(
  call: Call,
  source: OpenedImage["source"],
  manifest: RawManifest,
): Promise<IndexEntry> {
  const parts = partsOf(manifest);
  const hasPlatform = parts.config !== null && configHasPlatform(parts.config.mediaType);
  const config = hasPlatform ? await readConfig(source, parts, { signal: call.signal }) : {};
  const names = ["architecture", "os", "variant", "os.version", "os.features"];
  const platform = Object.fromEntries(
    names.flatMap((name) =>
      config[name] === undefined || config[name] === "" ? [] : [[name, config[name]]],
    ),
  );
  return {
    ...descriptorOf(manifest),
    ...(parts.artifactType === null ? {} : { artifactType: parts.artifactType }),
    ...(typeof platform.os === "string" ? { platform } : {}),
  };
}

/** The later one of two entries of the same manifest counts. */
export function mergeEntries(entries: readonly IndexEntry[]): readonly IndexEntry[] {
  return [...new Map(entries.map((entry) => [entry.digest, entry])).values()];
}

/** `linux/arm64/v8` of an entry, or null. */
export function platformTextOf({ platform }: IndexEntry): string | null {
  if (!isObject(platform) || typeof platform.os !== "string") return null;
  const { os, architecture, variant } = platform;
  return [os, architecture, variant].filter((part) => typeof part === "string" && part !== "").join("/");
}
