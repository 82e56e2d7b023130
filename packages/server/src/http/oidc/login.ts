import { generateRandomCodeVerifier, generateRandomNonce, generateRandomState } from "oauth4webapi";
import type { ClaimPath } from "../../auth/claims.ts";
import type { OutboundPorts } from "../../auth/outbound.ts";
import { SESSION_COOKIES, sessionOf } from "../session-cookie.ts";
import { identityOf, type OidcIdentity } from "./identity.ts";
import { loginFailedPage, onwardPage } from "./pages.ts";
import { OidcProvider } from "./provider.ts";
import { toLocalPath } from "./return-path.ts";
import { LOGIN_MS_MAX, LoginSeal } from "./sealed-login.ts";

export const LOGIN_PATH = "/auth/login";
export const CALLBACK_PATH = "/auth/callback";
export const LOGOUT_PATH = "/auth/logout";

/** Longest query of the callback, in characters. */
const QUERY_LENGTH_MAX = 8 * 1_024;

/** Keeps sessions. */
export interface Sessions {
  /** The new session's secret, of characters that a cookie may hold; or why there is none. */
  create(
    identity: OidcIdentity,
  ): Promise<
    { readonly ok: true; readonly secret: string } | { readonly ok: false; readonly problem: string }
  >;
  /** Ends the session of that secret, if there is one. */
  end(secret: string): Promise<void>;
}

export interface LoginOptions {
  readonly issuer: string;
  readonly clientId: string;
  /** Null: a public client. */
  readonly clientSecret: string | null;
  /** Where browsers find the registry: https, or http on this machine. */
  readonly publicUrl: string;
  readonly scope: string;
  readonly nameClaim: ClaimPath | null;
  readonly groupsClaim: ClaimPath | null;
  readonly sessions: Sessions;
  /** At least 32 random bytes, the same on every replica: seals what browsers keep during a login. */
  readonly secret: Uint8Array;
  readonly outbound: OutboundPorts;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number;
  /** Called with why a login failed, for the log. */
  readonly report: (problem: string) => void;
}

/** People's login, as functions from Request to Response. The paths are for the caller to match. */
export interface Login {
  /** `GET /auth/login?return=/...`: sends the browser to the provider. */
  begin(request: Request): Promise<Response>;
  /** `GET /auth/callback`: where the provider sends it back. `signedIn` is told who it was, if all was right. */
  finish(request: Request, signedIn?: (identity: OidcIdentity) => void): Promise<Response>;
  /** `POST /auth/logout`: 204, also when there was no session. */
  logout(request: Request): Promise<Response>;
}

interface Context {
  readonly options: LoginOptions;
  readonly provider: OidcProvider;
  readonly seal: LoginSeal;
  readonly cookies: Cookies;
  readonly origin: string;
}

/** @throws Error when `publicUrl` is neither https nor this machine, or the secret is short */
export function createLogin(options: LoginOptions): Login {
  const { publicUrl, secret, now } = options;
  const { origin, protocol, hostname } = new URL(publicUrl);
  const isLocal = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(hostname);
  if (protocol !== "https:" && !(protocol === "http:" && isLocal)) {
    throw new Error(`people cannot sign in at ${JSON.stringify(publicUrl)}; wanted https`);
  }
  const provider = new OidcProvider({ ...options, redirectUri: `${origin}${CALLBACK_PATH}` });
  const seal = new LoginSeal(secret, now);
  const context: Context = { options, provider, seal, cookies: cookiesOf(protocol), origin };
  return {
    begin: (request) => begin(request, context),
    finish: (request, signedIn) => finish(request, context, signedIn),
    logout: (request) => logout(request, context),
  };
}

async function begin(request: Request, { options, provider, seal, cookies }: Context): Promise<Response> {
  const returnTo = toLocalPath(queryOf(request).get("return"));
  const binding = {
    state: generateRandomState(),
    nonce: generateRandomNonce(),
    verifier: generateRandomCodeVerifier(),
  };
  try {
    const location = await provider.authorizationUrl(binding);
    const headers = new Headers({ Location: location, "Cache-Control": "no-store" });
    headers.append("Set-Cookie", cookies.pending(await seal.seal({ ...binding, returnTo })));
    return new Response(null, { status: 303, headers });
  } catch (error) {
    options.report(`begin a login: ${error instanceof Error ? error.message : String(error)}`);
    return loginFailedPage("provider");
  }
}

