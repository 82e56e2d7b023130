import { isObject, type Descriptor } from "@stowage/oci/descriptor";
import { algorithmOf, type Digest, hexOf } from "@stowage/oci/digest";
import { MEDIA_TYPE } from "@stowage/oci/media-type";
import { jsonOf } from "./answers.ts";
import { ClientError } from "./client-error.ts";
import type { ApiRequest, Connection } from "./connection.ts";
import type { RawManifest } from "./content.ts";
import { descriptorOf, manifestFrom, partsIn, partsOf } from "./image-manifests.ts";
import { listPages } from "./pages.ts";

/** What the fallback needs of a repository. */
interface FallbackPlace {
  getManifest(
    reference: string,
    options: { readonly signal?: AbortSignal | undefined },
  ): Promise<RawManifest | null>;
  putManifest(
    manifest: RawManifest,
    options: { readonly tags: readonly string[]; readonly signal?: AbortSignal | undefined },
  ): Promise<void>;
}

export interface ReferrersQuestion {
  readonly connection: Connection;
  readonly request: ApiRequest;
  readonly digest: Digest;
  readonly artifactType: string | undefined;
}

/**
 * OCI Distribution Specification, "Listing Referrers"; a registry without it says 404, and then the tag of "Referrers Tag Schema"
 * is read.
 */
export async function* listReferrers(
  place: FallbackPlace,
  { connection, request, digest, artifactType }: ReferrersQuestion,
): AsyncGenerator<Descriptor, void, void> {
  const isWanted = (entry: Descriptor) => artifactType === undefined || entry.artifactType === artifactType;
  try {
    for await (const value of listPages(connection, request)) {
      const { manifests } = partsIn(value, { mediaType: MEDIA_TYPE.ociIndex, name: request.operation });
      yield* manifests.filter(isWanted);
    }
    return;
  } catch (error) {
    if (!(error instanceof ClientError) || (error.kind !== "not-found" && error.status !== 405)) throw error;
  }
  const index = await place.getManifest(fallbackTag(digest), { signal: request.signal });
  if (index !== null) yield* partsOf(index).manifests.filter(isWanted);
}

/** Enters a manifest into the index that stands for a registry's list of referrers. Two writers at once may lose one entry. */
export async function addToFallback(
  place: FallbackPlace,
  {
    manifest,
    subject,
    signal,
  }: { readonly manifest: RawManifest; readonly subject: Digest; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const tag = fallbackTag(subject);
  const before = await place.getManifest(tag, { signal });
  const known = jsonOf(before === null ? "{}" : new TextDecoder().decode(before.bytes));
  const entries: readonly unknown[] =
    isObject(known) && Array.isArray(known.manifests) ? known.manifests : [];
  if (entries.some((entry) => isObject(entry) && entry.digest === manifest.digest)) return;
  const { artifactType, config, annotations } = partsOf(manifest);
  const entry = {
    ...descriptorOf(manifest),
    artifactType: artifactType ?? config?.mediaType,
    annotations: Object.keys(annotations).length === 0 ? undefined : annotations,
  };
  const index = { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: [...entries, entry] };
  await place.putManifest(manifestFrom(index, MEDIA_TYPE.ociIndex), { tags: [tag], signal });
}

/** `sha256-<hex>`, cut as the specification says. */
export function fallbackTag(digest: Digest): string {
  return `${algorithmOf(digest).slice(0, 32)}-${hexOf(digest).slice(0, 64)}`;
}
