import { type Digest, digestFromHex } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Identity } from "../auth/caller.ts";
import type { StoredObject } from "../blobstore/blob-store.ts";
import type { Metadata } from "../metadata/metadata.ts";
import type { Uploads } from "./uploads.ts";

/** The tar archive without a file, as Docker has always compressed it: the layer of a step that changed no file. */
export const EMPTY_LAYER_BYTES = Uint8Array.fromHex(
  "1f8b080000096e8800ff621805a360148c5800080000ffff2eafb5ef00040000",
);

export const EMPTY_LAYER: Digest = requireHex(
  "a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4",
);

/**
 * The empty layer as an object. Schema 1 manifests that are made of other images name it, so it can be pulled from
 * where nobody pushed it.
 */
export const EMPTY_LAYER_OBJECT: StoredObject = {
  size: EMPTY_LAYER_BYTES.byteLength,
  body: (range) =>
    new Blob([range === undefined ? EMPTY_LAYER_BYTES : EMPTY_LAYER_BYTES.slice(range.start, range.end + 1)]),
};

/**
 * Makes the empty layer one of the repository's own blobs, before a manifest is stored that needs it: what is stored is
 * whole whatever the server is set to later.
 */
export async function keepEmptyLayer(
  { metadata, uploads }: { readonly metadata: Metadata; readonly uploads: Uploads },
  caller: Identity,
  repository: RepositoryName,
): Promise<void> {
  if ((await metadata.blobs.findForPush(repository, EMPTY_LAYER)) !== null) return;
  const wanted = { algorithm: "sha256", digest: EMPTY_LAYER } as const;
  const upload = await uploads.start(caller, repository, wanted);
  const body = new Blob([EMPTY_LAYER_BYTES]).stream();
  await uploads.finish(upload, EMPTY_LAYER, { body, range: null, length: EMPTY_LAYER_BYTES.byteLength });
}

function requireHex(hex: string): Digest {
  const digest = digestFromHex("sha256", hex);
  if (digest === null) throw new Error("the digest of the empty layer is none");
  return digest;
}
