/** A login may take this long, in milliseconds: somebody has to find their second factor. */
export const LOGIN_MS_MAX = 10 * 60_000;

/** Longest sealed text that is opened, in characters. */
const SEALED_LENGTH_MAX = 6_000;

/** Bytes of the initialisation vector of AES-GCM (NIST SP 800-38D section 8.2.2). */
const IV_BYTES = 12;

/** What must be known again when somebody comes back from the provider. */
export interface PendingLogin {
  readonly state: string;
  readonly nonce: string;
  /** RFC 7636 section 4.1. */
  readonly verifier: string;
  /** A path of this registry. */
  readonly returnTo: string;
}

/** Where pending logins are kept: with the browser, unreadable and unchangeable for it. */
export class LoginSeal {
  readonly #key: Promise<CryptoKey>;
  readonly #now: () => number;

  /** `secret`: at least 32 random bytes, the same on every replica. `now`: milliseconds since 1970. */
  constructor(secret: Uint8Array, now: () => number) {
    if (secret.byteLength < 32)
      throw new Error(`the secret has ${secret.byteLength} bytes; wanted at least 32`);
    this.#key = importKey(secret);
    this.#now = now;
  }

  async seal(login: PendingLogin): Promise<string> {
    const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
    const plain = Buffer.from(JSON.stringify({ ...login, until: this.#now() + LOGIN_MS_MAX }));
    const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await this.#key, plain);
    return Buffer.concat([iv, new Uint8Array(sealed)]).toString("base64url");
  }

  /** The login, or null: not sealed by us, changed, or too old. */
  async open(text: string): Promise<PendingLogin | null> {
    if (text.length > SEALED_LENGTH_MAX) return null;
    const bytes = Buffer.from(text, "base64url");
    const iv = new Uint8Array(bytes.subarray(0, IV_BYTES));
    try {
      const opened = await crypto.subtle.decrypt(
        { name: "AES-GCM", iv },
        await this.#key,
        bytes.subarray(IV_BYTES),
      );
      const { until, ...login } = JSON.parse(Buffer.from(opened).toString("utf8")) as PendingLogin & {
        readonly until: number;
      };
      return until > this.#now() ? login : null;
    } catch {
      return null;
    }
  }
}

/** The secret may serve elsewhere as well: this use of it has a key of its own (RFC 5869). */
async function importKey(secret: Uint8Array): Promise<CryptoKey> {
  const material = await crypto.subtle.importKey("raw", new Uint8Array(secret), "HKDF", false, ["deriveKey"]);
  const info = new TextEncoder().encode("stowage pending login");
  const derivation = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info };
  return await crypto.subtle.deriveKey(derivation, material, { name: "AES-GCM", length: 256 }, false, [
    "encrypt",
    "decrypt",
  ]);
}
