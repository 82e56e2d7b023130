import type { Route } from "./routes.ts";

/** A path that some route has; `methods` are all routes with the same template. */
export interface Match {
  readonly template: string;
  readonly methods: ReadonlyMap<string, Route>;
  /** Repository name as it stands in the path, still encoded; empty for routes outside a repository. */
  readonly rawName: string;
  /** Last segment when the template ends with a parameter, still encoded; otherwise empty. */
  readonly rawTarget: string;
}

interface Pattern {
  readonly template: string;
  readonly methods: ReadonlyMap<string, Route>;
  /** Segments after the name; null stands for the parameter. */
  readonly tail: readonly (string | null)[];
}

/** Finds the route of a path. Made once from the table. */
export interface Matcher {
  match(path: string): Match | null;
}

/**
 * A matcher for paths below `/v2`. Repository names contain slashes, and their components may be called
 * `blobs` or `manifests`, so a path is read from its right end, the longest tail first. A last slash and its
 * absence mean the same (`/v2`, `.../blobs/uploads`).
 */
export function createMatcher(routes: readonly Route[]): Matcher {
  const exact = new Map<string, Pattern>();
  const patterns: Pattern[] = [];
  for (const template of new Set(routes.map((route) => route.template))) {
    const methods = new Map(
      routes.filter((route) => route.template === template).map((row) => [row.method, row]),
    );
    const segments = template.split("/").filter((segment) => segment !== "");
    const name = segments.indexOf("<name>");
    const tail = segments.slice(name + 1).map((segment) => (segment.startsWith("<") ? null : segment));
    const pattern = { template, methods, tail };
    if (name === -1) exact.set(`/${segments.join("/")}`, pattern);
    else patterns.push(pattern);
  }
  patterns.sort((a, b) => b.tail.length - a.tail.length || countParameters(a) - countParameters(b));
  return { match: (path) => matchPath(path, exact, patterns) };
}

function matchPath(
  path: string,
  exact: ReadonlyMap<string, Pattern>,
  patterns: readonly Pattern[],
): Match | null {
  const trimmed = path.endsWith("/") ? path.slice(0, -1) : path;
  const fixed = exact.get(trimmed);
  if (fixed !== undefined) return { ...fixed, rawName: "", rawTarget: "" };
  if (!trimmed.startsWith("/v2/")) return null;
  const segments = trimmed.slice("/v2/".length).split("/");
  for (const { template, methods, tail } of patterns) {
    const nameLength = segments.length - tail.length;
    if (nameLength < 1) continue;
    if (!tail.every((wanted, at) => wanted === null || wanted === segments[nameLength + at])) continue;
    const rawTarget = tail.at(-1) === null ? (segments.at(-1) ?? "") : "";
    return { template, methods, rawName: segments.slice(0, nameLength).join("/"), rawTarget };
  }
  return null;
}

function countParameters(pattern: Pattern): number {
  return pattern.tail.filter((segment) => segment === null).length;
}
