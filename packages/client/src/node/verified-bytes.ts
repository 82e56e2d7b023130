import { algorithmOf, type Digest } from "@stowage/oci/digest";
import { ClientError } from "../client-error.ts";
import type { BlobRef, OpenBytes, PutBlobOptions } from "../content.ts";
import { createHasher } from "../hasher.ts";
import { piecesOf } from "../streams.ts";

/** How often a source that broke off is opened again without having given anything. */
const TRIES_MAX = 3;

/**
 * The pieces of a blob from `offset` on. From 0 on they end only when digest and size are right.
 * @throws ClientError of kind `mismatch`
 */
export async function* verified(
  pieces: AsyncIterable<Uint8Array<ArrayBuffer>>,
  { digest, size }: BlobRef,
  { offset, label }: { readonly offset: number; readonly label: string },
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const hasher = offset === 0 ? createHasher(algorithmOf(digest)) : null;
  let bytes = offset;
  for await (const piece of pieces) {
    bytes += piece.byteLength;
    if (bytes > size) break;
    hasher?.update(piece);
    yield piece;
  }
  if (bytes !== size) throw wrongSize(digest, { label, wanted: size, got: bytes });
  const got = hasher?.digest() ?? digest;
  if (got !== digest) throw wrongDigest({ label, wanted: digest, got });
}

/**
 * Reads a whole blob from a source that may break off, from where it broke, and passes it on piece by piece.
 * @throws ClientError of kind `mismatch` at its end
 */
export async function receive(
  { digest, size }: BlobRef,
  open: OpenBytes,
  { write, label, options }: Receiver,
): Promise<void> {
  const hasher = createHasher(algorithmOf(digest));
  let bytes = 0;
  for (let tries = 1; ; tries++) {
    const before = bytes;
    try {
      for await (const piece of piecesOf(await open(bytes))) {
        options.signal?.throwIfAborted();
        if (bytes + piece.byteLength > size) {
          throw wrongSize(digest, { label, wanted: size, got: bytes + piece.byteLength });
        }
        hasher.update(piece);
        bytes += piece.byteLength;
        await write(piece);
        options.onBytes?.(piece.byteLength);
      }
      break;
    } catch (error) {
      if (bytes > before) tries = 0;
      if (tries >= TRIES_MAX || !(error instanceof ClientError) || error.kind !== "network") throw error;
    }
  }
  if (bytes !== size) throw wrongSize(digest, { label, wanted: size, got: bytes });
  const got = hasher.digest();
  if (got !== digest) throw wrongDigest({ label, wanted: digest, got });
}

export interface Receiver {
  readonly write: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
  /** What people call where it goes. */
  readonly label: string;
  readonly options: PutBlobOptions;
}

interface Difference<T> {
  readonly label: string;
  readonly wanted: T;
  readonly got: T;
}

function wrongSize(digest: Digest, { label, wanted, got }: Difference<number>): ClientError {
  return new ClientError("mismatch", `${label}: ${digest} has ${got} bytes; wanted ${wanted}`, {
    wanted,
    got,
  });
}

function wrongDigest({ label, wanted, got }: Difference<Digest>): ClientError {
  return new ClientError("mismatch", `${label}: the digest of a blob is ${got}; wanted ${wanted}`, {
    wanted,
    got,
  });
}
