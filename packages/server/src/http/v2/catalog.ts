import { formatNextLink, requirePage } from "@stowage/oci/pagination";
import type { Exchange } from "../exchange.ts";
import { jsonResponse } from "../json.ts";

/** `GET /v2/_catalog`: the repositories, in pages (Docker Registry HTTP API V2, "Listing Repositories"). */
export async function getCatalog({ registry, query }: Exchange): Promise<Response> {
  const page = requirePage(query);
  const { entries, next } = await registry.listRepositories(page);
  const headers = new Headers();
  if (next !== null) {
    headers.set("Link", formatNextLink("/v2/_catalog", { n: String(page.entriesMax), last: next }));
  }
  return jsonResponse({ repositories: entries }, headers);
}
