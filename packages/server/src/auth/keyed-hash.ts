/** Bytes of the key; it lives as long as the process. */
const KEY_BYTES = 32;

/**
 * A fingerprint of a secret under a key of this process: caches are keyed by it, so that no secret lies in one, and
 * nobody outside can make two secrets that share an entry.
 */
export class KeyedHash {
  readonly #key = crypto.getRandomValues(new Uint8Array(KEY_BYTES));

  /** HMAC-SHA-256 (RFC 2104) of the parts, which cannot run into one another. */
  of(...parts: readonly string[]): string {
    const hasher = new Bun.CryptoHasher("sha256", this.#key);
    for (const part of parts) hasher.update(parts.length === 1 ? part : `${part.length}:${part}`);
    return hasher.digest("base64");
  }
}

/** Whether two texts are equal, in a time that depends on their lengths alone. */
export function equalsInConstantTime(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let at = 0; at < a.length; at++) difference |= a.charCodeAt(at) ^ b.charCodeAt(at);
  return difference === 0;
}
