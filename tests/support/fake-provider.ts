import {
  CALLBACK_PATH,
  createLogin,
  LOGIN_PATH,
  type Login,
  type LoginOptions,
} from "@stowage/server/http/oidc/login";
import type { OidcIdentity } from "@stowage/server/http/oidc/identity";
import { lookupHost } from "@stowage/server/auth/outbound";
import { OidcIssuer } from "./oidc-issuer.ts";
import { Signer } from "./signed-tokens.ts";

export const PUBLIC_URL = "https://registry.example.com";
export const CLIENT_ID = "stowage";
export const CLIENT_SECRET = "a secret: with +%&= in it";

const signer = await Signer.create("RS256");

/** Where the registry sent the browser, and the cookie that it gave it. */
export interface Begun {
  readonly location: URL;
  readonly cookie: string;
  readonly state: string;
  readonly nonce: string;
}

/** A provider on loopback, the registry's login, and the browser between them. */
export class FakeProvider implements AsyncDisposable {
  readonly issuer = new OidcIssuer(signer);
  readonly signer = signer;
  readonly sessions = new Map<string, OidcIdentity>();
  readonly problems: string[] = [];
  /** Forms that came to the token endpoint, and the Authorization header with them. */
  readonly exchanges: { readonly form: URLSearchParams; readonly authorization: string | null }[] = [];
  /** Makes the identity token for a login with that nonce. */
  idToken = (nonce: string): Promise<string> => signer.sign(this.claims({ nonce }));
  login: Login;
  clockAhead = 0;
  #nonce = "";
  #challenge = "";

  constructor(options: Partial<LoginOptions> = {}) {
    this.issuer.metadata = {
      authorization_endpoint: `${this.issuer.url}/authorize?tenant=1`,
      token_endpoint: `${this.issuer.url}/token`,
      authorization_response_iss_parameter_supported: true,
    };
    this.issuer.routes.set("/token", (request) => this.#exchange(request));
    this.login = this.create(options);
  }

  create(options: Partial<LoginOptions> = {}): Login {
    return createLogin({
      issuer: this.issuer.url,
      clientId: CLIENT_ID,
      clientSecret: CLIENT_SECRET,
      publicUrl: PUBLIC_URL,
      scope: "openid profile email",
      nameClaim: null,
      groupsClaim: ["groups"],
      sessions: {
        create: (identity) => {
          const secret = `secret-${this.sessions.size}`;
          this.sessions.set(secret, identity);
          return Promise.resolve({ ok: true, secret });
        },
        end: (secret) => {
          this.sessions.delete(secret);
          return Promise.resolve();
        },
      },
      secret: new Uint8Array(32).fill(7),
      outbound: { lookup: lookupHost, fetch },
      now: () => Date.now() + this.clockAhead,
      monotonic: () => performance.now() + this.clockAhead,
      report: (problem) => this.problems.push(problem),
      ...options,
    });
  }

  claims(more: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
    const now = Math.floor(Date.now() / 1_000);
    return {
      iss: this.issuer.url,
      aud: CLIENT_ID,
      sub: "f7c1a4a2",
      iat: now,
      exp: now + 300,
      preferred_username: "alice",
      groups: ["dev", "ops"],
      ...more,
    };
  }

  async begin(returnTo = "/r/team/app?tab=tags"): Promise<Begun> {
    const address = `${PUBLIC_URL}${LOGIN_PATH}?return=${encodeURIComponent(returnTo)}`;
    const response = await this.login.begin(new Request(address));
    const location = new URL(response.headers.get("Location") ?? "");
    const cookie = (response.headers.get("Set-Cookie") ?? "").split(";")[0] ?? "";
    const { searchParams: parameters } = location;
    this.#nonce = parameters.get("nonce") ?? "";
    this.#challenge = parameters.get("code_challenge") ?? "";
    return { location, cookie, state: parameters.get("state") ?? "", nonce: this.#nonce };
  }

  /** Comes back with those parameters; null leaves one out. */
  async finish(
    { cookie, state }: Pick<Begun, "cookie" | "state">,
    more: Readonly<Record<string, string | null>> = {},
  ): Promise<Response> {
    const all: Readonly<Record<string, string | null>> = {
      code: "code-1",
      state,
      iss: this.issuer.url,
      ...more,
    };
    const given = Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== null);
    const address = `${PUBLIC_URL}${CALLBACK_PATH}?${new URLSearchParams(given)}`;
    return await this.login.finish(new Request(address, { headers: { Cookie: cookie } }));
  }

  async #exchange(request: Request): Promise<Response> {
    const form = new URLSearchParams(await request.text());
    this.exchanges.push({ form, authorization: request.headers.get("Authorization") });
    const hash = new Bun.CryptoHasher("sha256").update(form.get("code_verifier") ?? "").digest("base64url");
    if (form.get("code") !== "code-1" || hash !== this.#challenge) {
      return Response.json({ error: "invalid_grant" }, { status: 400 });
    }
    return Response.json({
      access_token: "opaque",
      token_type: "Bearer",
      id_token: await this.idToken(this.#nonce),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.issuer[Symbol.asyncDispose]();
  }
}
