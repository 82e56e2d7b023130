import { algorithmOf, type Digest, type DigestAlgorithm, parseDigestAlgorithm } from "@stowage/oci/digest";
import { RegistryError } from "@stowage/oci/errors";
import { formatUploadRange, parseContentRange } from "@stowage/oci/range";
import { quote, requireDigest } from "@stowage/oci/reference";
import { parseRepositoryName, type RepositoryName } from "@stowage/oci/repository-name";
import { parseUploadId } from "@stowage/oci/upload-id";
import type { Chunk, UploadRef } from "../../registry/uploads.ts";
import { readOnWhenDenied, streamBody } from "../body.ts";
import type { RepositoryExchange } from "../exchange.ts";

/**
 * `POST /v2/<name>/blobs/uploads/`: opens a session, or with `?mount` takes the blob from another repository, or
 * with `?digest` takes the whole blob from the body (OCI Distribution Specification, "Pushing blobs").
 */
export async function startUpload(exchange: RepositoryExchange): Promise<Response> {
  const { caller, query, registry, repository } = exchange;
  if (query.has("mount")) {
    const mounted = await mount(exchange, requireDigest(query.get("mount") ?? ""));
    if (mounted !== null) return created(repository, mounted);
  } else if (query.has("digest")) {
    const digest = requireOneDigest(query);
    const wanted = { algorithm: algorithmOf(digest), digest };
    const ref = await readOnWhenDenied(streamBody(exchange.request, exchange.connection), () =>
      registry.uploads.start(caller, repository, wanted),
    );
    return await finish(exchange, ref, digest);
  }
  const ref = await registry.uploads.start(caller, repository, {
    algorithm: requireAlgorithm(query),
    digest: null,
  });
  return new Response(null, { status: 202, headers: sessionHeaders(ref, 0) });
}

/** `GET <location>`: how much of the upload was acknowledged. */
export async function getUpload(exchange: RepositoryExchange): Promise<Response> {
  const ref = requireUpload(exchange);
  const offset = await exchange.registry.uploads.offset(ref);
  return new Response(null, { status: 204, headers: sessionHeaders(ref, offset) });
}

/** `PATCH <location>`: the next chunk, or without Content-Range a stream of unknown length (docker). */
export async function patchUpload(exchange: RepositoryExchange): Promise<Response> {
  const ref = requireUpload(exchange);
  const chunk = requireChunk(exchange);
  const result = await readOnWhenDenied(chunk.body, () => exchange.registry.uploads.append(ref, chunk));
  if (result.kind === "out-of-order") throw outOfOrder(ref, result.offset);
  return new Response(null, { status: 202, headers: sessionHeaders(ref, result.offset) });
}

/** `PUT <location>?digest=`: the end of the upload, with the last chunk or the whole blob as body, or without. */
export async function finishUpload(exchange: RepositoryExchange): Promise<Response> {
  const ref = requireUpload(exchange);
  return await finish(exchange, ref, requireOneDigest(exchange.query));
}

/** `DELETE <location>`: gives the upload up. */
export async function cancelUpload(exchange: RepositoryExchange): Promise<Response> {
  await exchange.registry.uploads.cancel(requireUpload(exchange));
  return new Response(null, { status: 204 });
}

async function finish(exchange: RepositoryExchange, ref: UploadRef, digest: Digest): Promise<Response> {
  const { request, registry, repository } = exchange;
  const hasBody = request.body !== null && request.headers.get("Content-Length") !== "0";
  const chunk = hasBody ? requireChunk(exchange) : null;
  const result = await readOnWhenDenied(chunk?.body ?? null, () =>
    registry.uploads.finish(ref, digest, chunk),
  );
  if (result.kind === "out-of-order") throw outOfOrder(ref, result.offset);
  return created(repository, digest);
}

/** The mounted digest, or null: then the client uploads (never an error, "Mounting a blob from another repository"). */
async function mount(exchange: RepositoryExchange, digest: Digest): Promise<Digest | null> {
  const { authorize, caller, query, registry, repository } = exchange;
  const fromText = query.get("from");
  const from = fromText === null ? null : parseRepositoryName(fromText);
  if (fromText !== null && from === null) return null;
  const mayPull = (source: RepositoryName) => authorize({ caller, action: "pull", repository: source });
  const mayPullEverything = authorize({ caller, action: "pull", repository: null });
  const mounted = await registry.blobs.mount({ digest, from, to: repository, mayPull, mayPullEverything });
  return mounted?.digest ?? null;
}

function requireUpload({ target, repository, caller }: RepositoryExchange): UploadRef {
  const id = parseUploadId(target);
  if (id === null) throw new RegistryError("BLOB_UPLOAD_UNKNOWN");
  return { id, repository, caller };
}

/** @throws RegistryError RANGE_INVALID, BLOB_UPLOAD_INVALID */
function requireChunk({ request, connection }: RepositoryExchange): Chunk {
  const body = streamBody(request, connection);
  const header = request.headers.get("Content-Range");
  const declared = request.headers.get("Content-Length");
  const length = declared === null ? null : Number(declared);
  if (header === null) return { body, range: null, length };
  const range = parseContentRange(header);
  if (range === null) {
    throw new RegistryError("BLOB_UPLOAD_INVALID", {
      message: `invalid Content-Range ${quote(header)}: wanted "<first byte>-<last byte>"`,
    });
  }
  const bytes = range.end - range.start + 1;
  if (length !== null && length !== bytes) {
    throw new RegistryError("BLOB_UPLOAD_INVALID", {
      message: `Content-Range ${quote(header)} is ${bytes} bytes, Content-Length says ${declared}`,
    });
  }
  return { body, range, length: bytes };
}

function requireOneDigest(query: URLSearchParams): Digest {
  const digests = query.getAll("digest");
  if (digests.length > 1) {
    throw new RegistryError("DIGEST_INVALID", {
      message: `${digests.length} digests in the query; wanted one`,
    });
  }
  return requireDigest(digests[0] ?? "");
}

function requireAlgorithm(query: URLSearchParams): DigestAlgorithm {
  const text = query.get("digest-algorithm");
  if (text === null) return "sha256";
  const algorithm = parseDigestAlgorithm(text);
  if (algorithm !== null) return algorithm;
  throw new RegistryError("DIGEST_INVALID", {
    message: `unsupported digest-algorithm ${quote(text)}: wanted sha256 or sha512`,
  });
}

function outOfOrder(ref: UploadRef, offset: number): RegistryError {
  return new RegistryError("RANGE_INVALID", {
    message: `the upload has ${offset} bytes: go on from there, one request at a time`,
    headers: sessionHeaders(ref, offset),
  });
}

function created(repository: RepositoryName, digest: Digest): Response {
  const headers = {
    "Content-Length": "0",
    "Docker-Content-Digest": digest,
    Location: `/v2/${repository}/blobs/${digest}`,
  };
  return new Response(null, { status: 201, headers });
}

function sessionHeaders(ref: UploadRef, offset: number): Record<string, string> {
  return {
    "Content-Length": "0",
    "Docker-Upload-UUID": ref.id,
    Location: `/v2/${ref.repository}/blobs/uploads/${ref.id}`,
    Range: formatUploadRange(offset),
  };
}
