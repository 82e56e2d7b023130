import type { AccessToken, TokenMetadata } from "../metadata/metadata.ts";
import { equalsInConstantTime } from "./keyed-hash.ts";

/** What every access token begins with, so that scanners find one that leaked. */
export const ACCESS_TOKEN_PREFIX = "stw_";

/** Random bytes of the public and of the secret part. */
const ID_BYTES = 9;
const SECRET_BYTES = 32;

const ACCESS_TOKEN = /^stw_([A-Za-z0-9]{12})_([A-Za-z0-9_-]{43})$/;

/** A token as its owner gets it, once, and what is kept of it. */
export interface NewSecret {
  readonly id: string;
  /** `stw_<id>_<secret>`. */
  readonly text: string;
  readonly secretHash: string;
}

export function createSecret(): NewSecret {
  // Letters and digits only: ids stand in addresses and logs.
  const id = randomText(ID_BYTES).replace(/[-_]/g, "0");
  const secret = randomText(SECRET_BYTES);
  return { id, text: `${ACCESS_TOKEN_PREFIX}${id}_${secret}`, secretHash: hashOf(secret) };
}

/**
 * The access token that the text is, or null: malformed, unknown, wrong, expired or revoked. The secret has 256 random
 * bits, so a plain hash keeps it, and looking it up by its public part tells nothing of it.
 */
export async function findAccessToken(
  text: string,
  tokens: Pick<TokenMetadata, "find">,
  now: number,
): Promise<AccessToken | null> {
  const [, id, secret] = ACCESS_TOKEN.exec(text) ?? [];
  if (id === undefined || secret === undefined) return null;
  const token = await tokens.find(id);
  if (token === null || !equalsInConstantTime(token.secretHash, hashOf(secret))) return null;
  return token.expiresAt !== null && token.expiresAt <= now ? null : token;
}

/** A password that nobody has thought of, of the given strength. */
export function randomText(bytes: number): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString("base64url");
}

function hashOf(secret: string): string {
  return new Bun.CryptoHasher("sha256").update(secret).digest("hex");
}
