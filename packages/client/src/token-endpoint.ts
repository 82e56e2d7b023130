import { isObject } from "@stowage/oci/descriptor";
import { ClientError } from "./client-error.ts";
import { basicAuthorization, type Credentials } from "./credentials.ts";
import { jsonOf, readError, readText } from "./answers.ts";

/** Where tokens come from, as the challenge says. */
export interface Realm {
  readonly url: URL;
  readonly service: string | null;
}

export interface TokenAnswer {
  readonly token: string;
  /** How long it is good for, in seconds. */
  readonly lifeSeconds: number;
  /** What tokens can be had for from now on, when the endpoint gave one. */
  readonly refreshToken: string | null;
}

export interface TokenRequest {
  readonly url: URL;
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: URLSearchParams;
}

/** Sends a request to the realm; never follows to another origin with credentials. */
export type TokenFetch = (request: TokenRequest) => Promise<Response>;

/** Life of a token whose answer does not say (token specification: 60 seconds). */
const LIFE_SECONDS_DEFAULT = 60;

/** Longest answer, in bytes. */
const ANSWER_BYTES_MAX = 256 * 1024;

const CLIENT_ID = "stowage";

/**
 * Asks for a token: with an identity token by POST (OAuth2, RFC 6749 section 6), otherwise by GET with the password, or as
 * nobody. @throws ClientError
 */
export async function fetchToken(
  realm: Realm,
  { credentials, scope }: { readonly credentials: Credentials | null; readonly scope: string },
  send: TokenFetch,
): Promise<TokenAnswer> {
  const request =
    credentials?.kind === "identity-token"
      ? refreshRequest(realm, { token: credentials.token, scope })
      : tokenRequest(realm, { credentials, scope });
  const response = await send(request);
  const operation = `sign in at ${realm.url.origin}`;
  if (!response.ok) throw await readError(response, operation);
  const answer = parseAnswer(await readText(response, { bytesMax: ANSWER_BYTES_MAX, operation }));
  if (answer !== null) return answer;
  throw new ClientError("server", `the answer has no token`, {
    operation,
    status: response.status,
  });
}

function tokenRequest(
  realm: Realm,
  { credentials, scope }: { readonly credentials: Credentials | null; readonly scope: string },
): TokenRequest {
  const url = new URL(realm.url);
  if (realm.service !== null) url.searchParams.set("service", realm.service);
  // One parameter each: that is what every token endpoint understands (token specification, "scope").
  for (const one of scope.split(" ").filter((text) => text !== "")) url.searchParams.append("scope", one);
  if (credentials?.kind !== "password") return { url, method: "GET", headers: {} };
  const { username, password } = credentials;
  url.searchParams.set("account", username);
  return { url, method: "GET", headers: { Authorization: basicAuthorization(username, password) } };
}

function refreshRequest(
  { url, service }: Realm,
  { token, scope }: { readonly token: string; readonly scope: string },
): TokenRequest {
  const body = new URLSearchParams({
    grant_type: "refresh_token",
    refresh_token: token,
    client_id: CLIENT_ID,
  });
  if (service !== null) body.set("service", service);
  if (scope !== "") body.set("scope", scope);
  return { url, method: "POST", headers: {}, body };
}

/** Both names of the token are in use: `token`, and OAuth2's `access_token`. */
function parseAnswer(text: string): TokenAnswer | null {
  const answer = jsonOf(text);
  if (!isObject(answer)) return null;
  const { token, access_token, expires_in, refresh_token } = answer;
  const given = typeof token === "string" && token !== "" ? token : access_token;
  if (typeof given !== "string" || !/^[\x21-\x7e]+$/.test(given)) return null;
  const life = typeof expires_in === "number" && expires_in > 0 ? expires_in : LIFE_SECONDS_DEFAULT;
  const refreshToken = typeof refresh_token === "string" && refresh_token !== "" ? refresh_token : null;
  return { token: given, lifeSeconds: life, refreshToken };
}
