import { stat } from "node:fs/promises";
import type { ContentSource } from "@stowage/client/content";
import { type ResolvedImage, resolveImage } from "@stowage/client/image";
import { formatImageReference, requireImageReference, targetOf } from "@stowage/client/image-reference";
import { openSource } from "@stowage/client/node/open-transport";
import { parseTransport, type Transport } from "@stowage/client/node/transport";
import { requirePlatform } from "@stowage/client/platform";
import type { Repository } from "@stowage/client/repository";
import { UsageError } from "../arguments.ts";
import { openClient } from "../client.ts";
import type { Call } from "../command.ts";

/** An image to read: of a registry, a folder or an archive. */
export interface OpenedImage extends AsyncDisposable {
  /** As somebody would type it in full. */
  readonly label: string;
  readonly source: ContentSource;
  /** What the source is asked for. */
  readonly reference: string | null;
}

/** An image in a repository of a registry. */
export interface RepositoryImage {
  readonly label: string;
  readonly repository: Repository;
  readonly reference: string;
}

/**
 * Opens the images that a command names, in the order in which it does; the registries among them are asked by one client.
 * @throws ClientError, UsageError
 */
export async function openImages(call: Call, texts: readonly string[]): Promise<readonly OpenedImage[]> {
  const parsed = await Promise.all(texts.map(parsePlace));
  const registries = parsed.flatMap((place) => ("kind" in place ? [] : [place.registry]));
  const client = await openClient(call, registries);
  const opened: OpenedImage[] = [];
  for (const place of parsed) {
    opened.push(
      "kind" in place
        ? await openFile(place)
        : {
            label: formatImageReference(place),
            source: client.repository(place),
            reference: targetOf(place) ?? "latest",
            [Symbol.asyncDispose]: async () => undefined,
          },
    );
  }
  return opened;
}

export async function openImage(call: Call, text: string): Promise<OpenedImage> {
  const [image] = await openImages(call, [text]);
  if (image === undefined) throw new UsageError("an image is missing");
  return image;
}

/** An image that can only be in a registry. @throws ClientError */
export async function openInRegistry(call: Call, text: string): Promise<RepositoryImage> {
  const reference = requireImageReference(text);
  const client = await openClient(call, [reference.registry]);
  return {
    label: formatImageReference(reference),
    repository: client.repository(reference),
    reference: targetOf(reference) ?? "latest",
  };
}

/** The image of `--platform`, or the usual one. @throws ClientError */
export async function resolveOpened(call: Call, { source, reference }: OpenedImage): Promise<ResolvedImage> {
  const platform = call.args.get("platform");
  return await resolveImage(source, reference, {
    platform: platform === null ? null : requirePlatform(platform),
    signal: call.signal,
  });
}

export const PLATFORM_OPTION = {
  platform: {
    value: "OS/ARCH",
    help: "the image of an index, for example linux/arm64 (default linux/amd64)",
  },
} as const;

/** What a text says that is no reference: a form such as `oci:DIR`, or a path. */
export async function transportOf(text: string): Promise<Transport | null> {
  return parseTransport(text) ?? (await fileOf(text));
}

async function parsePlace(text: string) {
  const transport = await transportOf(text);
  if (transport?.path === null)
    throw new UsageError(`"${text}" is standard input, which can be read only once`);
  return transport ?? requireImageReference(text);
}

/** A path is no reference: it begins with a dot or a slash, or is a file and ends as archives do. */
async function fileOf(text: string): Promise<Transport | null> {
  if (!/^\.{0,2}\/|\.(?:tar|tgz|tar\.gz)$/.test(text)) return null;
  const found = await stat(text).catch(() => null);
  if (found === null) return null;
  return { kind: found.isDirectory() ? "oci" : "docker-archive", path: text, reference: null };
}

async function openFile(transport: Transport): Promise<OpenedImage> {
  const opened = await openSource(transport);
  return {
    label: opened.label,
    source: opened,
    reference: transport.reference,
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}
