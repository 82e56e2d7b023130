import { RegistryError } from "@stowage/oci/errors";
import { formatTokenScope, parseTokenScopes, type TokenScope } from "@stowage/oci/token-scope";
import type { Auth } from "../../auth/auth.ts";
import type { Presented } from "../../auth/authenticate.ts";
import type { Authorize } from "../../auth/authorize.ts";
import type { Caller } from "../../auth/caller.ts";
import { grantedScopes } from "../../auth/granted-scopes.ts";
import { readBody } from "../body.ts";
import { jsonResponse } from "../json.ts";

/** Largest body of a token request, in bytes: a workload's token and some scopes. */
const BODY_BYTES_MAX = 64 * 1024;

/** RFC 8693 section 2.1. */
const TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";

export interface TokenExchange {
  readonly request: Request;
  readonly query: URLSearchParams;
  readonly presented: Presented;
  readonly auth: Auth;
  readonly authorize: Authorize;
  /** Tells who it is as soon as it is known, and whether they sign in for longer than this token. */
  readonly seen: (caller: Caller, hasSignedIn: boolean) => void;
}

/** What was asked for, in whichever form. */
interface TokenRequest {
  readonly caller: Caller;
  readonly scopes: readonly TokenScope[];
  /** Whether the client wants a refresh token. */
  readonly isOffline: boolean;
  /** What it calls itself. */
  readonly client: string;
  /** The refresh token that it has, and keeps. */
  readonly refreshToken: string | null;
}

/**
 * The token endpoint (Docker Registry v2 "Token Authentication Specification" for GET, "OAuth2 Token Authentication" for
 * POST). What may not be granted is left out of the token, and an empty one is no error.
 * @throws RegistryError UNAUTHORIZED, REQUEST_INVALID, SIZE_INVALID, UNSUPPORTED, TOOMANYREQUESTS
 */
export async function answerToken(exchange: TokenExchange): Promise<Response> {
  const { request, auth, authorize } = exchange;
  requireMethod(request.method);
  const wanted = request.method === "POST" ? await readPost(exchange) : await readGet(exchange);
  const { caller, scopes } = wanted;
  // `docker login` asks for no scope: it wants to know whether the password is right.
  const isLogin = wanted.refreshToken === null && (wanted.isOffline || scopes.length === 0);
  exchange.seen(caller, isLogin && caller.credential.kind === "password");
  const access = grantedScopes(caller, scopes, authorize);
  const subject = caller.name ?? "";
  const source = caller.credential.kind === "access-token" ? caller.credential.id : null;
  const principals = vouchedNames(caller);
  const password = caller.passwordMark ?? null;
  const { text, issuedAt } = await auth.issuer.issue({ subject, access, principals, source, password });
  const refreshToken = await refreshTokenOf(wanted, auth);
  const response = jsonResponse({
    token: text,
    access_token: text,
    token_type: "Bearer",
    expires_in: auth.issuer.lifetimeSeconds,
    issued_at: new Date(issuedAt * 1_000).toISOString(),
    scope: access.map(formatTokenScope).join(" "),
    ...(refreshToken === null ? {} : { refresh_token: refreshToken }),
  });
  response.headers.set("Cache-Control", "no-store");
  return response;
}

function requireMethod(method: string): void {
  if (method === "GET" || method === "POST") return;
  throw new RegistryError("UNSUPPORTED", {
    message: "the token endpoint takes GET and POST",
    headers: { Allow: "GET, POST" },
  });
}

/** No credentials are no error: then it is a token for anybody. */
async function readGet({ query, presented, auth }: TokenExchange): Promise<TokenRequest> {
  const caller = await auth.authenticator.authenticate(presented);
  // A registry token must not be made to last by changing it for the next one.
  if (caller.credential.kind === "registry-token") throw new RegistryError("UNAUTHORIZED");
  return {
    caller,
    scopes: parseTokenScopes(query.getAll("scope")),
    isOffline: query.get("offline_token") === "true",
    client: query.get("client_id") ?? "",
    refreshToken: null,
  };
}

async function readPost({ request, presented, auth }: TokenExchange): Promise<TokenRequest> {
  const form = await readForm(request);
  const one = (name: string) => form.get(name) ?? "";
  const rest = {
    scopes: parseTokenScopes(form.getAll("scope")),
    isOffline: one("access_type") === "offline",
    client: one("client_id"),
    refreshToken: null,
  };
  const { address } = presented;
  const { authenticator } = auth;
  switch (one("grant_type")) {
    case "password": {
      const signIn = { name: one("username"), password: one("password"), address, request };
      return { ...rest, caller: await authenticator.signIn(signIn) };
    }
    case "refresh_token": {
      const refreshToken = one("refresh_token");
      return { ...rest, caller: await authenticator.refresh(refreshToken), refreshToken };
    }
    case TOKEN_EXCHANGE:
      return { ...rest, caller: await authenticator.exchange(one("subject_token")) };
    default:
      throw new RegistryError("REQUEST_INVALID", {
        message: `grant_type is none of password, refresh_token and ${TOKEN_EXCHANGE}`,
      });
  }
}

async function readForm(request: Request): Promise<URLSearchParams> {
  const bytes = await readBody(request, { bytesMax: BODY_BYTES_MAX, invalid: "REQUEST_INVALID" });
  const type = request.headers.get("Content-Type") ?? "";
  if (!/^application\/x-www-form-urlencoded\s*(?:;|$)/i.test(type)) {
    throw new RegistryError("REQUEST_INVALID", {
      message: "the token endpoint takes application/x-www-form-urlencoded",
    });
  }
  return new URLSearchParams(new TextDecoder().decode(bytes));
}

/** A password is worth one; what ends by itself must not be made to last. */
async function refreshTokenOf(wanted: TokenRequest, { tokens }: Auth): Promise<string | null> {
  const { caller, isOffline, client, refreshToken } = wanted;
  if (refreshToken !== null) return refreshToken;
  if (!isOffline || caller.name === null || caller.credential.kind !== "password") return null;
  return await tokens.createRefreshToken(caller.name, client);
}

/** Further names of a caller whom no account knows: the token has to carry them. */
function vouchedNames({ name, principals }: Caller): readonly string[] {
  if (name?.startsWith("certificate:") !== true) return [];
  return principals.filter((principal) => principal.startsWith("certificate:") && principal !== name);
}
