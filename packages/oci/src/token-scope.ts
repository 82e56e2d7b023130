/**
 * What a registry token is good for: `repository:team/app:pull,push` (Docker Registry v2 Bearer token specification,
 * "Token Scope Documentation"). In a token it is an entry of the claim `access`.
 */
export interface TokenScope {
  /** `repository`, `registry`, or what another registry invented; a class in parentheses is dropped. */
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** Longest scope, in characters: a name of 255 with a host in front, and its actions. */
const SCOPE_LENGTH_MAX = 1_024;

/** Scopes of one request or token. */
const SCOPES_MAX = 100;

/**
 * Reads one scope, or null. The name may hold a host and port (`localhost:5000/app`), so the type ends at the first
 * colon and the actions begin behind the last one.
 */
export function parseTokenScope(text: string): TokenScope | null {
  if (text.length > SCOPE_LENGTH_MAX) return null;
  const first = text.indexOf(":");
  const last = text.lastIndexOf(":");
  if (first <= 0 || last <= first + 1) return null;
  const [, type] = /^([a-z0-9]+)(?:\([a-z0-9]+\))?$/.exec(text.slice(0, first)) ?? [];
  const actions = text
    .slice(last + 1)
    .split(",")
    .filter((action) => action !== "");
  if (type === undefined || !actions.every((action) => /^(?:[a-z]+|\*)$/.test(action))) return null;
  return { type, name: text.slice(first + 1, last), actions: [...new Set(actions)] };
}

/** Every scope of the texts, each of which may hold several, separated by spaces. What is none is left out. */
export function parseTokenScopes(texts: readonly string[]): readonly TokenScope[] {
  return texts
    .flatMap((text) => text.split(" "))
    .slice(0, SCOPES_MAX)
    .flatMap((text) => parseTokenScope(text) ?? []);
}

export function formatTokenScope({ type, name, actions }: TokenScope): string {
  return `${type}:${name}:${actions.join(",")}`;
}
