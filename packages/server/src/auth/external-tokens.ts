import type { Accounts } from "./accounts.ts";
import type { ForeignTokens } from "./authenticate.ts";
import type { Caller } from "./caller.ts";
import type { ExternalIssuer, ExternalVerdict } from "./external-issuer.ts";
import { grantsOfScopes } from "./granted-scopes.ts";
import { compileGrants } from "./grants.ts";
import type { KeyedHash } from "./keyed-hash.ts";
import { Remembered } from "./remembered.ts";

/** Most tokens whose signature was right that are remembered, and for how long, in milliseconds. */
const REMEMBERED_MAX = 4_096;
const REMEMBERED_MS = 30_000;

/** Longest name of a caller, in characters. */
const NAME_LENGTH_MAX = 255;

export interface ExternalTokensOptions {
  readonly issuer: ExternalIssuer;
  readonly accounts: Accounts;
  readonly keyedHash: KeyedHash;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number;
}

/** Callers by the tokens of an external token server: such a token is the only word on what its holder may do. */
export class ExternalTokens implements ForeignTokens {
  readonly #options: ExternalTokensOptions;
  readonly #remembered = new Remembered<{ readonly verdict: ExternalVerdict; readonly until: number }>(
    REMEMBERED_MAX,
  );

  constructor(options: ExternalTokensOptions) {
    this.#options = options;
  }

  async caller(text: string): Promise<Caller | null> {
    const verdict = await this.#verify(text);
    if (!verdict.ok) return null;
    const { subject, access, expiredAt } = verdict;
    if (/\p{Cc}/u.test(subject)) return null;
    const { accounts } = this.#options;
    const credential = { kind: "registry-token", id: null } as const;
    const hasEnded = expiredAt !== null;
    const grants = grantsOfScopes(access);
    if (subject === "") {
      const anonymous = await accounts.anonymous(credential, access);
      return { ...anonymous, grants: [compileGrants(grants)], hasEnded };
    }
    // The other server may call somebody whatever it likes: it is nobody of ours.
    const guest = {
      name: `external:${subject}`.slice(0, NAME_LENGTH_MAX),
      credential,
      principals: [],
      grants,
    };
    return await accounts.guest(guest, { scopes: access, hasEnded });
  }

  async #verify(text: string): Promise<ExternalVerdict> {
    const { issuer, keyedHash, monotonic } = this.#options;
    const key = keyedHash.of(text);
    const known = this.#remembered.get(key);
    if (known !== undefined && known.until > monotonic()) return known.verdict;
    const verdict = await issuer.verify(text);
    if (verdict.ok && verdict.expiredAt === null) {
      this.#remembered.set(key, { verdict, until: monotonic() + REMEMBERED_MS });
    }
    return verdict;
  }
}
