import { formatNextLink, requirePage } from "@stowage/oci/pagination";
import type { RepositoryExchange } from "../exchange.ts";
import { jsonResponse } from "../json.ts";

/** `GET /v2/<name>/tags/list`: the tags, in pages (OCI Distribution Specification, "Listing Tags"). */
export async function getTags({ registry, repository, query }: RepositoryExchange): Promise<Response> {
  const page = requirePage(query);
  const { entries, next } = await registry.listTags(repository, page);
  const headers = new Headers();
  if (next !== null) {
    const path = `/v2/${repository}/tags/list`;
    headers.set("Link", formatNextLink(path, { n: String(page.entriesMax), last: next }));
  }
  return jsonResponse({ name: repository, tags: entries }, headers);
}
