/** Longest path to go back to, in characters. */
const PATH_LENGTH_MAX = 2_048;

/**
 * A path of this registry, or `/`. Browsers read `//evil`, `/\evil` and `/<tab>/evil` as another host's address, so what
 * is let through are only characters that RFC 3986 allows in a path, a query and a fragment, behind one slash.
 */
export function toLocalPath(text: string | null): string {
  if (text === null || text.length > PATH_LENGTH_MAX) return "/";
  return /^\/(?![/\\])[\w.~!$&'()*+,;=:@%/?#-]*$/.test(text) ? text : "/";
}
