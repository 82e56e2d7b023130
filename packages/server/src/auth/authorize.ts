import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Caller, CredentialKind } from "./caller.ts";
import type { Grants, Right } from "./grants.ts";

/**
 * What a route does. `base` says that this is a registry, `catalog` lists what the caller may pull, `self` concerns the
 * caller's own account; they concern no repository. The others, named as in the token protocol, concern one, and `admin`
 * one or the registry as a whole.
 */
export type Action = "base" | "catalog" | "self" | Right;

export interface Access {
  readonly caller: Caller;
  readonly action: Action;
  /** Null for the actions that concern no repository. */
  readonly repository: RepositoryName | null;
}

/** Decides whether a caller may do something. The one question that every route, mount and listing asks. */
export type Authorize = (access: Access) => boolean;

/** Nothing is allowed that nobody allowed; and a token never allows more than its account may. */
export const authorize: Authorize = ({ caller, action, repository }) => {
  switch (action) {
    case "base":
      return caller.isAdmin || caller.credential.kind !== "none";
    case "self":
      return isUnlimited(caller) && OWN_CREDENTIALS.includes(caller.credential.kind);
    case "catalog":
      return isScopeEnough(caller, "catalog", null) && mayListSomething(caller);
    default:
      return (
        isScopeEnough(caller, action, repository) &&
        (caller.limit === null || rightsHold(caller.limit, action, repository)) &&
        (caller.isAdmin || caller.grants.some((grants) => rightsHold(grants, action, repository)))
      );
  }
};

/** With these somebody may change their password and make tokens; a token must not breed tokens. */
const OWN_CREDENTIALS: readonly CredentialKind[] = ["password", "session"];

function isUnlimited({ limit, scopes }: Caller): boolean {
  return limit === null && scopes === null;
}

function mayListSomething({ isAdmin, grants, limit }: Caller): boolean {
  if (limit !== null && !limit.allowsAnywhere("pull")) return false;
  return isAdmin || grants.some((given) => given.allowsAnywhere("pull"));
}

/** Whether grants give a right on a repository; null: on every one. */
export function rightsHold(grants: Grants, right: Right, repository: RepositoryName | null): boolean {
  return repository === null ? grants.allowsEverywhere(right) : grants.allows(right, repository);
}

/** Whether the registry token that was shown, if one was, is good for it. None is good for administration. */
function isScopeEnough(
  { scopes }: Caller,
  action: "catalog" | Right,
  repository: RepositoryName | null,
): boolean {
  if (scopes === null) return true;
  if (action === "admin") return false;
  const [type, name] = action === "catalog" ? ["registry", "catalog"] : ["repository", repository];
  const wanted = action === "catalog" ? "*" : action;
  return scopes.some(
    (scope) =>
      scope.type === type &&
      scope.name === name &&
      (scope.actions.includes(wanted) || scope.actions.includes("*")),
  );
}
