import { formatNextLink, type PageRequest, requirePage } from "@stowage/oci/pagination";
import { parseRepositoryName, type RepositoryName } from "@stowage/oci/repository-name";
import type { Page } from "../../registry/page.ts";
import { listVisible } from "../../registry/visible-entries.ts";
import type { Exchange } from "../exchange.ts";
import { jsonResponse } from "../json.ts";
import { visibleTo } from "../visible.ts";

/** Where the listing goes on, sealed: the name there may be one that the caller must not know. */
const POSITION = "position";

/**
 * `GET /v2/_catalog`: the repositories that the caller may pull, in pages (Docker Registry HTTP API V2, "Listing
 * Repositories").
 */
export async function getCatalog(exchange: Exchange): Promise<Response> {
  const page = requirePage(exchange.query);
  const isVisible = visibleTo(exchange);
  if (isVisible !== null) return await getVisible(exchange, page, isVisible);
  const { entries, next } = await exchange.registry.listRepositories(page);
  return answer(entries, next === null ? null : { n: String(page.entriesMax), last: next });
}

async function getVisible(
  exchange: Exchange,
  page: PageRequest,
  isVisible: (name: RepositoryName) => boolean,
): Promise<Response> {
  const { registry, query, seal } = exchange;
  const opened = await seal.open(query.get(POSITION) ?? "");
  const { entries, next } = await listVisible<RepositoryName, string>({
    read: async (after, entriesMax) => await readPage(registry, { after: after ?? "", entriesMax }),
    positionOf: (name) => name,
    isVisible: (name) => name > page.after && isVisible(name),
    after: opened ?? (await beginningOf(exchange, page.after, isVisible)),
    entriesMax: page.entriesMax,
  });
  if (next === null) return answer(entries, null);
  const last = entries.at(-1) ?? page.after;
  const isWhole = entries.length === page.entriesMax;
  const position = isWhole ? {} : { [POSITION]: await seal.close(next) };
  return answer(entries, { n: String(page.entriesMax), last, ...position });
}

/**
 * Where to begin to look. Not at whatever name the client says: how much there is to look at behind it would tell, name
 * by name, where the hidden ones are. So at a repository that the caller sees, or at the beginning.
 */
async function beginningOf(
  { registry }: Exchange,
  last: string,
  isVisible: (name: RepositoryName) => boolean,
): Promise<string | null> {
  const name = parseRepositoryName(last);
  if (name === null || !isVisible(name)) return null;
  return (await registry.inventory.has(name)) ? name : null;
}

async function readPage(
  registry: Exchange["registry"],
  page: PageRequest,
): Promise<Page<RepositoryName>["entries"]> {
  return (await registry.listRepositories(page)).entries;
}

function answer(
  repositories: readonly RepositoryName[],
  next: Readonly<Record<string, string>> | null,
): Response {
  const headers = new Headers();
  if (next !== null) headers.set("Link", formatNextLink("/v2/_catalog", next));
  return jsonResponse({ repositories }, headers);
}
