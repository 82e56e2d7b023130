import { RegistryError } from "@stowage/oci/errors";
import { MANIFEST_BYTES_MAX } from "@stowage/oci/manifest";
import { isSchema1Type, parseMediaType } from "@stowage/oci/media-type";
import { quote, type Reference, requireReference, requireTag } from "@stowage/oci/reference";
import { parseTag } from "@stowage/oci/tag";
import type { ManifestRecord } from "../../registry/manifests.ts";
import type { ShownManifest } from "../../registry/manifest-forms.ts";
import { readBody } from "../body.ts";
import { etagOf, isNotModified } from "../conditional.ts";
import type { RepositoryExchange } from "../exchange.ts";
import { readAccept } from "./accept.ts";
import { getArchive, isArchive, putArchive, wantsArchive } from "./archives.ts";
import { answerStored } from "./stored-manifest.ts";

/** Most `?tag=` of one push. */
const TAGS_PER_PUSH_MAX = 100;

/**
 * `GET /v2/<name>/manifests/<reference>`: the bytes as they were pushed, with their own media type. What a
 * tag points at may be shown in another form to clients of before there were OCI and schema 2 (`--schema1`); a digest
 * never is.
 */
export async function getManifest(exchange: RepositoryExchange): Promise<Response> {
  const reference = requireKnownReference(exchange.target);
  if (wantsArchive(exchange.request)) return await getArchive(exchange, reference);
  const { registry, repository } = exchange;
  const manifest = await registry.manifests.require(repository, reference, { forPush: false });
  registry.pulls.pulled(repository, reference, manifest.digest);
  const shown = await show(exchange, reference, manifest);
  const headers = manifestHeaders(shown, reference);
  if (isNotModified(exchange.request, shown.digest)) return new Response(null, { status: 304, headers });
  return new Response(shown.bytes, { headers });
}

/** A question of pushers too (containerd): a positive answer is a lease. */
export async function headManifest(exchange: RepositoryExchange): Promise<Response> {
  const { authorize, caller, registry, repository } = exchange;
  const reference = requireKnownReference(exchange.target);
  if (wantsArchive(exchange.request)) return await getArchive(exchange, reference);
  const forPush = authorize({ caller, action: "push", repository });
  const manifest = await registry.manifests.require(repository, reference, { forPush });
  registry.pulls.resolved(repository, reference);
  const shown = await show(exchange, reference, manifest);
  return new Response(null, { headers: manifestHeaders(shown, reference) });
}

/**
 * `PUT /v2/<name>/manifests/<reference>`, with more tags as `?tag=` (OCI Distribution Specification, "Pushing
 * Manifests").
 */
export async function putManifest(exchange: RepositoryExchange): Promise<Response> {
  const { caller, query, registry, repository, request } = exchange;
  const reference = requireReference(exchange.target);
  const tagTexts = query.getAll("tag");
  if (tagTexts.length > TAGS_PER_PUSH_MAX) {
    throw new RegistryError("TAG_INVALID", { message: `more than ${TAGS_PER_PUSH_MAX} tags in one push` });
  }
  const tags = tagTexts.map(requireTag);
  if (isArchive(request)) return await putArchive(exchange, { reference, tags });
  const contentType = requireContentType(request);
  const bytes = await readBody(request, { bytesMax: MANIFEST_BYTES_MAX, invalid: "MANIFEST_INVALID" });
  const stored = await registry.manifests.put({ caller, repository, reference, tags, contentType, bytes });
  return await answerStored(exchange, stored, tags);
}

/** `DELETE /v2/<name>/manifests/<reference>`: a tag alone, or a digest with all its tags. */
export async function deleteManifest(exchange: RepositoryExchange): Promise<Response> {
  const { caller, registry, repository } = exchange;
  const reference = requireKnownReference(exchange.target);
  await registry.manifests.delete({ caller, repository, reference, withParts: false });
  return new Response(null, { status: 202, headers: { "Content-Length": "0" } });
}

/** The reference of something that should exist: text that cannot be a tag names nothing, which is 404, not 400. */
function requireKnownReference(target: string): Reference {
  if (!target.includes(":") && parseTag(target) === null) {
    throw new RegistryError("MANIFEST_UNKNOWN", { message: `no manifest is called ${quote(target)}` });
  }
  return requireReference(target);
}

function requireContentType(request: Request): string | null {
  const header = request.headers.get("Content-Type");
  if (header === null || header === "") return null;
  const mediaType = parseMediaType(header);
  if (mediaType !== null) return mediaType;
  throw new RegistryError("MANIFEST_INVALID", { message: `invalid Content-Type ${quote(header)}` });
}

/** A promise only where something has to be done: most answers are what is stored. */
function show(
  { registry, repository, request }: RepositoryExchange,
  reference: Reference,
  stored: ManifestRecord,
): ShownManifest | Promise<ShownManifest> {
  const { manifestForms } = registry;
  if (reference.kind === "digest" || !manifestForms.isNegotiable(stored)) return stored;
  const form = manifestForms.choose(stored, readAccept(request.headers.get("Accept")));
  return form === "stored" ? stored : manifestForms.show(repository, reference.tag, stored, form);
}

function manifestHeaders(manifest: ShownManifest, reference: Reference): Record<string, string> {
  const etag = etagOf(manifest.digest);
  return {
    // A tag can move at any time, a digest cannot.
    "Cache-Control": reference.kind === "digest" ? "max-age=31536000, immutable" : "no-cache",
    "Content-Length": String(manifest.bytes.byteLength),
    "Content-Type": manifest.mediaType,
    "Docker-Content-Digest": manifest.digest,
    // The digest of schema 1 does not cover its signatures (RFC 9110 section 8.8.1: a weak validator).
    ETag: isSchema1Type(manifest.mediaType) ? `W/${etag}` : etag,
    // What accepts a tar file gets the whole image as one.
    Vary: "Accept",
  };
}
