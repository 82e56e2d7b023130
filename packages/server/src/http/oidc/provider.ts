import * as oauth from "oauth4webapi";
import { type JwtRefusal, verifyJwt } from "../../auth/jwt.ts";
import {
  createFetchJson,
  createSend,
  JWKS_BYTES_MAX,
  METADATA_BYTES_MAX,
  type OutboundPorts,
  type Send,
} from "../../auth/outbound.ts";
import { RemoteKeys } from "../../auth/remote-keys.ts";

/** The provider's metadata is asked for again after this, in milliseconds. */
const METADATA_FRESH_MS = 10 * 60_000;

/** And after this when that failed. */
const METADATA_RETRY_MS = 10_000;

/** How far the provider's clock may be off, in seconds. */
const LEEWAY_SECONDS = 60;

/** Longest life of an identity token, in seconds; it is used once, at once. */
const ID_TOKEN_SECONDS_MAX = 24 * 3_600;

export interface ProviderOptions {
  /** To the letter as the provider writes it. */
  readonly issuer: string;
  readonly clientId: string;
  /** Null: a public client, which PKCE alone protects. */
  readonly clientSecret: string | null;
  readonly redirectUri: string;
  /** `openid` with what else the claims need. */
  readonly scope: string;
  readonly outbound: OutboundPorts;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number;
  readonly report: (problem: string) => void;
}

/** What a login is tied to; all three are random. */
export interface LoginBinding {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

export type Redeemed =
  | { readonly ok: true; readonly claims: Readonly<Record<string, unknown>> }
  /** `provider`: it does not answer as it should; `refused`: it did not let them in; `forged`: it is not its answer. */
  | { readonly ok: false; readonly fault: "provider" | "refused" | "forged"; readonly problem: string };

/** An OpenID provider, for the authorization code flow with PKCE (OpenID Connect Core 1.0 section 3.1, RFC 9700). */
export class OidcProvider {
  readonly #options: ProviderOptions;
  readonly #client: oauth.Client;
  readonly #send: Send;
  readonly #keys: RemoteKeys;
  #discovery: Promise<oauth.AuthorizationServer> | null = null;
  #discoveredAt = 0;
  #isDiscovered = false;

  constructor(options: ProviderOptions) {
    const { issuer, outbound, monotonic, report } = options;
    this.#options = options;
    this.#client = { client_id: options.clientId, [oauth.clockTolerance]: LEEWAY_SECONDS };
    this.#send = createSend(outbound);
    const fetchJson = createFetchJson(outbound);
    this.#keys = new RemoteKeys({ place: { kind: "discovery", issuer }, fetchJson, monotonic, report });
  }

  /** Where to send the browser. @throws Error when the provider does not answer as it should */
  async authorizationUrl({ state, nonce, verifier }: LoginBinding): Promise<string> {
    const { clientId, redirectUri, scope } = this.#options;
    const { authorization_endpoint: endpoint = "" } = await this.#discover();
    const url = this.#requireEndpoint(endpoint);
    const parameters = {
      response_type: "code",
      client_id: clientId,
      redirect_uri: redirectUri,
      scope,
      state,
      nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
    };
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    return url.href;
  }

  /** Judges what the browser brought back, and changes its code for the claims of who has signed in. */
  async redeem(parameters: URLSearchParams, binding: LoginBinding): Promise<Redeemed> {
    try {
      const server = await this.#discover();
      const checked = oauth.validateAuthResponse(server, this.#client, parameters, binding.state);
      const idToken = await this.#exchange(server, checked, binding);
      return await this.#verify(idToken);
    } catch (error) {
      return toFault(error);
    }
  }

  async #exchange(
    server: oauth.AuthorizationServer,
    checked: URLSearchParams,
    { nonce, verifier }: LoginBinding,
  ): Promise<string> {
    const { redirectUri } = this.#options;
    const authentication = clientAuthentication(server, this.#options.clientSecret);
    const options = {
      [oauth.customFetch]: (url: string, init: oauth.CustomFetchOptions<"POST", URLSearchParams>) =>
        this.#post(url, init),
      [oauth.allowInsecureRequests]: this.#isLocal(),
    };
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      this.#client,
      authentication,
      checked,
      redirectUri,
      verifier,
      options,
    );
    const answer = await oauth.processAuthorizationCodeResponse(server, this.#client, response, {
      expectedNonce: nonce,
      requireIdToken: true,
    });
    return answer.id_token ?? "";
  }

