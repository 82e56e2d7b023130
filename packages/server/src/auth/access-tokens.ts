import { RegistryError } from "@stowage/oci/errors";
import {
  type AccessToken,
  PERSONAL_TOKENS_MAX,
  type StoredGrant,
  type TokenKind,
  type TokenMetadata,
} from "../metadata/metadata.ts";
import { createSecret } from "./secrets.ts";
import { REFRESH_LIFETIME_MS } from "./token-uses.ts";

/** Longest label, in characters. */
export const LABEL_LENGTH_MAX = 100;

export interface NewToken {
  readonly kind: TokenKind;
  readonly account: string;
  readonly label: string;
  readonly limit: readonly StoredGrant[] | null;
  /** Milliseconds since 1970; null: until it is revoked. */
  readonly expiresAt: number | null;
}

/** A token that was made. Nobody will see the secret again. */
export interface MadeToken {
  readonly token: AccessToken;
  readonly secret: string;
}

/** Makes the tokens that are kept as hashes: personal ones, those of robots, refresh tokens, sessions. */
export class AccessTokens {
  readonly #tokens: TokenMetadata;
  readonly #now: () => number;

  constructor(tokens: TokenMetadata, now: () => number) {
    this.#tokens = tokens;
    this.#now = now;
  }

  /** @throws RegistryError CONFLICT when the account has PERSONAL_TOKENS_MAX personal tokens */
  async create({ label, ...wanted }: NewToken): Promise<MadeToken> {
    const { id, text, secretHash } = createSecret();
    // Some clients call themselves whatever they like.
    const readable = label.replace(/[^\x20-\x7e]/g, "").slice(0, LABEL_LENGTH_MAX);
    const token = await this.#tokens.create({ ...wanted, id, secretHash, label: readable });
    if (token === null) {
      throw new RegistryError("CONFLICT", {
        message: `"${wanted.account}" has ${PERSONAL_TOKENS_MAX} tokens, which is the most; revoke one first`,
      });
    }
    return { token, secret: text };
  }

  /** What `docker login` keeps instead of the password; it lasts as long as it is used. */
  async createRefreshToken(account: string, client: string): Promise<string> {
    const expiresAt = this.#now() + REFRESH_LIFETIME_MS;
    const { secret } = await this.create({ kind: "refresh", account, label: client, limit: null, expiresAt });
    return secret;
  }
}
