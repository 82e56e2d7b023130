import type { Tag } from "@stowage/oci/tag";
import type { StoredManifest } from "../../registry/manifests.ts";
import type { RepositoryExchange } from "../exchange.ts";

/** 201 for a manifest that was stored, with its other tags (OCI Distribution Specification, "Pushing Manifests"). */
export async function answerStored(
  { registry, repository }: RepositoryExchange,
  stored: StoredManifest,
  tags: readonly Tag[],
): Promise<Response> {
  const headers = new Headers({
    "Content-Length": "0",
    "Docker-Content-Digest": stored.digest,
    Location: `/v2/${repository}/manifests/${stored.digest}`,
  });
  if (stored.subject !== null) headers.set("OCI-Subject", stored.subject);
  for (const tag of tags) headers.append("OCI-Tag", tag);
  // OCI Distribution Specification, "Warnings": clients print them. Quotes would have to be escaped, which not all undo.
  for (const text of await registry.quotas.warnings(repository)) {
    headers.append("Warning", `299 - "${text.replaceAll('"', "'")}"`);
  }
  return new Response(null, { status: 201, headers });
}