  /** OpenID Connect would do without the signature here, because TLS vouches for it. We have the keys, so we look. */
  async #verify(idToken: string): Promise<Redeemed> {
    const { issuer, clientId, now } = this.#options;
    const verdict = await verifyJwt(idToken, {
      keyOf: (kid) => this.#keys.keysOf(kid),
      issuer,
      audience: clientId,
      now,
      leewaySeconds: LEEWAY_SECONDS,
      lifetimeSecondsMax: ID_TOKEN_SECONDS_MAX,
    });
    if (verdict.ok) return { ok: true, claims: verdict.claims };
    return { ok: false, fault: "forged", problem: describeRefusal(verdict.reason) };
  }

  /** One request at a time, and none soon after one that failed: who opens the login page must not make us busy. */
  async #discover(): Promise<oauth.AuthorizationServer> {
    const { monotonic } = this.#options;
    const age = monotonic() - this.#discoveredAt;
    if (this.#discovery === null || age >= (this.#isDiscovered ? METADATA_FRESH_MS : METADATA_RETRY_MS)) {
      this.#discoveredAt = monotonic();
      this.#isDiscovered = false;
      this.#discovery = this.#fetchMetadata();
    }
    const metadata = await this.#discovery;
    this.#isDiscovered = true;
    return metadata;
  }

  async #fetchMetadata(): Promise<oauth.AuthorizationServer> {
    const { issuer } = this.#options;
    const address = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
    const request = { method: "GET", headers: { Accept: "application/json" }, body: null } as const;
    const response = await this.#send(address, request, { bytesMax: METADATA_BYTES_MAX, isTrusted: true });
    const metadata = await oauth.processDiscoveryResponse(new URL(issuer), response);
    // The library compares them as addresses, to which a slash makes no difference.
    if (metadata.issuer === issuer) return metadata;
    throw new Error(
      `the provider calls itself ${JSON.stringify(metadata.issuer.slice(0, 200))}; wanted ${JSON.stringify(issuer)}`,
    );
  }

  async #post(url: string, init: oauth.CustomFetchOptions<"POST", URLSearchParams>): Promise<Response> {
    const request = { method: "POST", headers: init.headers, body: init.body.toString() } as const;
    // The client's secret goes there: where the operator said, or where the provider said on the public internet.
    const isTrusted = new URL(url).origin === new URL(this.#options.issuer).origin;
    return await this.#send(url, request, { bytesMax: JWKS_BYTES_MAX, isTrusted });
  }

  /** The provider is on this machine: as in tests, it may be without TLS. `Send` still looks at the address. */
  #isLocal(): boolean {
    return this.#options.issuer.startsWith("http:");
  }

  #requireEndpoint(text: string): URL {
    const url = URL.canParse(text) ? new URL(text) : null;
    if (url?.protocol === "https:" || (url?.protocol === "http:" && this.#isLocal())) return url;
    throw new Error(
      `the provider has no authorization_endpoint of https, but ${JSON.stringify(text.slice(0, 200))}`,
    );
  }
}

/** RFC 6749 section 2.3.1; in the body when both are possible, where no two ways of escaping get into the way. */
function clientAuthentication(server: oauth.AuthorizationServer, secret: string | null): oauth.ClientAuth {
  if (secret === null) return oauth.None();
  const isPost = server.token_endpoint_auth_methods_supported?.includes("client_secret_post") === true;
  return isPost ? oauth.ClientSecretPost(secret) : oauth.ClientSecretBasic(secret);
}

const describeRefusal = (reason: JwtRefusal): string => `the identity token is refused: ${reason}`;

function toFault(error: unknown): Redeemed {
  const problem = error instanceof Error ? error.message : String(error);
  if (error instanceof oauth.AuthorizationResponseError)
    return { ok: false, fault: "refused", problem: `${problem}: ${error.error}` };
  if (error instanceof oauth.ResponseBodyError)
    return { ok: false, fault: "provider", problem: `${problem}: ${error.error}` };
  // What the library says of a state, an issuer, a nonce or a token that is not what it must be.
  if (error instanceof oauth.OperationProcessingError || error instanceof oauth.UnsupportedOperationError)
    return { ok: false, fault: "forged", problem };
  return { ok: false, fault: "provider", problem };
}
