import { ClientError } from "./client-error.ts";
import type { IoOptions, RawManifest } from "./content.ts";
import { requireManifest } from "./image.ts";
import type { Repository } from "./repository.ts";

/** Tags of one request; registries have a limit, of 100 in Stowage. */
const TAGS_AT_ONCE = 50;

/** Gives an image more tags; no blob moves. @throws ClientError */
export async function tagImage(
  repository: Repository,
  reference: string,
  tags: readonly string[],
  options: IoOptions = {},
): Promise<RawManifest> {
  const manifest = await requireManifest(repository, reference, options);
  for (let at = 0; at < tags.length; at += TAGS_AT_ONCE) {
    await repository.putManifest(manifest, { ...options, tags: tags.slice(at, at + TAGS_AT_ONCE) });
  }
  return manifest;
}

/** Takes a tag away and leaves the image; false: it was not there. Registries that delete by digest alone refuse it. */
export async function untagImage(
  repository: Repository,
  tag: string,
  options: IoOptions = {},
): Promise<boolean> {
  try {
    return await repository.deleteManifest(tag, options);
  } catch (error) {
    if (!(error instanceof ClientError) || (error.status !== 405 && error.status !== 400)) throw error;
    throw new ClientError(
      "refused",
      `${error.message}: this registry deletes images by digest, with all their tags, but no tag alone`,
      {
        ...(error.status === null ? {} : { status: error.status }),
        code: error.code,
        cause: error,
      },
    );
  }
}
