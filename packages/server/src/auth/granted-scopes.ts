import { parseRepositoryName } from "@stowage/oci/repository-name";
import type { TokenScope } from "@stowage/oci/token-scope";
import type { Authorize } from "./authorize.ts";
import type { Caller } from "./caller.ts";
import type { Grant } from "./grants.ts";

/** Actions that a registry token can be good for; `*` stands for all of them. */
const ACTIONS = ["pull", "push", "delete"] as const;

/** What scopes alone give, when nobody else says what their holder may: never administration. */
export function grantsOfScopes(scopes: readonly TokenScope[]): readonly Grant[] {
  return scopes
    .filter(({ type }) => type === "repository")
    .map(({ name, actions }) => ({
      repositories: [name],
      may: ACTIONS.filter((action) => actions.includes(action) || actions.includes("*")),
    }));
}

/** What of the scopes the caller may have. Each repository comes once. */
export function grantedScopes(
  caller: Caller,
  scopes: readonly TokenScope[],
  authorize: Authorize,
): readonly TokenScope[] {
  const granted = new Map<string, TokenScope>();
  for (const scope of scopes) {
    const key = `${scope.type}:${scope.name}`;
    const before = granted.get(key)?.actions ?? [];
    const actions = [...new Set([...before, ...grantedActions(caller, scope, authorize)])];
    if (actions.length > 0) granted.set(key, { type: scope.type, name: scope.name, actions });
  }
  return [...granted.values()];
}

function grantedActions(
  caller: Caller,
  { type, name, actions }: TokenScope,
  authorize: Authorize,
): readonly string[] {
  if (type === "registry") {
    const isCatalog = name === "catalog" && actions.includes("*");
    return isCatalog && authorize({ caller, action: "catalog", repository: null }) ? ["*"] : [];
  }
  const repository = type === "repository" ? parseRepositoryName(name) : null;
  if (repository === null) return [];
  return ACTIONS.filter(
    (action) =>
      (actions.includes(action) || actions.includes("*")) && authorize({ caller, action, repository }),
  );
}
