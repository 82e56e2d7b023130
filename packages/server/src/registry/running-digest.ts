import { type Digest, type DigestAlgorithm, digestFromHex } from "@stowage/oci/digest";
import type { StoredObject } from "../blobstore/blob-store.ts";
import type { UploadId } from "@stowage/oci/upload-id";

/** A digest of bytes that are still coming. */
export class RunningDigest {
  readonly algorithm: DigestAlgorithm;
  readonly #hasher: Bun.CryptoHasher;
  #bytes = 0;

  constructor(algorithm: DigestAlgorithm) {
    this.algorithm = algorithm;
    this.#hasher = new Bun.CryptoHasher(algorithm);
  }

  /** How many bytes went in. */
  get bytes(): number {
    return this.#bytes;
  }

  update(chunk: Uint8Array): void {
    this.#hasher.update(chunk);
    this.#bytes += chunk.byteLength;
  }

  /** Digest of the bytes so far; more may follow. */
  soFar(): Digest {
    return requireHex(this.algorithm, this.#hasher.copy().digest("hex"));
  }
}

export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm): Digest {
  return requireHex(algorithm, new Bun.CryptoHasher(algorithm).update(bytes).digest("hex"));
}

/** Reads the first `bytes` of an object again. Null when it has fewer. */
export async function hashObject(
  object: StoredObject,
  algorithm: DigestAlgorithm,
  bytes: number,
): Promise<RunningDigest | null> {
  if (object.size < bytes) return null;
  const digest = new RunningDigest(algorithm);
  if (bytes === 0) return digest;
  const { body } = new Response(object.body({ start: 0, end: bytes - 1 }));
  if (body !== null) for await (const chunk of body) digest.update(chunk);
  return digest.bytes === bytes ? digest : null;
}

function requireHex(algorithm: DigestAlgorithm, hex: string): Digest {
  const digest = digestFromHex(algorithm, hex);
  if (digest === null) throw new Error(`hasher of ${algorithm} gave "${hex}"`);
  return digest;
}

/** Sessions whose digest is kept between two chunks; the oldest is dropped, and costs a second read if it goes on. */
const RUNNING_DIGESTS_MAX = 10_000;

/** Digests of open upload sessions, so that a chunk does not make all bytes before it be read again. */
export class RunningDigests {
  readonly #kept = new Map<UploadId, RunningDigest>();

  keep(id: UploadId, digest: RunningDigest): void {
    this.#kept.set(id, digest);
    const oldest = this.#kept.keys().next();
    if (this.#kept.size > RUNNING_DIGESTS_MAX && !oldest.done) this.#kept.delete(oldest.value);
  }

  /** Hands the digest over; who continues it keeps it again. */
  take(id: UploadId): RunningDigest | null {
    const digest = this.#kept.get(id) ?? null;
    this.#kept.delete(id);
    return digest;
  }

  drop(id: UploadId): void {
    this.#kept.delete(id);
  }
}
