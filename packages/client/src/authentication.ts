import { type Challenge, parseChallenges } from "@stowage/oci/challenge";
import { parseTokenScopes, type TokenScope } from "@stowage/oci/token-scope";
import { ClientError } from "./client-error.ts";
import { basicAuthorization, type CredentialLookup, type Credentials } from "./credentials.ts";
import { safeUrl } from "./safe-url.ts";
import { coversScopes, textOfScopes, unionOfScopes } from "./scopes.ts";
import { fetchToken, type Realm, type TokenAnswer, type TokenFetch } from "./token-endpoint.ts";
import type { Clock } from "./wait.ts";

/** Tokens that are kept for one registry; the oldest goes first. */
const TOKENS_MAX = 100;

/** A token is not used in the last part of its life: the request that carries it takes its time. */
const LIFE_USED = 0.9;

interface KeptToken {
  readonly scopes: readonly TokenScope[];
  readonly answer: Promise<TokenAnswer>;
  /** On the clock; infinite while it is on its way. */
  endsAt: number;
}

type Scheme =
  { readonly kind: "none" } | { readonly kind: "basic" } | { readonly kind: "bearer"; readonly realm: Realm };

export interface AuthenticationOptions {
  /** As people write it, for messages and for the lookup. */
  readonly registry: string;
  /** Origin that the registry is reached at. */
  readonly origin: string;
  readonly credentials: CredentialLookup;
  readonly clock: Clock;
  readonly fetchToken: TokenFetch;
}

/**
 * How one registry wants to be asked (Docker Registry v2 token specification): learns it from its first 401, keeps tokens by what
 * they are good for, and lets requests that need the same token at the same time share one question.
 */
export class Authentication {
  readonly #options: AuthenticationOptions;
  #scheme: Scheme = { kind: "none" };
  #credentials: Promise<Credentials | null> | null = null;
  #tokens: KeptToken[] = [];

  constructor(options: AuthenticationOptions) {
    this.#options = options;
  }

  /** Value of the Authorization header for a request that needs `scopes`, or null: nothing is known to be wanted. */
  async authorization(scopes: readonly TokenScope[], signal?: AbortSignal): Promise<string | null> {
    const scheme = this.#scheme;
    if (scheme.kind === "none") return null;
    const credentials = await this.#lookup();
    if (credentials?.kind === "registry-token") return `Bearer ${credentials.token}`;
    if (scheme.kind === "basic") {
      return credentials?.kind === "password"
        ? basicAuthorization(credentials.username, credentials.password)
        : null;
    }
    return `Bearer ${await this.#token(scheme.realm, scopes, signal)}`;
  }

  /**
   * Learns from a 401 what to do better: whether asking again, with `authorization(returned scopes)`, has a chance. Null: none.
   * `sent` is the Authorization that was refused.
   */
  async learn(
    challengeHeader: string | null,
    { sent, scopes }: { readonly sent: string | null; readonly scopes: readonly TokenScope[] },
  ): Promise<readonly TokenScope[] | null> {
    const challenges = parseChallenges(challengeHeader ?? "");
    const bearer = challenges.find(({ scheme }) => scheme === "bearer")?.parameters;
    if (bearer === undefined && challenges.every(({ scheme }) => scheme !== "basic")) return null;
    this.#scheme =
      bearer === undefined ? { kind: "basic" } : { kind: "bearer", realm: realmOf(bearer, this.#options) };
    const kind = (await this.#lookup())?.kind;
    if (bearer === undefined) {
      return sent === null && (kind === "password" || kind === "registry-token") ? scopes : null;
    }
    if (sent !== null) {
      if (kind === "registry-token") return null;
      // A token that was good may have ended early, or have been for less than is needed: that is worth one new one.
      this.#tokens = this.#tokens.filter((token) => !coversScopes(token.scopes, scopes));
    }
    return unionOfScopes([...scopes, ...parseTokenScopes([bearer.get("scope") ?? ""])]);
  }

  async #token(realm: Realm, scopes: readonly TokenScope[], signal?: AbortSignal): Promise<string> {
    const now = this.#options.clock.now();
    this.#tokens = this.#tokens.filter(({ endsAt }) => endsAt > now);
    const kept = this.#tokens.find((token) => coversScopes(token.scopes, scopes));
    const token = kept ?? this.#ask(realm, scopes);
    const { token: text } = await untilAborted(token.answer, signal);
    return text;
  }

  #ask(realm: Realm, scopes: readonly TokenScope[]): KeptToken {
    const wanted = unionOfScopes(scopes);
    // Without the signal of the first who asks: others wait for the same answer.
    const answer = this.#lookup().then((credentials) =>
      fetchToken(realm, { credentials, scope: textOfScopes(wanted) }, this.#options.fetchToken),
    );
    const token: KeptToken = { scopes: wanted, answer, endsAt: Number.POSITIVE_INFINITY };
    this.#tokens = [...this.#tokens.slice(1 - TOKENS_MAX), token];
    answer.then(
      ({ lifeSeconds, refreshToken }) => {
        token.endsAt = this.#options.clock.now() + lifeSeconds * 1_000 * LIFE_USED;
        if (refreshToken !== null) {
          this.#credentials = Promise.resolve({ kind: "identity-token", token: refreshToken });
        }
      },
      () => {
        this.#tokens = this.#tokens.filter((other) => other !== token);
      },
    );
    return token;
  }

  #lookup(): Promise<Credentials | null> {
    this.#credentials ??= this.#options.credentials(this.#options.registry);
    return this.#credentials;
  }
}

/**
 * The realm gets the password, and its address comes from whoever answered as the registry: it must be as safe as the
 * registry itself, and must not point at this machine's neighbours.
 */
function realmOf(parameters: Challenge["parameters"], { registry, origin }: AuthenticationOptions): Realm {
  const text = parameters.get("realm") ?? "";
  const realm = safeUrl(text, origin);
  if (
    realm !== null &&
    (realm.hostname === new URL(origin).hostname || !isPrivateHost(realm.hostname)) &&
    realm.username + realm.password === ""
  ) {
    return { url: realm, service: parameters.get("service") ?? null };
  }
  const shown = JSON.stringify(text.slice(0, 200));
  throw new ClientError(
    "refused",
    `${registry} wants the password at ${shown}; wanted https, and no private address`,
  );
}

/** Names and addresses that mean this machine or its neighbours; a name may still resolve to one, which only DNS knows. */
function isPrivateHost(name: string): boolean {
  const host = name.replace(/\.$/, "");
  return (
    host === "localhost" ||
    host.endsWith(".localhost") ||
    /^(?:127|10|0|169\.254|192\.168|172\.(?:1[6-9]|2\d|3[01]))\./.test(host) ||
    /^\[(?:::|f[cd]|fe[89ab])/i.test(host)
  );
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  signal?.throwIfAborted();
  return await new Promise((resolve, reject) => {
    const onAbort = () => reject(signal?.reason);
    signal?.addEventListener("abort", onAbort);
    const stop = () => signal?.removeEventListener("abort", onAbort);
    work.then(resolve, reject).finally(stop);
  });
}
