import { requireTag } from "@stowage/oci/reference";
import type { Tag } from "@stowage/oci/tag";
import { type ImportedImage, pushArchive } from "../archive/push-archive.ts";
import { ClientError } from "../client-error.ts";
import { copy } from "../copy.ts";
import type { CopyOptions, CopyResult } from "../copy-options.ts";
import { requireManifest, resolveImage } from "../image.ts";
import { type ImageReference, targetOf } from "../image-reference.ts";
import type { Repository } from "../repository.ts";
import { namesIn, openSource, openTarget, type TargetOptions } from "./open-transport.ts";
import type { Transport } from "./transport.ts";

/** What an image is called that is not said to have another name. */
const TAG_DEFAULT = requireTag("latest");

export type PullOptions = Omit<CopyOptions, "tags"> & TargetOptions;

/**
 * Writes an image to a layout or an archive (`parseTransport("oci:./folder")`); `latest` where `image` has neither tag nor digest.
 * A docker-archive has one platform: linux/amd64 unless `platforms` names one. @throws ClientError
 */
export async function pullImage(
  repository: Repository,
  image: ImageReference,
  { to, ...options }: PullOptions & { readonly to: Transport },
): Promise<CopyResult> {
  const { signal, platforms } = options;
  const wanted = targetOf(image) ?? TAG_DEFAULT;
  const only = to.kind === "docker-archive" ? await loadableImage(repository, wanted, options) : null;
  // Before a folder is made for nothing.
  if (only === null && (await repository.headManifest(wanted, { signal })) === null) {
    await requireManifest(repository, wanted, { signal });
  }
  await using target = await openTarget(to, options);
  const result = await copy(repository, only ?? wanted, target, {
    ...options,
    platforms: only === null ? platforms : "all",
    tags: namesIn(to, { ...image, tag: tagOf(image) }),
  });
  await target.close();
  return result;
}

/** Digest of the one image that a docker-archive has room for. */
async function loadableImage(
  repository: Repository,
  wanted: string,
  { platforms = "all", signal }: PullOptions,
): Promise<string> {
  const [platform = null, ...others] = platforms === "all" ? [] : platforms;
  if (others.length > 0) {
    throw new ClientError("invalid", "a docker archive has one platform, and several are wanted");
  }
  const { manifest } = await resolveImage(repository, wanted, { platform, signal });
  return manifest.digest;
}

export interface PushOptions extends Omit<CopyOptions, "tags"> {
  readonly from: Transport;
  /** Bytes of an archive whose transport has no path. It is pushed as it comes, with all that is in it. */
  readonly input?: AsyncIterable<Uint8Array> | undefined;
}

/**
 * Pushes an image from a layout, an archive or a stream; `latest` where `image` has neither tag nor digest. By a digest the image
 * must have that digest. @throws ClientError
 */
export async function pushImage(
  repository: Repository,
  image: ImageReference,
  { from, input, ...options }: PushOptions,
): Promise<CopyResult | ImportedImage> {
  const { digest } = image;
  const tags = tagsOf(image);
  if (from.path === null) {
    if (input === undefined) throw new ClientError("invalid", "there is no input to push from");
    return await pushArchive(input, repository, {
      tags,
      image: from.reference,
      digest,
      signal: options.signal,
    });
  }
  await using source = await openSource(from);
  return await copy(source, digest ?? from.reference, repository, { ...options, tags });
}

/** The tags that {@link pushImage} gives an image: its own or `latest`, and with a digest alone none. */
export function tagsOf(image: ImageReference): readonly Tag[] {
  const tag = tagOf(image);
  return tag === null ? [] : [tag];
}

function tagOf({ tag, digest }: ImageReference): Tag | null {
  return digest === null ? (tag ?? TAG_DEFAULT) : tag;
}
