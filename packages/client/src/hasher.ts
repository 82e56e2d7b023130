import { type Digest, type DigestAlgorithm, digestFromHex } from "@stowage/oci/digest";
import { ClientError } from "./client-error.ts";
import { Sha256 } from "./sha256.ts";

/** Computes a digest piece by piece. Ends with `digest`. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  digest(): Digest;
}

/** What Bun and Node have for it. */
interface NativeHash {
  update(bytes: Uint8Array): unknown;
  digest(encoding: "hex"): string;
}

/**
 * A hasher of the runtime, or our own where there is none: Web Crypto, all that browsers have, hashes only what lies in
 * memory as a whole. @throws ClientError of kind `invalid` for SHA-512 in a browser
 */
export function createHasher(algorithm: DigestAlgorithm): Hasher {
  const hash = createNative?.(algorithm) ?? createOwn(algorithm);
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => requireHex(algorithm, hash.digest("hex")),
  };
}

export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = "sha256"): Digest {
  const hasher = createHasher(algorithm);
  hasher.update(bytes);
  return hasher.digest();
}

const createNative = findNative();

function findNative(): ((algorithm: DigestAlgorithm) => NativeHash) | null {
  if (typeof Bun !== "undefined") return (algorithm) => new Bun.CryptoHasher(algorithm);
  // Asked for by name at run time, so that bundles for browsers need no stand-in for it.
  const crypto = globalThis.process?.getBuiltinModule?.("node:crypto");
  return crypto === undefined ? null : (algorithm) => crypto.createHash(algorithm);
}

function createOwn(algorithm: DigestAlgorithm): NativeHash {
  if (algorithm === "sha256") return new Sha256();
  throw new ClientError("invalid", `${algorithm} cannot be verified in a browser`);
}

function requireHex(algorithm: DigestAlgorithm, hex: string): Digest {
  const digest = digestFromHex(algorithm, hex);
  if (digest === null) throw new ClientError("invalid", "the hasher gave no digest");
  return digest;
}
