import { ClientError } from "../client-error.ts";
import type { ClosableTarget, ContentSource } from "../content.ts";
import { formatImageReference, type ImageReference } from "../image-reference.ts";
import type { Transport } from "./transport.ts";

/** Something that was opened. Whoever opened it disposes it. */
export type OpenedSource = ContentSource & AsyncDisposable;

/** Close it when everything is written; disposed without that, it leaves no file (an archive) or an unchanged index (a folder). */
export type OpenedTarget = ClosableTarget & AsyncDisposable;

export interface TargetOptions {
  /** Where an archive without a file goes: writes and resolves when more may come. */
  readonly write?: ((bytes: Uint8Array) => Promise<void>) | undefined;
}

/**
 * Opens a layout or an archive to read images from, to `copy` from it. `transport.reference` is the reference to ask it for.
 * An archive is looked at for what it is, and read once to know its digests; a gzipped one is unpacked into a temporary file.
 * Standard input cannot be opened: `pushArchive` takes it as it comes.
 * @throws ClientError `not-found`, `invalid`, `mismatch`
 */
export async function openSource(transport: Transport): Promise<OpenedSource> {
  throw new ClientError("invalid", `cannot open ${transport.kind}: it comes with the next commit`);
}

/**
 * Opens a layout or an archive to `copy` to. The `tags` that are put are the names that the image gets in it:
 * {@link namesIn} says which people expect. An archive's file appears when it is closed.
 * @throws ClientError `invalid`: the file or folder cannot be made
 */
export async function openTarget(transport: Transport, _options: TargetOptions = {}): Promise<OpenedTarget> {
  throw new ClientError("invalid", `cannot open ${transport.kind}: it comes with the next commit`);
}

/** What the image is called there: as the transport says, else its tag in a layout and its whole name in an archive. */
export function namesIn(transport: Transport, image: ImageReference): readonly string[] {
  if (transport.reference !== null) return [transport.reference];
  if (image.tag === null) return [];
  return [transport.kind === "oci" ? image.tag : formatImageReference({ ...image, digest: null })];
}
