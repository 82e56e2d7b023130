import type { PageRequest } from "@stowage/oci/pagination";

/** A part of a listing. */
export interface Page<T> {
  readonly entries: readonly T[];
  /** The `last` of the next page, or null when this one is the last. */
  readonly next: T | null;
}

/** Asks for one entry more than the page holds: whether there is one says whether a next page exists. */
export async function listPage<T>(
  page: PageRequest,
  list: (wanted: PageRequest) => Promise<readonly T[]>,
): Promise<Page<T>> {
  const found = await list({ ...page, entriesMax: page.entriesMax + 1 });
  const entries = found.slice(0, page.entriesMax);
  return { entries, next: found.length > entries.length ? (entries.at(-1) ?? null) : null };
}
