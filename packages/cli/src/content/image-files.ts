import { type ImageFiles, type ImageFilesOptions, readImageFiles } from "@stowage/client/layers/image-files";
import type { Call } from "../command.ts";
import { CommandError } from "../failure.ts";
import { type OpenedImage, resolveOpened } from "./open-image.ts";

/** Entries that were left out of an image and that are told one by one. */
const SKIPPED_TOLD_MAX = 20;

/** The files of an image, and what of it is left out on standard error. @throws ClientError, CommandError */
export async function readFiles(
  call: Call,
  image: OpenedImage,
  options: Pick<ImageFilesOptions, "hash"> = {},
): Promise<ImageFiles> {
  const { parts } = await resolveOpened(call, image);
  const strange = parts.layers.find(({ mediaType }) => !/\btar\b|rootfs/.test(mediaType));
  if (strange !== undefined)
    throw new CommandError(`${image.label} has no files: its layers are ${strange.mediaType}`, {
      hint: "`stowage manifest get` shows what is in it",
    });
  let skipped = 0;
  const files = await readImageFiles(image.source, parts.layers, {
    ...options,
    signal: call.signal,
    onSkipped: ({ layer, name, why }) => {
      skipped += 1;
      if (skipped <= SKIPPED_TOLD_MAX)
        call.warn(`warning: ${JSON.stringify(name.slice(0, 200))} in ${layer.digest} is left out: ${why}`);
    },
  });
  if (skipped > SKIPPED_TOLD_MAX) call.warn(`warning: ${skipped - SKIPPED_TOLD_MAX} more are left out`);
  return files;
}
