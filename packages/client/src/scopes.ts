import { formatTokenScope, type TokenScope } from "@stowage/oci/token-scope";

export function repositoryScope(name: string, ...actions: readonly string[]): TokenScope {
  return { type: "repository", name, actions };
}

export const CATALOG_SCOPE: TokenScope = { type: "registry", name: "catalog", actions: ["*"] };

/** One scope per resource, each with the actions of all, in a fixed order: the same wishes are the same text. */
export function unionOfScopes(scopes: readonly TokenScope[]): readonly TokenScope[] {
  const actionsOf = new Map<string, TokenScope>();
  for (const { type, name, actions } of scopes) {
    const key = `${type}:${name}`;
    const all = new Set([...(actionsOf.get(key)?.actions ?? []), ...actions]);
    actionsOf.set(key, { type, name, actions: [...all].sort() });
  }
  return [...actionsOf.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, scope]) => scope);
}

/** Whether a token for `given` is good for `wanted`. */
export function coversScopes(given: readonly TokenScope[], wanted: readonly TokenScope[]): boolean {
  return wanted.every(({ type, name, actions }) =>
    given.some(
      (scope) =>
        scope.type === type &&
        scope.name === name &&
        actions.every((action) => scope.actions.includes(action)),
    ),
  );
}

export function textOfScopes(scopes: readonly TokenScope[]): string {
  return scopes.map(formatTokenScope).join(" ");
}
