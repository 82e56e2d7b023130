import type { JwtAlgorithm, VerificationKey } from "@stowage/server/auth/jwt";
import { readJwk } from "@stowage/server/auth/jwk";
import { generateKeyPair } from "jose";

type SignParameters = Parameters<typeof crypto.subtle.sign>[0];

const ecdsa = (bits: number): SignParameters => ({ name: "ECDSA", hash: `SHA-${bits}` });
const pss = (bits: number): SignParameters => ({ name: "RSA-PSS", saltLength: bits / 8 });

const SIGN: Readonly<Record<JwtAlgorithm, SignParameters>> = {
  ES256: ecdsa(256),
  ES384: ecdsa(384),
  ES512: ecdsa(512),
  RS256: "RSASSA-PKCS1-v1_5",
  RS384: "RSASSA-PKCS1-v1_5",
  RS512: "RSASSA-PKCS1-v1_5",
  PS256: pss(256),
  PS384: pss(384),
  PS512: pss(512),
  EdDSA: "Ed25519",
};

export const base64url = (value: string | Uint8Array): string => Buffer.from(value).toString("base64url");
export const jsonPart = (value: unknown): string => base64url(JSON.stringify(value));

/** Somebody with a key: signs whatever it is given, right or wrong. */
export class Signer {
  readonly alg: JwtAlgorithm;
  readonly kid: string | null;
  readonly publicJwk: Readonly<Record<string, unknown>>;
  readonly spki: Uint8Array;
  readonly verificationKey: VerificationKey;
  readonly #privateKey: CryptoKey;

  private constructor(parts: {
    readonly alg: JwtAlgorithm;
    readonly kid: string | null;
    readonly publicJwk: Readonly<Record<string, unknown>>;
    readonly spki: Uint8Array;
    readonly verificationKey: VerificationKey;
    readonly privateKey: CryptoKey;
  }) {
    this.alg = parts.alg;
    this.kid = parts.kid;
    this.publicJwk = parts.publicJwk;
    this.spki = parts.spki;
    this.verificationKey = parts.verificationKey;
    this.#privateKey = parts.privateKey;
  }

  static async create(alg: JwtAlgorithm, kid: string | null = "key-1"): Promise<Signer> {
    return await Signer.of(alg, kid, await generateKeyPair(alg, { extractable: true }));
  }

  static async of(
    alg: JwtAlgorithm,
    kid: string | null,
    pair: { readonly privateKey: CryptoKey; readonly publicKey: CryptoKey },
  ): Promise<Signer> {
    const { key_ops: _, ext: __, ...members } = await crypto.subtle.exportKey("jwk", pair.publicKey);
    const publicJwk = { ...members, alg, use: "sig", ...(kid === null ? {} : { kid }) };
    const verificationKey = await readJwk(publicJwk);
    if (verificationKey === null) throw new Error(`generate ${alg}: the key is not understood`);
    const spki = new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey));
    return new Signer({ alg, kid, publicJwk, spki, verificationKey, privateKey: pair.privateKey });
  }

  /** The header it signs with when nothing else is said. */
  get header(): Readonly<Record<string, unknown>> {
    return { alg: this.alg, typ: "JWT", ...(this.kid === null ? {} : { kid: this.kid }) };
  }

  get pem(): string {
    const lines =
      Buffer.from(this.spki)
        .toString("base64")
        .match(/.{1,64}/g) ?? [];
    return `-----BEGIN PUBLIC KEY-----\n${lines.join("\n")}\n-----END PUBLIC KEY-----\n`;
  }

  async sign(claims: unknown, header: Readonly<Record<string, unknown>> = this.header): Promise<string> {
    return this.signParts(jsonPart(header), jsonPart(claims));
  }

  /** Signs two parts as they are. */
  async signParts(header: string, payload: string): Promise<string> {
    const bytes = await this.signBytes(`${header}.${payload}`);
    return `${header}.${payload}.${base64url(bytes)}`;
  }

  async signBytes(text: string): Promise<Uint8Array> {
    const signed = await crypto.subtle.sign(SIGN[this.alg], this.#privateKey, Buffer.from(text));
    return new Uint8Array(signed);
  }
}