async function finish(
  request: Request,
  context: Context,
  signedIn: (identity: OidcIdentity) => void = () => undefined,
): Promise<Response> {
  const { options, provider, seal, cookies } = context;
  const sealed = cookies.readPending(request);
  const pending = sealed === null ? null : await seal.open(sealed);
  // Whatever happens, this login is over: its code must not be tried twice.
  const fail = (fault: Parameters<typeof loginFailedPage>[0], problem: string) => {
    options.report(`finish a login: ${problem}`);
    const response = loginFailedPage(fault);
    response.headers.append("Set-Cookie", cookies.noPending);
    return response;
  };
  if (pending === null) return fail("expired", "the browser did not begin it, or too long ago");
  const redeemed = await provider.redeem(queryOf(request), pending);
  if (!redeemed.ok) return fail(redeemed.fault, redeemed.problem);
  const identity = identityOf(redeemed.claims, options);
  if (identity === null) return fail("nameless", "the identity token holds no usable name");
  const session = await options.sessions.create(identity);
  if (!session.ok) return fail("refused", session.problem);
  signedIn(identity);
  const response = onwardPage(pending.returnTo);
  response.headers.append("Set-Cookie", cookies.session(session.secret));
  response.headers.append("Set-Cookie", cookies.noPending);
  return response;
}

/** The session's cookie is not sent by pages of other sites; who asks from one anyway is refused. */
async function logout(request: Request, { options, cookies, origin }: Context): Promise<Response> {
  const from = request.headers.get("Origin");
  const site = request.headers.get("Sec-Fetch-Site");
  if ((from !== null && from !== origin) || (site !== null && site !== "same-origin")) {
    return new Response(null, { status: 403 });
  }
  const secret = sessionOf(request, options.publicUrl);
  if (secret !== null) await options.sessions.end(secret);
  const headers = new Headers({ "Cache-Control": "no-store", "Set-Cookie": cookies.noSession });
  return new Response(null, { status: 204, headers });
}

function queryOf({ url }: Request): URLSearchParams {
  const question = url.indexOf("?");
  const text = question === -1 ? "" : url.slice(question + 1);
  return new URLSearchParams(text.length > QUERY_LENGTH_MAX ? "" : text);
}

interface Cookies {
  session(secret: string): string;
  readonly noSession: string;
  pending(sealed: string): string;
  readonly noPending: string;
  readPending(request: Request): string | null;
}

/** RFC 6265bis section 4.1.3.2: the prefix keeps other hosts and plain http from setting the cookie. */
function cookiesOf(protocol: string): Cookies {
  const isSecure = protocol === "https:";
  const session = SESSION_COOKIES[isSecure ? 0 : 1];
  const pending = `${session}-login`;
  const rest = `Path=/; HttpOnly${isSecure ? "; Secure" : ""}`;
  return {
    session: (secret) => `${session}=${secret}; ${rest}; SameSite=Strict`,
    noSession: `${session}=; ${rest}; SameSite=Strict; Max-Age=0`,
    // Lax: the provider's page sends the browser back, and a strict one would stay behind.
    pending: (sealed) => `${pending}=${sealed}; ${rest}; SameSite=Lax; Max-Age=${LOGIN_MS_MAX / 1_000}`,
    noPending: `${pending}=; ${rest}; SameSite=Lax; Max-Age=0`,
    readPending: (request) => readCookie(request, pending),
  };
}

/** Null also when there are two: then one of them is somebody else's. */
function readCookie(request: Request, name: string): string | null {
  const pairs = (request.headers.get("Cookie") ?? "").split(";").map((pair) => pair.trim());
  const values = pairs.filter((pair) => pair.startsWith(`${name}=`));
  return values.length === 1 ? (values[0]?.slice(name.length + 1) ?? null) : null;
}
