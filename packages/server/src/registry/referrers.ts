import type { Digest } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Metadata, Referrer } from "../metadata/metadata.ts";
import type { Page } from "./page.ts";

/** Most referrers of one page. */
const REFERRERS_ENTRIES_MAX = 5_000;

/** Most characters of the entries of one page: clients read an index of at most 4 MiB. */
const REFERRERS_LENGTH_MAX = 4 * 1024 * 1024 - 1024;

/** An entry of the index that a referrers listing is (OCI Distribution Specification, "Listing Referrers"). */
export interface ReferrerDescriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface ReferrersRequest {
  readonly repository: RepositoryName;
  readonly subject: Digest;
  readonly artifactType: string | null;
  /** Digest that the page before ended with, or empty. */
  readonly after: string;
}

/** Manifests that refer to `subject`, by digest; the page ends before it gets too large for clients. */
export async function listReferrers(
  metadata: Metadata,
  request: ReferrersRequest,
): Promise<Page<ReferrerDescriptor>> {
  const { artifactType, after } = request;
  const query = { artifactType, after, entriesMax: REFERRERS_ENTRIES_MAX + 1 };
  const found = await metadata.manifests.listReferrers(request.repository, request.subject, query);
  const entries: ReferrerDescriptor[] = [];
  let length = 0;
  for (const referrer of found) {
    const entry = toDescriptor(referrer);
    length += JSON.stringify(entry).length;
    const isFull = entries.length === REFERRERS_ENTRIES_MAX || length > REFERRERS_LENGTH_MAX;
    if (isFull && entries.length > 0) return { entries, next: entries.at(-1) ?? null };
    entries.push(entry);
  }
  return { entries, next: null };
}

function toDescriptor(referrer: Referrer): ReferrerDescriptor {
  return {
    mediaType: referrer.mediaType,
    digest: referrer.digest,
    size: referrer.size,
    ...(referrer.artifactType === null ? {} : { artifactType: referrer.artifactType }),
    ...(referrer.annotations === null ? {} : { annotations: referrer.annotations }),
  };
}
