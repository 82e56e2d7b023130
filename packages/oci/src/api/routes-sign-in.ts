import { exampleOf, failures, success } from "./answers.ts";
import { KEYS, TEXT, TOKEN, TOKEN_FORM } from "./bodies.ts";
import {
  ACCOUNT,
  AUTHORIZATION,
  CACHE_CONTROL,
  CLIENT_ID,
  OFFLINE_TOKEN,
  SCOPE,
  SERVICE,
  VERBOSE,
} from "./fields.ts";
import type { ApiAnswer, ApiBody, ApiExample, ApiRequest, ApiRoute } from "./model.ts";

const GRANTED: ApiAnswer = success({
  name: "Token",
  status: 200,
  description:
    "The token, twice under the names that clients look for. `scope` is what was granted: it can be less than was asked for, or nothing.",
  headers: [CACHE_CONTROL],
  bodies: [TOKEN],
});

const TOKEN_ERRORS = [
  "ROUTE_UNKNOWN",
  "UNAUTHORIZED",
  "REQUEST_INVALID",
  "TOOMANYREQUESTS",
  "INTERNAL_ERROR",
  "UNAVAILABLE",
] as const;

type Fields = readonly (readonly [name: string, value: string])[];

const PUSH_SCOPE = "repository:$NAME:pull,push";

function getToken(
  text: Pick<ApiRequest, "id" | "name" | "description" | "parameters">,
  query: ApiExample["query"],
): ApiRequest {
  return {
    ...text,
    bodies: [],
    successes: [GRANTED],
    failures: failures(TOKEN_ERRORS),
    example: exampleOf({ status: 200, query }),
  };
}

function postToken(
  text: Pick<ApiRequest, "id" | "name" | "description">,
  example: (Partial<ApiExample> & { readonly fields: Fields }) | null,
): ApiRequest {
  const body = example === null ? null : ({ kind: "form", fields: example.fields } as const);
  return {
    ...text,
    parameters: [],
    bodies: [TOKEN_FORM],
    successes: [GRANTED],
    failures: failures([...TOKEN_ERRORS, "SIZE_INVALID", "UNSUPPORTED"]),
    example:
      example === null
        ? null
        : exampleOf({
            status: 200,
            isAnonymous: true,
            body,
            captures: example.captures ?? null,
            after: example.after ?? [],
          }),
  };
}

export const SIGN_IN_ROUTES: readonly ApiRoute[] = [
  {
    id: "token",
    method: "GET",
    path: "/token",
    entity: "Token",
    description: "A token for the scopes, for those who show a password or an access token, or for anybody.",
    requests: [
      getToken(
        {
          id: "get-token",
          name: "For a scope",
          description:
            "With Basic credentials, or without any for what everybody may do. The registry must have authentication on; with none, or with another token server, this path is not there.",
          parameters: [SERVICE, SCOPE, ACCOUNT, CLIENT_ID, AUTHORIZATION],
        },
        [
          ["service", "stowage"],
          ["scope", PUSH_SCOPE],
        ],
      ),
      getToken(
        {
          id: "get-token-offline",
          name: "Sign in, and stay",
          description: "What `docker login` does: no scope, and a refresh token besides.",
          parameters: [SERVICE, SCOPE, ACCOUNT, CLIENT_ID, OFFLINE_TOKEN, AUTHORIZATION],
        },
        [
          ["service", "stowage"],
          ["client_id", "docs"],
          ["offline_token", "true"],
        ],
      ),
    ],
  },
  {
    id: "token",
    method: "POST",
    path: "/token",
    entity: "Token",
    description: "The same as a form (OAuth 2), with the credentials in it. At most 64 KiB.",
    requests: [
      postToken(
        {
          id: "post-token",
          name: "With a password",
          description:
            "`access_type=offline` also gives a refresh token, which does not end until it is taken back.",
        },
        {
          captures: "REFRESH_TOKEN",
          fields: [
            ["grant_type", "password"],
            ["username", "$USERNAME"],
            ["password", "$PASSWORD"],
            ["service", "stowage"],
            ["client_id", "docs"],
            ["access_type", "offline"],
            ["scope", PUSH_SCOPE],
          ],
        },
      ),
      postToken(
        {
          id: "post-token-refresh",
          name: "With a refresh token",
          description: "A new token for the account; the refresh token stays the same.",
        },
        {
          after: ["post-token"],
          fields: [
            ["grant_type", "refresh_token"],
            ["refresh_token", "$REFRESH_TOKEN"],
            ["service", "stowage"],
            ["client_id", "docs"],
            ["scope", PUSH_SCOPE],
          ],
        },
      ),
      postToken(
        {
          id: "post-token-exchange",
          name: "With a token of another issuer",
          description:
            "For workloads: `grant_type=urn:ietf:params:oauth:grant-type:token-exchange` and `subject_token`, a JWT of an issuer that an administrator trusts.",
        },
        null,
      ),
    ],
  },
];

export const KEYS_ROUTES: readonly ApiRoute[] = (["GET", "HEAD"] as const).map((method) => ({
  id: "keys",
  method,
  path: "/.well-known/jwks.json",
  entity: "Keys",
  description: "Public keys, for those who verify registry tokens elsewhere (RFC 7517).",
  requests: [
    {
      id: method === "GET" ? "get-keys" : "head-keys",
      name: method === "GET" ? "All keys" : "Without a body",
      description:
        "May be cached for five minutes. A key that was rotated out stays until its last token has ended.",
      parameters: [],
      bodies: [],
      successes: [
        success({
          name: "Keys",
          status: 200,
          description: "A JSON Web Key Set.",
          headers: [CACHE_CONTROL],
          ...(method === "GET" ? { bodies: [KEYS] } : {}),
        }),
      ],
      failures: failures(["INTERNAL_ERROR", "UNAVAILABLE"]),
      example: exampleOf({ status: 200, isAnonymous: true }),
    },
  ],
}));

const HEALTH = [
  ["livez", "The process answers. When it does not, restart it."],
  ["readyz", "It can do its work and is not shutting down. While it is not, send requests elsewhere."],
  ["startupz", "The same as readyz, for orchestrators that ask for it while a process starts."],
  ["debug/health", "The same in distribution's form: an object with a member for each thing that is wrong."],
] as const;

/** What is wrong, by the name of the check. */
const HEALTH_OBJECT: ApiBody = { contentType: "application/json;charset=utf-8", format: "{}", schema: null };

export const HEALTH_ROUTES: readonly ApiRoute[] = HEALTH.map(([name, description]) => ({
  id: "health",
  method: "GET",
  path: `/${name}`,
  entity: "Health",
  description,
  requests: [
    {
      id: `get-${name.replace("/", "-")}`,
      name: "Ask",
      description,
      parameters: name === "debug/health" ? [] : [VERBOSE],
      bodies: [],
      successes: [
        success({
          name: "Well",
          status: 200,
          description: "All is well.",
          bodies: [bodyOfHealth(name, "ok")],
        }),
      ],
      failures:
        name === "livez"
          ? []
          : [
              {
                name: "Not ready",
                status: 503,
                description: "It is shutting down, or cannot reach its metadata.",
                headers: [],
                bodies: [bodyOfHealth(name, "shutting down")],
                errors: [],
              },
            ],
      example: exampleOf({ status: 200, isAnonymous: true }),
    },
  ],
}));

function bodyOfHealth(name: string, text: string): ApiBody {
  return name === "debug/health" ? HEALTH_OBJECT : { ...TEXT, format: text };
}
