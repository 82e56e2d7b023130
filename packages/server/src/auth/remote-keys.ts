import { readJwks } from "./jwk.ts";
import type { VerificationKey } from "./jwt.ts";
import { type FetchJson, JWKS_BYTES_MAX, METADATA_BYTES_MAX } from "./outbound.ts";

/** Keys are asked for again after this, in milliseconds. */
const FRESH_MS = 10 * 60_000;

/** An unknown key's id, or a failure, makes us ask again no sooner than this, in milliseconds. */
const COOLDOWN_MS = 30_000;

/** How long the last keys stay good while the issuer does not answer, in milliseconds. */
const STALE_MS = 24 * 3_600_000;

/** Where keys are. */
export type KeysPlace =
  /** A key set's address, which the operator wrote down. */
  | { readonly kind: "jwks"; readonly url: string }
  /** The issuer's metadata says (OpenID Connect Discovery 1.0 section 4). */
  | { readonly kind: "discovery"; readonly issuer: string };

export interface RemoteKeysOptions {
  readonly place: KeysPlace;
  readonly fetchJson: FetchJson;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number;
  /** Called with what to log when the issuer does not answer as it should. */
  readonly report: (problem: string) => void;
  readonly allowsHttp?: boolean;
}

/**
 * The public keys of an issuer elsewhere. Nothing is asked before the first token; then at most one request is on its
 * way, and whoever sends tokens with invented key ids makes us ask twice a minute, no more.
 */
export class RemoteKeys {
  readonly #options: RemoteKeysOptions;
  #keys: readonly VerificationKey[] = [];
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #triedAt = Number.NEGATIVE_INFINITY;
  #isDown = false;
  #fetching: Promise<void> | null = null;

  constructor(options: RemoteKeysOptions) {
    this.#options = options;
  }

  /** Keys that may be meant by `kid`: those of that id, all for null. Empty when nothing fits or nothing is known. */
  async keysOf(kid: string | null): Promise<readonly VerificationKey[]> {
    const known = this.#find(kid);
    if (known.length > 0 && this.#age() < FRESH_MS) return known;
    const refreshed = this.#refresh();
    // Nobody waits again and again for an issuer that is known not to answer.
    if (known.length > 0 && this.#isDown) return known;
    await refreshed;
    return this.#find(kid);
  }

  #age(): number {
    return this.#options.monotonic() - this.#fetchedAt;
  }

  #find(kid: string | null): readonly VerificationKey[] {
    if (this.#age() >= STALE_MS) return [];
    return this.#keys.filter((key) => kid === null || key.kid === kid);
  }

  /** Asks again, unless that was just done; whoever comes meanwhile waits for the same answer. */
  async #refresh(): Promise<void> {
    if (this.#fetching === null) {
      if (this.#options.monotonic() - this.#triedAt < COOLDOWN_MS) return;
      this.#triedAt = this.#options.monotonic();
      this.#fetching = this.#fetch().finally(() => {
        this.#fetching = null;
      });
    }
    await this.#fetching;
  }

  async #fetch(): Promise<void> {
    const startedAt = this.#options.monotonic();
    const keys = await this.#ask();
    this.#isDown = typeof keys === "string";
    if (typeof keys === "string") return this.#options.report(keys);
    this.#keys = keys;
    this.#fetchedAt = startedAt;
  }

  /** The keys, or what went wrong. */
  async #ask(): Promise<readonly VerificationKey[] | string> {
    const { fetchJson } = this.#options;
    const place = await this.#locate();
    if (typeof place === "string") return place;
    const rest = this.#options.allowsHttp === true ? { allowsHttp: true } : {};
    const { url, isTrusted } = place;
    const fetched = await fetchJson(url, { bytesMax: JWKS_BYTES_MAX, isTrusted, ...rest });
    if (!fetched.ok) return fetched.problem;
    const keys = await readJwks(fetched.value);
    if (keys === null) return `get ${JSON.stringify(url)}: no JSON Web Key Set`;
    return keys.length > 0 ? keys : `get ${JSON.stringify(url)}: no key that verifies signatures`;
  }

  async #locate(): Promise<{ readonly url: string; readonly isTrusted: boolean } | string> {
    const { place, fetchJson, allowsHttp } = this.#options;
    if (place.kind === "jwks") return { url: place.url, isTrusted: true };
    const { issuer } = place;
    const address = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
    const limits = { bytesMax: METADATA_BYTES_MAX, isTrusted: true };
    const fetched = await fetchJson(address, allowsHttp === true ? { ...limits, allowsHttp } : limits);
    if (!fetched.ok) return fetched.problem;
    const metadata = readMetadata(fetched.value);
    if (metadata === null) return `get ${JSON.stringify(address)}: no issuer and jwks_uri`;
    if (metadata.issuer !== issuer) {
      return `get ${JSON.stringify(address)}: the issuer calls itself ${JSON.stringify(metadata.issuer.slice(0, 200))}; wanted ${JSON.stringify(issuer)}`;
    }
    // The operator vouches for the issuer's host alone: what it points at must be there, or on the public internet.
    return { url: metadata.jwksUri, isTrusted: isSameOrigin(metadata.jwksUri, issuer) };
  }
}

function readMetadata(value: unknown): { readonly issuer: string; readonly jwksUri: string } | null {
  if (typeof value !== "object" || value === null) return null;
  const [issuer, jwksUri] = [
    "issuer" in value ? value.issuer : null,
    "jwks_uri" in value ? value.jwks_uri : null,
  ];
  return typeof issuer === "string" && typeof jwksUri === "string" ? { issuer, jwksUri } : null;
}

function isSameOrigin(one: string, other: string): boolean {
  return URL.canParse(one) && URL.canParse(other) && new URL(one).origin === new URL(other).origin;
}
