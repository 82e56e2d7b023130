import type { Digest } from "@stowage/oci/digest";
import { RegistryError } from "@stowage/oci/errors";
import { resolveRange } from "@stowage/oci/range";
import { requireDigest } from "@stowage/oci/reference";
import { applicableRange, etagOf, isNotModified } from "../conditional.ts";
import type { RepositoryExchange } from "../exchange.ts";

/** `GET /v2/<name>/blobs/<digest>`, whole or one range (OCI Distribution Specification, "Pulling blobs"). */
export async function getBlob({
  request,
  registry,
  repository,
  target,
}: RepositoryExchange): Promise<Response> {
  const digest = requireDigest(target);
  if (isNotModified(request, digest)) {
    await registry.blobs.require(repository, digest, { forPush: false });
    return new Response(null, { status: 304, headers: blobHeaders(digest) });
  }
  const object = await registry.blobs.open(repository, digest);
  const answer = resolveRange(applicableRange(request, digest), object.size);
  switch (answer.kind) {
    case "whole":
      return new Response(object.body(), { headers: { ...blobHeaders(digest), ...length(object.size) } });
    case "part": {
      const { start, end } = answer.range;
      const headers = {
        ...blobHeaders(digest),
        ...length(end - start + 1),
        "Content-Range": `bytes ${start}-${end}/${object.size}`,
      };
      return new Response(object.body(answer.range), { status: 206, headers });
    }
    case "unsatisfiable":
      throw new RegistryError("RANGE_INVALID", {
        message: `the range is outside the blob of ${object.size} bytes`,
        headers: { "Content-Range": `bytes */${object.size}` },
      });
    default:
      return answer satisfies never;
  }
}

/**
 * `HEAD /v2/<name>/blobs/<digest>`: a question of pushers above all, so a positive answer is a lease. It never
 * opens the blob.
 */
export async function headBlob(exchange: RepositoryExchange): Promise<Response> {
  const { authorize, caller, registry, repository } = exchange;
  const digest = requireDigest(exchange.target);
  const forPush = authorize({ caller, action: "push", repository });
  const { size } = await registry.blobs.require(repository, digest, { forPush });
  return new Response(null, { headers: { ...blobHeaders(digest), ...length(size) } });
}

/** `DELETE /v2/<name>/blobs/<digest>` (OCI Distribution Specification, "Deleting Blobs"). */
export async function deleteBlob({ registry, repository, target }: RepositoryExchange): Promise<Response> {
  await registry.blobs.delete(repository, requireDigest(target));
  return new Response(null, { status: 202, headers: { "Content-Length": "0" } });
}

function blobHeaders(digest: Digest): Record<string, string> {
  return {
    "Accept-Ranges": "bytes",
    "Cache-Control": "max-age=31536000, immutable",
    // Bytes of a stranger: a browser shall neither show them nor, as Bun would, be told a file name.
    "Content-Disposition": "attachment",
    "Content-Type": "application/octet-stream",
    "Docker-Content-Digest": digest,
    ETag: etagOf(digest),
  };
}

function length(bytes: number): Record<string, string> {
  return { "Content-Length": String(bytes) };
}
