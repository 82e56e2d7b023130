import type { ManifestKind } from "@stowage/oci/media-type";

/**
 * What is done for clients that know nothing newer than schema 1. `off`: nothing. `asked`: signed schema 1 is stored, and
 * an image is converted for who asks for schema 1 and nothing else. `table`: also for who does not say what he wants.
 */
export type Schema1Mode = "off" | "asked" | "table";

/** Which manifests the client says it understands. */
export interface Accepted {
  readonly schema1: boolean;
  /** Docker's image manifest, schema 2. */
  readonly image: boolean;
  /** Docker's manifest list. */
  readonly list: boolean;
  /** An OCI image or index. */
  readonly oci: boolean;
  /** `application/json` and wildcards. */
  readonly anyJson: boolean;
}

/** What a tag is answered with: the manifest as it was pushed, its image for linux/amd64, or that one as schema 1. */
export type ManifestForm = "stored" | "image" | "schema1";

/**
 * Chooses the form by the table of the OCI Distribution Specification ("Content Negotiation", content-negotiation.md of
 * version 1.1.1). Where the table contradicts itself, distribution's registry decides, of whose time it is: the order of
 * the types does not matter, and a list alone is no image. Who knows OCI's types is modern and gets what is there.
 */
export function chooseForm(mode: Schema1Mode, stored: ManifestKind, accepted: Accepted): ManifestForm {
  if (mode === "off" || accepted.oci) return "stored";
  if (mode === "asked") {
    const isAlone = accepted.schema1 && !accepted.image && !accepted.list && !accepted.anyJson;
    return isAlone ? "schema1" : "stored";
  }
  if (stored === "image") return accepted.image ? "stored" : "schema1";
  if (accepted.list) return "stored";
  return accepted.image ? "image" : "schema1";
}
