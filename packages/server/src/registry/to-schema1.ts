import { isObject, type JsonObject } from "@stowage/oci/descriptor";
import type { Digest } from "@stowage/oci/digest";
import { type ImageManifest, MANIFEST_BYTES_MAX, MANIFEST_DESCRIPTORS_MAX } from "@stowage/oci/manifest";
import { configHasPlatform } from "@stowage/oci/media-type";
import type { RepositoryName } from "@stowage/oci/repository-name";
import { parseStrictJson } from "@stowage/oci/strict-json";
import type { Tag } from "@stowage/oci/tag";
import { EMPTY_LAYER } from "./empty-layer.ts";

/** Go's zero time: what old clients read for "not known". */
const NO_TIME = "0001-01-01T00:00:00Z";

/** Layers that clients of schema 1 can read: tar archives, plain or compressed with gzip. */
const LAYER_TYPES: ReadonlySet<string> = new Set([
  "application/vnd.docker.image.rootfs.diff.tar.gzip",
  "application/vnd.docker.image.rootfs.diff.tar",
  "application/vnd.oci.image.layer.v1.tar+gzip",
  "application/vnd.oci.image.layer.v1.tar",
]);

/** The image has no schema 1 form; leaves as an answer to the client. */
export class NoSchema1Form extends Error {}

export interface ImageToConvert {
  readonly repository: RepositoryName;
  readonly tag: Tag;
  readonly manifest: ImageManifest;
  readonly config: Uint8Array;
}

/** One step of the image's history, oldest first. */
interface Step {
  readonly blobSum: Digest;
  readonly isEmpty: boolean;
  readonly created: string;
  readonly createdBy: string;
  readonly author: string;
  readonly comment: string;
}

/**
 * The image as Docker's "Image Manifest Version 2, Schema 1", not yet signed. The same image, repository and tag always
 * give the same bytes, and the same as distribution's registry gives. @throws NoSchema1Form
 */
export function toSchema1(image: ImageToConvert): string {
  requireReadableLayers(image.manifest);
  const json = parseStrictJson(image.config);
  if (!json.ok || !isObject(json.value)) throw new NoSchema1Form("its config is not a JSON object");
  const steps = readSteps(json.value, image.manifest);
  const text = new TextDecoder().decode(image.config);
  const entries = toEntries(steps, json.value, text).toReversed();
  const manifest = {
    schemaVersion: 1,
    name: image.repository,
    tag: image.tag,
    architecture: textOf(json.value.architecture),
    fsLayers: entries.map(({ blobSum }) => ({ blobSum })),
    history: entries.map(({ v1Compatibility }) => ({ v1Compatibility })),
  };
  const payload = goJson(manifest, 3);
  if (payload.length > MANIFEST_BYTES_MAX) throw new NoSchema1Form("it would be too large");
  return payload;
}

function requireReadableLayers({ config, layers }: ImageManifest): void {
  if (!configHasPlatform(config.mediaType)) {
    throw new NoSchema1Form(`its config is of type ${config.mediaType}, not that of an image`);
  }
  for (const { mediaType } of layers) {
    if (!LAYER_TYPES.has(mediaType)) throw new NoSchema1Form(`it has a layer of type ${mediaType}`);
  }
}

function readSteps(config: JsonObject, { layers }: ImageManifest): readonly Step[] {
  const diffIds = isObject(config.rootfs) ? config.rootfs.diff_ids : null;
  if (!Array.isArray(diffIds) || diffIds.length !== layers.length) {
    throw new NoSchema1Form(
      `its config has ${Array.isArray(diffIds) ? diffIds.length : "no"} diff_ids for ${layers.length} layers`,
    );
  }
  const { history } = config;
  if (history !== undefined && history !== null && !Array.isArray(history)) {
    throw new NoSchema1Form("the history in its config is not a list");
  }
  const entries: readonly unknown[] =
    Array.isArray(history) && history.length > 0
      ? history
      : layers.map(() => ({ created: config.created, author: config.author }));
  if (entries.length === 0 || entries.length > MANIFEST_DESCRIPTORS_MAX) {
    throw new NoSchema1Form(`its history has ${entries.length} entries`);
  }
  const remaining = layers.map(({ digest }) => digest).values();
  const steps = entries.map((entry) => readStep(entry, remaining));
  if (remaining.next().done !== true) throw new NoSchema1Form("its history has fewer steps than layers");
  return steps;
}

function readStep(entry: unknown, remaining: Iterator<Digest, undefined>): Step {
  if (!isObject(entry)) throw new NoSchema1Form("its history has an entry that is not an object");
  const isEmpty = entry.empty_layer === true;
  const blobSum = isEmpty ? EMPTY_LAYER : remaining.next().value;
  if (blobSum === undefined) throw new NoSchema1Form("its history has more steps than layers");
  return {
    blobSum,
    isEmpty,
    created: goTime(entry.created),
    createdBy: textOf(entry.created_by),
    author: textOf(entry.author),
    comment: textOf(entry.comment),
  };
}

interface Entry {
  readonly blobSum: Digest;
  readonly v1Compatibility: string;
}

/** Entries, oldest first. Ids are hashes over the layer, what lies below it, and for the newest the config. */
function toEntries(steps: readonly Step[], config: JsonObject, configText: string): readonly Entry[] {
  let parent = "";
  let length = 0;
  return steps.map((step, at) => {
    const isNewest = at === steps.length - 1;
    const hex = step.blobSum.slice(step.blobSum.indexOf(":") + 1);
    const id = sha256(`${hex} ${parent}${isNewest ? ` ${configText}` : ""}`);
    const compatibility = isNewest ? newest(step, config, id, parent) : older(step, id, parent);
    parent = id;
    const v1Compatibility = goJson(compatibility);
    length += v1Compatibility.length;
    if (length > MANIFEST_BYTES_MAX) throw new NoSchema1Form("it would be too large");
    return { blobSum: step.blobSum, v1Compatibility };
  });
}

function older(step: Step, id: string, parent: string): JsonObject {
  return {
    id,
    ...(parent === "" ? {} : { parent }),
    ...(step.comment === "" ? {} : { comment: step.comment }),
    created: step.created,
    container_config: { Cmd: [step.createdBy] },
    ...(step.author === "" ? {} : { author: step.author }),
    ...(step.isEmpty ? { throwaway: true } : {}),
  };
}

/** The newest entry is the config itself, without what schema 1 keeps elsewhere; members in byte order. */
function newest(step: Step, config: JsonObject, id: string, parent: string): JsonObject {
  const { rootfs: _rootfs, history: _history, ...kept } = config;
  const members = {
    ...kept,
    id,
    ...(parent === "" ? {} : { parent }),
    ...(step.isEmpty ? { throwaway: true } : {}),
  };
  return Object.fromEntries(Object.entries(members).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** RFC 3339 as Go writes it: no zeros at the end of a fraction. */
function goTime(value: unknown): string {
  if (
    typeof value !== "string" ||
    !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/.test(value)
  )
    return NO_TIME;
  return value.replace(/(\.\d*?)0+(?=[Z+-])/, "$1").replace(/\.(?=[Z+-])/, "");
}

/** JSON as Go's encoder writes it, so that digests are those of distribution's registry. */
function goJson(value: unknown, indent = 0): string {
  return JSON.stringify(value, null, indent)
    .replaceAll("<", "\\u003c")
    .replaceAll(">", "\\u003e")
    .replaceAll("&", "\\u0026")
    .replaceAll("\u2028", "\\u2028")
    .replaceAll("\u2029", "\\u2029");
}

function sha256(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}
