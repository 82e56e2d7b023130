import { algorithmOf } from "@stowage/oci/digest";
import type { TokenScope } from "@stowage/oci/token-scope";
import { ClientError } from "./client-error.ts";
import type { Connection } from "./connection.ts";
import type { BlobRef, IoOptions } from "./content.ts";
import { createHasher, type Hasher } from "./hasher.ts";
import { streamOf } from "./streams.ts";
import { backoffMs } from "./wait.ts";

/** A body that brings nothing for that long has broken off, in milliseconds. */
const STALL_MS_MAX = 60_000;
const STALL_CHECK_MS = 5_000;

export interface BlobPlace {
  readonly connection: Connection;
  readonly path: string;
  readonly scopes: readonly TokenScope[];
  readonly operation: string;
}

/**
 * A blob's bytes from `offset` on; null when the registry does not have it. A connection that breaks is taken up again where
 * it broke. From 0 on the stream ends only when size and digest are right; later ones check the size alone.
 */
export async function openBlob(
  place: BlobPlace,
  blob: BlobRef,
  { signal, offset = 0 }: IoOptions & { readonly offset?: number },
): Promise<ReadableStream<Uint8Array<ArrayBuffer>> | null> {
  const response = await request(place, { offset, signal });
  if (response === null) return null;
  return streamOf(download(place, { blob, offset, first: response, signal }));
}

interface Download {
  readonly blob: BlobRef;
  readonly offset: number;
  readonly first: Response;
  readonly signal: AbortSignal | undefined;
}

async function* download(
  place: BlobPlace,
  { blob, offset, first, signal }: Download,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const { connection } = place;
  const hasher = offset === 0 ? createHasher(algorithmOf(blob.digest)) : null;
  let at = offset;
  let response: Response | null = first;
  for (let failures = 0; ;) {
    try {
      for await (const piece of bodyFrom(response, at)) {
        at += piece.byteLength;
        if (at > blob.size) throw tooLong(place, blob);
        hasher?.update(piece);
        failures = 0;
        yield piece;
      }
      if (at === blob.size) break;
      throw new ClientError("network", `the body ended at byte ${at} of ${blob.size}`, {
        operation: place.operation,
      });
    } catch (error) {
      signal?.throwIfAborted();
      failures += 1;
      if (error instanceof ClientError && error.kind !== "network") throw error;
      if (failures > connection.retriesMax) throw brokenOff(place, { at, size: blob.size, cause: error });
    }
    await connection.clock.wait(backoffMs(failures), signal);
    response = await request(place, { offset: at, signal });
    if (response === null) {
      throw new ClientError("not-found", `the blob is gone in the middle of it`, {
        operation: place.operation,
      });
    }
  }
  requireDigest(place, { blob, hasher });
}

/** Asks for the blob; null when there is none. A blob of no bytes has no range. */
async function request(
  { connection, path, scopes, operation }: BlobPlace,
  { offset, signal }: { readonly offset: number; readonly signal: AbortSignal | undefined },
): Promise<Response | null> {
  const headers = offset === 0 ? {} : { Range: `bytes=${offset}-` };
  const response = await connection.send({
    method: "GET",
    target: path,
    scopes,
    operation,
    headers,
    expected: [404],
    signal,
  });
  if (response.status !== 404) return response;
  await response.body?.cancel();
  return null;
}

/** The body from byte `at` of the blob on: a server that does not know ranges sends it from 0. */
async function* bodyFrom(
  response: Response,
  at: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  let skip = response.status === 206 ? 0 : at;
  if (response.body === null) return;
  for await (const piece of watched(response.body)) {
    const rest = skip === 0 ? piece : piece.subarray(skip);
    skip = Math.max(0, skip - piece.byteLength);
    if (rest.byteLength > 0) yield rest;
  }
}

/** Ends a body that brings nothing any more; only waiting for it counts, not what its reader takes. */
async function* watched(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const reader = body.getReader();
  let isWaiting = true;
  let quietChecks = 0;
  const timer = setInterval(() => {
    quietChecks = isWaiting ? quietChecks + 1 : 0;
    // The read that waits ends with it.
    if (isStalled()) void reader.cancel().catch(() => undefined);
  }, STALL_CHECK_MS);
  const isStalled = () => quietChecks * STALL_CHECK_MS >= STALL_MS_MAX;
  try {
    for (;;) {
      isWaiting = true;
      const { done, value } = await reader.read();
      isWaiting = false;
      if (isStalled()) throw new ClientError("network", `nothing came for ${STALL_MS_MAX / 1_000} s`);
      if (done) return;
      yield value;
      quietChecks = 0;
    }
  } finally {
    clearInterval(timer);
    await reader.cancel().catch(() => undefined);
  }
}

function requireDigest(
  { operation }: BlobPlace,
  { blob, hasher }: { readonly blob: BlobRef; readonly hasher: Hasher | null },
): void {
  const got = hasher?.digest() ?? blob.digest;
  if (got === blob.digest) return;
  throw new ClientError("mismatch", `the bytes have the digest ${got}; wanted ${blob.digest}`, {
    operation,
    wanted: blob.digest,
    got,
  });
}

function tooLong({ operation }: BlobPlace, blob: BlobRef): ClientError {
  return new ClientError("mismatch", `more than the ${blob.size} bytes of ${blob.digest} came`, {
    operation,
    wanted: blob.size,
  });
}

function brokenOff(
  { operation }: BlobPlace,
  { at, size, cause }: { readonly at: number; readonly size: number; readonly cause: unknown },
): ClientError {
  return new ClientError("network", `the connection broke at byte ${at} of ${size}`, {
    operation,
    cause,
  });
}
