import { type ChallengeError, formatBearerChallenge } from "@stowage/oci/challenge";
import { RegistryError } from "@stowage/oci/errors";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { TokenScope } from "@stowage/oci/token-scope";
import type { Auth } from "../auth/auth.ts";
import type { Access, Action, Authorize } from "../auth/authorize.ts";
import type { Origin } from "../net/client-address.ts";

/** Where the token endpoint is. */
export const TOKEN_PATH = "/token";

/** What a request needs, as the door and the challenge name it. */
export interface Wanted {
  readonly action: Action;
  readonly repository: RepositoryName | null;
  /** Repository of `?mount&from`: a client that asks for a token may as well ask for both. */
  readonly mountFrom: RepositoryName | null;
}

/** Address of the registry as the client knows it: it must be the one that is reached again. */
export interface Realm {
  readonly auth: Auth;
  readonly origin: Origin;
  /** Said by the settings, and then sent to everybody; null: what the client's own request says. */
  readonly publicUrl: string | null;
}

/**
 * The refusal of a caller who may not do it: 401 with a challenge where another token or signing in can help, 403 where
 * asking again cannot.
 */
export function refusal(access: Access, wanted: Wanted, authorize: Authorize, realm: Realm): RegistryError {
  const { caller } = access;
  const hasToken = caller.credential.kind === "registry-token";
  const mayWithoutToken = hasToken && authorize({ ...access, caller: { ...caller, scopes: null } });
  // What the token says is all that is known of the caller: another one may say more.
  const isUpToIssuer =
    hasToken && (realm.auth.external !== null || caller.name?.startsWith("workload:") === true);
  if (caller.name !== null && !mayWithoutToken && !isUpToIssuer) return denied(wanted);
  if (hasToken && wanted.action === "admin") return denied(wanted);
  const error = hasToken ? "insufficient_scope" : null;
  // With a token for anybody, too, it is a person who reads this, and what they need is not another scope.
  return challenge(wanted, error, realm, caller.name === null ? SIGN_IN : messageOf(error));
}

function denied({ action, repository }: Wanted): RegistryError {
  if (action === "self") {
    return new RegistryError("DENIED", {
      message: "a token cannot manage accounts and tokens; sign in with the account's password",
    });
  }
  const where = repository === null ? "the registry" : `the repository "${repository}"`;
  return new RegistryError("DENIED", {
    message: `no rule gives this account ${action} on ${where}; ask an administrator`,
  });
}

/** 401 with what a client needs to come back with a token. */
export function challenge(
  wanted: Wanted,
  error: ChallengeError | null,
  realm: Realm,
  message: string = messageOf(error),
): RegistryError {
  const scopes = scopesOf(wanted);
  const { external, issuer } = realm.auth;
  const header = formatBearerChallenge({
    realm: external?.realm ?? `${baseUrl(realm)}${TOKEN_PATH}`,
    service: external?.service ?? issuer.service,
    scopes,
    error: error === null ? null : { code: error, description: message },
  });
  return new RegistryError("UNAUTHORIZED", {
    message,
    detail: scopes.map(({ type, name, actions }) => ({ type, name, actions })),
    headers: { "WWW-Authenticate": header },
  });
}

const SIGN_IN = "authentication required: sign in first, for example with `docker login`";

function messageOf(error: ChallengeError | null): string {
  switch (error) {
    case null:
      return SIGN_IN;
    case "invalid_token":
      return "the credentials are not valid, or are not any more: sign in again";
    case "insufficient_scope":
      return "the token is not good for this: ask for one with the scope of the challenge";
    default:
      return error satisfies never;
  }
}

/** `https://registry.example.com`, without a slash at the end. */
export function baseUrl({ origin, publicUrl }: Pick<Realm, "origin" | "publicUrl">): string {
  return publicUrl ?? `${origin.scheme}://${origin.host ?? "localhost"}`;
}

/** Actions of the token protocol: who pushes also asks what is there. */
const ACTIONS: Readonly<Partial<Record<Action, readonly string[]>>> = {
  pull: ["pull"],
  push: ["pull", "push"],
  delete: ["delete"],
};

function scopesOf({ action, repository, mountFrom }: Wanted): readonly TokenScope[] {
  if (action === "catalog") return [{ type: "registry", name: "catalog", actions: ["*"] }];
  const actions = ACTIONS[action];
  if (actions === undefined || repository === null) return [];
  const scope = { type: "repository", name: repository, actions };
  if (mountFrom === null || mountFrom === repository) return [scope];
  return [scope, { type: "repository", name: mountFrom, actions: ["pull"] }];
}
