import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from "jose";
import type { KeyMetadata, SigningKey } from "../metadata/metadata.ts";

/** The one algorithm of our tokens (RFC 7518 section 3.4). */
export const SIGNING_ALGORITHM = "ES256";

/** A key signs this long, in milliseconds; then a new one is made. */
const SIGNS_MS = 30 * 24 * 3_600_000;

/** Its tokens are accepted this much longer: no token lives longer, nor does an upload that one may still finish. */
const VERIFIES_LONGER_MS = 25 * 3_600_000;

interface UsableKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  readonly publicJwk: JWK;
}

export interface KeyRingOptions {
  readonly keys: KeyMetadata;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** The keys that sign registry tokens. They lie in the metadata store, so every replica signs with and accepts the same. */
export class KeyRing {
  readonly #keys: KeyMetadata;
  readonly #now: () => number;
  readonly #usable = new Map<string, Promise<UsableKey>>();

  constructor({ keys, now }: KeyRingOptions) {
    this.#keys = keys;
    this.#now = now;
  }

  /** The key to sign with; makes one when there is none, or the newest has signed long enough. */
  async signer(): Promise<UsableKey> {
    const found = await this.#newest();
    if (found !== null && found.signsUntil > this.#now()) return await this.#use(found);
    await this.#add({ ifNoneSince: found?.createdAt ?? 0, endingAll: false });
    const made = await this.#newest();
    if (made === null) throw new Error("the signing key that was made is not there");
    return await this.#use(made);
  }

  /** The public key of that id, if its tokens are accepted. */
  async verifier(kid: string): Promise<CryptoKey | null> {
    const found = (await this.#list()).find((key) => key.kid === kid);
    return found === undefined ? null : (await this.#use(found)).publicKey;
  }

  /** Public keys, for those who verify our tokens themselves (RFC 7517 section 5). */
  async publicKeys(): Promise<{ readonly keys: readonly JWK[] }> {
    const usable = await Promise.all((await this.#list()).map((key) => this.#use(key)));
    return { keys: usable.map(({ publicJwk }) => publicJwk) };
  }

  /** Signs with a new key from now on. `revoking` also refuses every token that was signed so far. */
  async rotate({ revoking }: { readonly revoking: boolean }): Promise<void> {
    if (revoking) await this.#keys.clear();
    const newest = await this.#newest();
    await this.#add({ ifNoneSince: newest?.createdAt ?? 0, endingAll: true });
  }

  async list(): Promise<readonly Omit<SigningKey, "privateJwk">[]> {
    return (await this.#list()).map(({ kid, createdAt, signsUntil, verifiesUntil }) => ({
      kid,
      createdAt,
      signsUntil,
      verifiesUntil,
    }));
  }

  async #list(): Promise<readonly SigningKey[]> {
    const now = this.#now();
    return (await this.#keys.list()).filter((key) => key.verifiesUntil > now);
  }

  async #newest(): Promise<SigningKey | null> {
    return (await this.#list())[0] ?? null;
  }

  async #add(options: { readonly ifNoneSince: number; readonly endingAll: boolean }): Promise<void> {
    const { privateKey } = await generateKeyPair(SIGNING_ALGORITHM, { extractable: true });
    const jwk = await exportJWK(privateKey);
    const kid = await calculateJwkThumbprint(jwk);
    const signsUntil = this.#now() + SIGNS_MS;
    const verifiesUntil = signsUntil + VERIFIES_LONGER_MS;
    await this.#keys.add({ kid, privateJwk: JSON.stringify(jwk), signsUntil, verifiesUntil }, options);
  }

  #use(key: SigningKey): Promise<UsableKey> {
    const known = this.#usable.get(key.kid);
    if (known !== undefined) return known;
    const usable = importKey(key);
    this.#usable.set(key.kid, usable);
    return usable;
  }
}

async function importKey({ kid, privateJwk }: SigningKey): Promise<UsableKey> {
  const jwk = JSON.parse(privateJwk) as JWK;
  const { kty, crv, x, y } = jwk as Required<Pick<JWK, "kty" | "crv" | "x" | "y">>;
  const publicJwk = { kty, crv, x, y, kid, use: "sig", alg: SIGNING_ALGORITHM };
  const [privateKey, publicKey] = await Promise.all([
    importJWK(jwk, SIGNING_ALGORITHM),
    importJWK(publicJwk, SIGNING_ALGORITHM),
  ]);
  if (privateKey instanceof Uint8Array || publicKey instanceof Uint8Array) {
    throw new Error("a signing key is symmetric");
  }
  return { kid, privateKey, publicKey, publicJwk };
}
