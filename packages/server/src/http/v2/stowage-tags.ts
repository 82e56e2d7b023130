import type { Digest } from "@stowage/oci/digest";
import { RegistryError } from "@stowage/oci/errors";
import { quote, requireDigest, requireTag } from "@stowage/oci/reference";
import { parseStrictJson } from "@stowage/oci/strict-json";
import { parseTag, type Tag } from "@stowage/oci/tag";
import { readBody } from "../body.ts";
import type { RepositoryExchange } from "../exchange.ts";
import { jsonResponse } from "../json.ts";

/** Largest body that names a digest, in bytes. */
const BODY_BYTES_MAX = 4_096;

/** `GET /v2/<name>/tags/<tag>` (extension): what the tag points at. */
export async function getTag({ registry, repository, target }: RepositoryExchange): Promise<Response> {
  const tag = requireKnownTag(target);
  const manifest = await registry.manifests.require(repository, { kind: "tag", tag }, { forPush: false });
  const { digest, mediaType, bytes } = manifest;
  const headers = new Headers({ "Cache-Control": "no-cache", "Docker-Content-Digest": digest });
  return jsonResponse({ name: repository, tag, digest, mediaType, size: bytes.byteLength }, headers);
}

/**
 * `PUT /v2/<name>/tags/<tag>` (extension): points the tag at a manifest that the repository has. The digest is in
 * `?digest=` or in the body, `{"digest": "..."}`.
 */
export async function putTag(exchange: RepositoryExchange): Promise<Response> {
  const { caller, registry, repository, target } = exchange;
  const tag = requireTag(target);
  const digest = await readDigest(exchange);
  await registry.setTag({ caller, repository, tag, digest });
  const headers = {
    "Content-Length": "0",
    "Docker-Content-Digest": digest,
    Location: `/v2/${repository}/manifests/${digest}`,
  };
  return new Response(null, { status: 201, headers });
}

/** `DELETE /v2/<name>/tags/<tag>` (extension): takes the tag away, the manifest stays. */
export async function deleteTag({
  caller,
  registry,
  repository,
  target,
}: RepositoryExchange): Promise<Response> {
  const reference = { kind: "tag", tag: requireKnownTag(target) } as const;
  await registry.manifests.delete({ caller, repository, reference, withParts: false });
  return new Response(null, { status: 202, headers: { "Content-Length": "0" } });
}

/** Text that cannot be a tag names nothing: 404, not 400. */
function requireKnownTag(target: string): Tag {
  const tag = parseTag(target);
  if (tag !== null) return tag;
  throw new RegistryError("MANIFEST_UNKNOWN", { message: `no manifest is called ${quote(target)}` });
}

async function readDigest({ query, request }: RepositoryExchange): Promise<Digest> {
  const wanted = query.getAll("digest");
  if (wanted.length > 1) throw new RegistryError("DIGEST_INVALID", { message: "more than one ?digest=" });
  if (wanted[0] !== undefined) return requireDigest(wanted[0]);
  const bytes = await readBody(request, { bytesMax: BODY_BYTES_MAX, invalid: "REQUEST_INVALID" });
  const json = parseStrictJson(bytes);
  const value = json.ok ? json.value : null;
  const isNamed = typeof value === "object" && value !== null && "digest" in value;
  if (!isNamed || typeof value.digest !== "string") {
    throw new RegistryError("DIGEST_INVALID", {
      message: `the digest is missing: wanted ?digest= or a body {"digest": "sha256:..."}`,
    });
  }
  return requireDigest(value.digest);
}
