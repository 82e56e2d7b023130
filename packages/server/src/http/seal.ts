/** Bytes of a nonce (NIST SP 800-38D section 8.2.2). */
const NONCE_BYTES = 12;

/** Sealed texts are a multiple of this long, in bytes, so that the length of a name does not show. */
const BLOCK_BYTES = 512;

/** Longest sealed text that is looked at, in characters. */
const SEALED_LENGTH_MAX = 4_096;

/**
 * Keeps a text from whoever carries it: AES-GCM under a key of this process. After a restart what was sealed before
 * cannot be opened any more, so only what can be done without is sealed.
 */
export class Seal {
  #key: Promise<CryptoKey> | null = null;

  async close(text: string): Promise<string> {
    const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const bytes = Buffer.from(JSON.stringify(text));
    const padded = Buffer.alloc(Math.ceil(bytes.byteLength / BLOCK_BYTES) * BLOCK_BYTES, " ");
    bytes.copy(padded);
    const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await this.#secret(), padded);
    return Buffer.concat([iv, Buffer.from(sealed)]).toString("base64url");
  }

  /** Null when it was not sealed here. */
  async open(sealed: string): Promise<string | null> {
    if (sealed.length > SEALED_LENGTH_MAX) return null;
    const bytes = Buffer.from(sealed, "base64url");
    const [iv, rest] = [bytes.subarray(0, NONCE_BYTES), bytes.subarray(NONCE_BYTES)];
    try {
      const opened = await crypto.subtle.decrypt({ name: "AES-GCM", iv }, await this.#secret(), rest);
      return String(JSON.parse(Buffer.from(opened).toString()));
    } catch {
      return null;
    }
  }

  #secret(): Promise<CryptoKey> {
    this.#key ??= crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
    return this.#key;
  }
}
