import { RegistryError } from "@stowage/oci/errors";
import { parseMediaType } from "@stowage/oci/media-type";
import type { Reference } from "@stowage/oci/reference";
import type { Tag } from "@stowage/oci/tag";
import { readOnWhenRefused, streamBody } from "../body.ts";
import type { RepositoryExchange } from "../exchange.ts";
import { answerStored } from "./stored-manifest.ts";

/** What a tar file with images is sent as; how it is packed is seen in its bytes. */
const ARCHIVE_TYPES: readonly string[] = [
  "application/x-tar",
  "application/tar",
  "application/gzip",
  "application/x-gzip",
];

/** Whether a manifest's PUT carries an archive with the image instead. */
export function isArchive(request: Request): boolean {
  const type = parseMediaType(request.headers.get("Content-Type") ?? "");
  return type !== null && ARCHIVE_TYPES.includes(type.toLowerCase());
}

/** Whether the whole image is wanted as a tar file. Asked for every manifest, so it looks closer only where "tar" stands. */
export function wantsArchive(request: Request): boolean {
  const accept = request.headers.get("Accept");
  if (accept === null || !/\/(?:x-)?tar\b/i.test(accept)) return false;
  return accept.split(",").some((range) => {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const isTar = type === "application/x-tar" || type === "application/tar";
    return isTar && !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter));
  });
}

/**
 * `PUT /v2/<name>/manifests/<reference>` with an archive as its body: `docker save`, podman, skopeo, crane; an OCI archive or
 * a docker-archive, perhaps gzipped. `?image=` says which of several images is meant.
 */
export async function putArchive(
  exchange: RepositoryExchange,
  { reference, tags }: { readonly reference: Reference; readonly tags: readonly Tag[] },
): Promise<Response> {
  const { caller, connection, query, registry, repository } = exchange;
  let hasEnded = false;
  const archive = unbroken(streamBody(exchange.request, connection), () => {
    hasEnded = true;
  });
  const onWait = (isWaiting: boolean) => {
    // After the last byte there is nothing to wait for the client for.
    if (!hasEnded) connection.setIdleTimeout(isWaiting ? 0 : connection.uploadPace.stallSeconds);
  };
  const image = query.get("image");
  const stored = await readOnWhenRefused(archive, () =>
    registry.importImage({ caller, repository, reference, tags, image, archive, onWait }),
  );
  return await answerStored(exchange, stored, tags);
}

/** A client that goes away in the middle has not sent an archive; the registry has not failed. */
async function* unbroken(
  body: AsyncGenerator<Uint8Array, void, void>,
  onEnd: () => void,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* body;
  } catch (cause) {
    if (cause instanceof RegistryError) throw cause;
    throw new RegistryError("BLOB_UPLOAD_INVALID", {
      message: "the request body ended before it was complete",
      cause,
    });
  }
  onEnd();
}

export async function getArchive(_exchange: RepositoryExchange, _reference: Reference): Promise<Response> {
  throw new RegistryError("UNSUPPORTED");
}
