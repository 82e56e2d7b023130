import type { AccessToken, TokenMetadata, TokenUse } from "../metadata/metadata.ts";

/** A use is noted when the one that is known is older than this, in milliseconds. */
const NOTED_EVERY_MS = 60_000;

/** Tokens whose use waits to be noted. */
const PENDING_MAX = 10_000;

/** A refresh token that is used ends this long after its last use, in milliseconds. */
export const REFRESH_LIFETIME_MS = 30 * 24 * 3_600_000;

/** Notes when tokens are used, together and once a minute: a request with a token is a read. */
export class TokenUses {
  readonly #tokens: TokenMetadata;
  readonly #now: () => number;
  readonly #pending = new Map<string, TokenUse>();

  constructor(tokens: TokenMetadata, now: () => number) {
    this.#tokens = tokens;
    this.#now = now;
  }

  note({ id, kind, usedAt }: AccessToken): void {
    const at = this.#now();
    if (usedAt !== null && at - usedAt < NOTED_EVERY_MS) return;
    if (this.#pending.size >= PENDING_MAX && !this.#pending.has(id)) return;
    this.#pending.set(id, { id, at, extendTo: kind === "refresh" ? at + REFRESH_LIFETIME_MS : null });
  }

  async flush(): Promise<void> {
    if (this.#pending.size === 0) return;
    const uses = [...this.#pending.values()];
    this.#pending.clear();
    await this.#tokens.noteUse(uses);
  }
}
