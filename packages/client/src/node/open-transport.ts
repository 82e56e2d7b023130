import { ClientError } from "../client-error.ts";
import type { ClosableTarget, ContentSource } from "../content.ts";
import { formatImageReference, type ImageReference } from "../image-reference.ts";
import { ArchiveSource } from "./archive-source.ts";
import { ArchiveTarget, fileSink, streamSink } from "./archive-target.ts";
import { OciLayout } from "./oci-layout.ts";
import { formatTransport, type Transport } from "./transport.ts";

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
  if (transport.kind === "oci") return await OciLayout.open(transport.path);
  if (transport.path !== null) return await ArchiveSource.open(transport.path, labelOf(transport));
  throw new ClientError("invalid", "standard input cannot be opened: it is pushed as it comes");
}

/**
 * Opens a layout or an archive to `copy` to. The `tags` that are put are the names that the image gets in it:
 * {@link namesIn} says which people expect. An archive's file appears when it is closed.
 * @throws ClientError `invalid`: the file or folder cannot be made
 */
export async function openTarget(transport: Transport, options: TargetOptions = {}): Promise<OpenedTarget> {
  if (transport.kind === "oci") return await OciLayout.create(transport.path);
  const archive = { label: labelOf(transport), isForDocker: transport.kind === "docker-archive" };
  if (transport.path !== null) return new ArchiveTarget(await fileSink(transport.path), archive);
  if (options.write !== undefined) return new ArchiveTarget(streamSink(options.write), archive);
  throw new ClientError("invalid", `cannot write ${archive.label}: nothing takes its bytes`);
}

function labelOf(transport: Transport): string {
  return formatTransport({ ...transport, reference: null });
}

/** What the image is called there: as the transport says, else its tag in a layout and its whole name in an archive. */
export function namesIn(transport: Transport, image: ImageReference): readonly string[] {
  if (transport.reference !== null) return [transport.reference];
  if (image.tag === null) return [];
  return [transport.kind === "oci" ? image.tag : formatImageReference({ ...image, digest: null })];
}
