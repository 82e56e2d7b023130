import { algorithmOf } from "@stowage/oci/digest";
import { ClientError, type ClientErrorDetails, type ClientErrorKind } from "./client-error.ts";
import type { ApiRequest, Connection } from "./connection.ts";
import type { BlobRef } from "./content.ts";
import { createHasher } from "./hasher.ts";
import { streamOf } from "./streams.ts";
import { backoffMs } from "./wait.ts";

/** A body that brings nothing for that long has broken off, in milliseconds. */
const STALL_MS_MAX = 60_000;
const STALL_CHECK_MS = 5_000;

export interface Download {
  readonly connection: Connection;
  readonly request: ApiRequest;
  readonly blob: BlobRef;
  readonly offset: number;
}

/**
 * A blob's bytes from `offset` on; null when the registry does not have it. A connection that breaks is taken up again where
 * it broke. From 0 on the stream ends only when size and digest are right; later ones check the size alone.
 */
export async function openBlob(download: Download): Promise<ReadableStream<Uint8Array<ArrayBuffer>> | null> {
  const response = await ask(download, download.offset);
  return response && streamOf(read(download, response));
}

async function* read(
  download: Download,
  first: Response,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const { connection, blob, offset } = download;
  const { operation, signal } = download.request;
  const fail = (kind: ClientErrorKind, why: string, details: ClientErrorDetails = {}) =>
    new ClientError(kind, why, { operation, ...details });
  const hasher = offset === 0 ? createHasher(algorithmOf(blob.digest)) : null;
  let at = offset;
  let response: Response | null = first;
  for (let failures = 0; ;) {
    try {
      for await (const piece of bodyFrom(response, at)) {
        at += piece.byteLength;
        if (at > blob.size)
          throw fail("mismatch", `more than the ${blob.size} bytes came`, { wanted: blob.size });
        hasher?.update(piece);
        failures = 0;
        yield piece;
      }
      if (at === blob.size) break;
      throw fail("network", `the body ended at byte ${at} of ${blob.size}`);
    } catch (cause) {
      signal?.throwIfAborted();
      failures += 1;
      if (cause instanceof ClientError && cause.kind !== "network") throw cause;
      if (failures > connection.retriesMax) {
        throw fail("network", `the connection broke at byte ${at} of ${blob.size}`, { cause });
      }
    }
    await connection.clock.wait(backoffMs(failures), signal);
    response = await ask(download, at);
    if (response === null) throw fail("not-found", "the blob is gone in the middle of it");
  }
  const got = hasher?.digest() ?? blob.digest;
  if (got === blob.digest) return;
  throw fail("mismatch", `the bytes have the digest ${got}; wanted ${blob.digest}`, {
    wanted: blob.digest,
    got,
  });
}

/** Asks for the blob; null when there is none. A blob of no bytes has no range. */
async function ask({ connection, request }: Download, offset: number): Promise<Response | null> {
  const headers: Record<string, string> = offset === 0 ? {} : { Range: `bytes=${offset}-` };
  const response = await connection.send({ ...request, headers, expected: [404] });
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
