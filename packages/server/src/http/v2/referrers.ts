import { MEDIA_TYPE } from "@stowage/oci/media-type";
import { formatNextLink } from "@stowage/oci/pagination";
import { requireDigest } from "@stowage/oci/reference";
import type { RepositoryExchange } from "../exchange.ts";

/**
 * `GET /v2/<name>/referrers/<digest>`: an index of the manifests whose subject is the digest (OCI Distribution
 * Specification, "Listing Referrers"). Never 404: who asks wants to know whether the endpoint is there.
 */
export async function getReferrers(exchange: RepositoryExchange): Promise<Response> {
  const { registry, repository, query } = exchange;
  const subject = requireDigest(exchange.target);
  const artifactType = query.get("artifactType") || null;
  const after = query.get("last") ?? "";
  const { entries, next } = await registry.listReferrers({ repository, subject, artifactType, after });
  const headers = new Headers({ "Content-Type": MEDIA_TYPE.ociIndex });
  if (artifactType !== null) headers.set("OCI-Filters-Applied", "artifactType");
  if (next !== null) {
    const filter: Record<string, string> = artifactType === null ? {} : { artifactType };
    const path = `/v2/${repository}/referrers/${subject}`;
    headers.set("Link", formatNextLink(path, { ...filter, last: next.digest }));
  }
  const index = { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: entries };
  return new Response(JSON.stringify(index), { headers });
}
