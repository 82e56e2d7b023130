/** Where the management API begins. */
export const API_ROOT = "/api/v1";

/** Below these a repository name or a namespace stands in the path, with its slashes. */
const NAMED = ["/repositories/", "/namespaces/", "/quotas/"] as const;

/** Methods that change nothing, whatever the path. */
const READING: readonly string[] = ["GET", "HEAD", "OPTIONS"];

/** A path of the management API, read as far as the door needs it. */
export interface ApiTarget {
  /** What is asked for, with the name as one segment: its slashes are `%2F`. */
  readonly path: string;
  /** Name of the repository as the client sent it, or null outside a repository. */
  readonly rawName: string | null;
}

/**
 * Reads a path of the management API; null for every other one. `-` cannot be a component of a name, so `/-/` ends
 * the name; a last slash and its absence mean the same.
 */
export function locateApi(path: string): ApiTarget | null {
  if (path !== API_ROOT && !path.startsWith(`${API_ROOT}/`)) return null;
  const trimmed = path.endsWith("/") ? path.slice(0, -1) : path;
  const below = trimmed.slice(API_ROOT.length);
  const named = NAMED.find((prefix) => below.startsWith(prefix));
  if (named === undefined) return { path: trimmed, rawName: null };
  const rest = below.slice(named.length);
  const end = rest.indexOf("/-/");
  const rawName = end === -1 ? rest : rest.slice(0, end);
  const tail = end === -1 ? "" : rest.slice(end);
  const segment = encodeURIComponent(rawName.replaceAll(/%2f/gi, "/"));
  return {
    path: `${API_ROOT}${named}${segment}${tail}`,
    rawName: named === "/repositories/" ? rawName : null,
  };
}

/** What is not part of the registry's content. A backup needs holds, and a token that leaked must end at any time. */
const OUTSIDE_CONTENT = ["holds", "self", "users", "robots", "access", "workloads", "keys"] as const;

/** Whether a request would change what the registry holds, which a read-only one refuses. */
export function changesRegistry(method: string, { path }: ApiTarget): boolean {
  const isOutside = (part: string) =>
    path === `${API_ROOT}/${part}` || path.startsWith(`${API_ROOT}/${part}/`);
  return isMutating(method) && !OUTSIDE_CONTENT.some(isOutside);
}

/** Whether a method may have an effect at all. */
export function isMutating(method: string): boolean {
  return !READING.includes(method);
}
