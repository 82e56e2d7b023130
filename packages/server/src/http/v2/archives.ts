import { plainBytes } from "@stowage/client/archive/plain-bytes";
import { ClientError } from "@stowage/client/client-error";
import { requirePlatform } from "@stowage/client/platform";
import { streamOf } from "@stowage/client/streams";
import type { Platform } from "@stowage/oci/descriptor";
import { hexOf } from "@stowage/oci/digest";
import { RegistryError } from "@stowage/oci/errors";
import { parseMediaType } from "@stowage/oci/media-type";
import type { Reference } from "@stowage/oci/reference";
import type { Tag } from "@stowage/oci/tag";
import { readOnWhenRefused, streamBody } from "../body.ts";
import { etagOf, isNotModified } from "../conditional.ts";
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

/**
 * `GET` and `HEAD /v2/<name>/manifests/<reference>` that accept a tar file: the image as an OCI layout and a docker-archive
 * at once, `?platform=os/architecture[/variant]` one image of an index. Its bytes are the same each time.
 */
export async function getArchive(exchange: RepositoryExchange, reference: Reference): Promise<Response> {
  const { request, registry, repository, query, origin, reportFailure } = exchange;
  const platformText = query.get("platform");
  const platform = platformText === null ? null : requirePlatformText(platformText);
  const host = origin.host === null ? "" : `${origin.host}/`;
  const name = reference.kind === "tag" ? `${host}${repository}:${reference.tag}` : null;
  const archive = await registry.exportImage({ repository, reference, platform, name });
  const isGet = request.method === "GET";
  if (isGet) registry.pulls.pulled(repository, reference, archive.digest);
  else registry.pulls.resolved(repository, reference);
  const headers = {
    "Cache-Control": "no-cache",
    "Content-Disposition": `attachment; filename="${fileNameOf(exchange, reference)}"`,
    "Content-Type": "application/x-tar",
    "Docker-Content-Digest": archive.digest,
    ETag: etagOf(archive.tag),
    Vary: "Accept, Host",
  };
  if (isNotModified(request, archive.tag)) return new Response(null, { status: 304, headers });
  const length = { "Content-Length": String(archive.size) };
  if (!isGet) return new Response(null, { headers: { ...headers, ...length } });
  const body = streamOf(reported(archive.bytes(), reportFailure));
  return new Response(body, { headers: { ...headers, ...length } });
}

/** A failure in the middle ends the connection, which is all that the client sees of it. */
async function* reported(
  pieces: AsyncGenerator<Uint8Array, void, void>,
  reportFailure: (error: unknown) => void,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  try {
    for await (const piece of pieces) if (piece.byteLength > 0) yield plainBytes(piece);
  } catch (error) {
    reportFailure(error);
    throw error;
  }
}

function fileNameOf({ repository }: RepositoryExchange, reference: Reference): string {
  const name = repository.split("/").at(-1) ?? repository;
  const version = reference.kind === "tag" ? reference.tag : hexOf(reference.digest).slice(0, 12);
  return `${name}-${version}.tar`;
}

function requirePlatformText(text: string): Platform {
  try {
    return requirePlatform(text);
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    throw new RegistryError("REQUEST_INVALID", { message: error.message });
  }
}
