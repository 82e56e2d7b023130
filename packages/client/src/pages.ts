import { isObject } from "@stowage/oci/descriptor";
import { jsonOf, readText } from "./answers.ts";
import { ClientError } from "./client-error.ts";
import type { ApiRequest, Connection } from "./connection.ts";
import type { IoOptions } from "./content.ts";

/** Longest page, in bytes; entries of a page are bounded by it. */
const PAGE_BYTES_MAX = 16 * 1024 * 1024;

/** Pages of one listing. */
const PAGES_MAX = 100_000;

/** Addresses of pages that are remembered, to see that they lead in a circle: each may be long. */
const PAGES_REMEMBERED_MAX = 1_000;

export interface PageOptions extends IoOptions {
  /** Entries per answer; the registry may give fewer. */
  readonly pageSize?: number | undefined;
  /** Lists only what comes after it. */
  readonly after?: string | undefined;
}

/** The path of a listing that begins where `options` want it. */
export function pagePath(path: string, { pageSize, after }: PageOptions): string {
  const query = new URLSearchParams();
  if (pageSize !== undefined) query.set("n", String(pageSize));
  if (after !== undefined) query.set("last", after);
  return query.size === 0 ? path : `${path}?${query}`;
}

/** Every page of a listing, by its Link headers (RFC 8288, OCI Distribution Specification "Listing Tags"). @throws ClientError */
export async function* listPages(
  connection: Connection,
  first: ApiRequest,
): AsyncGenerator<unknown, void, void> {
  const { operation } = first;
  let target: string | URL = first.target;
  const seen = new Set<string>();
  for (let page = 0; page < PAGES_MAX; page++) {
    const response: Response = await connection.send({ ...first, target });
    const text = await readText(response, { bytesMax: PAGE_BYTES_MAX, operation });
    const value = jsonOf(text);
    if (value === undefined) throw new ClientError("server", `the answer is not JSON`, { operation });
    yield value;
    const next = nextLink(response.headers.get("Link"));
    if (next === null) return;
    const url: URL = connection.resolve(next, target);
    if (seen.has(url.href)) break;
    if (page < PAGES_REMEMBERED_MAX) seen.add(url.href);
    target = url;
  }
  throw new ClientError("server", "its pages do not end", { operation });
}

/** Longest Link header that is read, in characters: an address has at most some thousands. */
const LINK_LENGTH_MAX = 16_384;

/** One link: its address and its parameters (RFC 8288 section 3). */
const LINK = /[\s,]*<([^>]*)>((?:"[^"]*"|[^",])*)/y;

/** The address with `rel="next"`, or null. */
function nextLink(header: string | null): string | null {
  if (header === null || header.length > LINK_LENGTH_MAX) return null;
  LINK.lastIndex = 0;
  for (let link = LINK.exec(header); link !== null; link = LINK.exec(header)) {
    const [, address = "", parameters = ""] = link;
    if (/;\s*rel="?next(?=[\s";]|$)/i.test(parameters)) return address;
  }
  return null;
}

/** A list of texts in an answer; some registries say null for an empty one. */
export function textsOf(value: unknown, member: string): readonly string[] {
  const list = isObject(value) ? value[member] : null;
  return Array.isArray(list) ? list.filter((entry): entry is string => typeof entry === "string") : [];
}
