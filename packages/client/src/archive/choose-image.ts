import type { Digest } from "@stowage/oci/digest";
import { quote } from "@stowage/oci/reference";
import { formatImageReference, parseImageReference } from "../image-reference.ts";
import { archiveError, noSuchImage } from "./archive-error.ts";
import type { ArchiveImage, ImageArchive } from "./image-archive.ts";

/** Names that a message lists. */
const NAMES_SHOWN_MAX = 20;

/** Which image of an archive is wanted. */
export interface WantedImage {
  /** One of its names, or its digest, as somebody wrote it; null: it follows from the rest. */
  readonly image: string | null;
  /** The digest that it must have, or null. */
  readonly digest: Digest | null;
  /** Where it shall go, for archives of several images: the one that is called so is meant. */
  readonly repository: string | null;
  readonly tag: string | null;
}

/**
 * The wanted image: the one of that name or digest; without, the only one; of several the one that is called
 * `<repository>:<tag>`, else `<tag>`.
 * @throws ClientError `not-found` that lists what is there; `mismatch` for another digest
 */
export function chooseImage(archive: ImageArchive, wanted: WantedImage): ArchiveImage {
  const chosen = wanted.image !== null ? byName(archive, wanted.image) : byPlace(archive, wanted);
  if (wanted.digest === null || chosen.manifest.digest === wanted.digest) return chosen;
  const message = `digest of the archive's image is ${chosen.manifest.digest}; wanted ${wanted.digest}`;
  throw archiveError("mismatch", "DIGEST_INVALID", message);
}

function byName(archive: ImageArchive, text: string): ArchiveImage {
  const wanted = fullName(text);
  const found = archive.images.find(
    ({ names, manifest }) =>
      manifest.digest === text || names.some((name) => name === text || fullName(name) === wanted),
  );
  if (found !== undefined) return found;
  throw noSuchImage(`the archive has no image ${quote(text)}: ${listImages(archive)}`);
}

function byPlace(archive: ImageArchive, { digest, repository, tag }: WantedImage): ArchiveImage {
  const { images } = archive;
  const withDigest =
    digest === null ? null : (images.find(({ manifest }) => manifest.digest === digest) ?? null);
  const inIndex = digest === null || withDigest !== null ? null : archive.manifest(digest);
  const chosen =
    withDigest ??
    (inIndex === null ? null : { names: [], manifest: inIndex }) ??
    onlyOne(images) ??
    onlyOne(images.filter(({ names }) => names.some((name) => isPlace(name, repository, tag)))) ??
    onlyOne(images.filter(({ names }) => names.some((name) => tag !== null && tagOf(name) === tag)));
  if (chosen !== null) return chosen;
  const place = tag === null ? "" : ` and not one of them is called ${quote(`${repository ?? ""}:${tag}`)}`;
  throw noSuchImage(`the archive has ${images.length} images${place}: ${listImages(archive)}; say which`);
}

function onlyOne(images: readonly ArchiveImage[]): ArchiveImage | null {
  return images.length === 1 ? (images[0] ?? null) : null;
}

function isPlace(name: string, repository: string | null, tag: string | null): boolean {
  const reference = parseImageReference(name);
  if (reference === null || repository === null || reference.tag !== tag) return false;
  return reference.repository === repository || reference.repository === `library/${repository}`;
}

/** A layout may call an image by its tag alone. */
function tagOf(name: string): string {
  return parseImageReference(name)?.tag ?? name;
}

/** `app:1` and `docker.io/library/app:1` are the same name. */
function fullName(name: string): string {
  const reference = parseImageReference(name);
  return reference === null ? name : formatImageReference(reference);
}

function listImages({ images }: ImageArchive): string {
  const names = images.flatMap(({ names, manifest }) => (names.length === 0 ? [manifest.digest] : names));
  const shown = names.slice(0, NAMES_SHOWN_MAX).map(quote).join(", ");
  return names.length > NAMES_SHOWN_MAX ? `${shown} and ${names.length - NAMES_SHOWN_MAX} more` : shown;
}
