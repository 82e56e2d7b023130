import { RegistryError } from "./errors.ts";
import { quote } from "./reference.ts";

/** Most entries of a page of tags or repositories, and the page's length when the client does not say. */
export const PAGE_ENTRIES_MAX = 10_000;

/** `n` and `last` of a listing. */
export interface PageRequest {
  /** Most entries wanted, 0 to PAGE_ENTRIES_MAX. */
  readonly entriesMax: number;
  /** List only what sorts after this; it need not exist. Empty lists from the beginning. */
  readonly after: string;
}

/**
 * Reads `n` and `last`. A huge `n` is clamped; the Link header then says that more follows.
 * @throws RegistryError PAGINATION_NUMBER_INVALID
 */
export function requirePage(query: URLSearchParams): PageRequest {
  const n = query.get("n");
  const after = query.get("last") ?? "";
  if (n === null || n === "") return { entriesMax: PAGE_ENTRIES_MAX, after };
  if (!/^\d{1,20}$/.test(n)) {
    throw new RegistryError("PAGINATION_NUMBER_INVALID", {
      message: `invalid n ${quote(n)}: wanted a whole number`,
    });
  }
  return { entriesMax: Math.min(Number(n), PAGE_ENTRIES_MAX), after };
}

/** A `Link` header to the next page (RFC 8288), relative so that it holds behind any proxy. */
export function formatNextLink(path: string, query: Readonly<Record<string, string>>): string {
  return `<${path}?${new URLSearchParams(query).toString()}>; rel="next"`;
}
