import { MEDIA_TYPE } from "@stowage/oci/media-type";
import type { Accepted } from "../../registry/manifest-form.ts";

/** Media ranges of one header that are read; clients name up to ten. */
const RANGES_MAX = 100;

const MEANINGS: ReadonlyMap<string, keyof Accepted> = new Map([
  [MEDIA_TYPE.dockerSchema1, "schema1"],
  [MEDIA_TYPE.dockerSchema1Signed, "schema1"],
  [MEDIA_TYPE.dockerManifest, "image"],
  [MEDIA_TYPE.dockerList, "list"],
  [MEDIA_TYPE.ociManifest, "oci"],
  [MEDIA_TYPE.ociIndex, "oci"],
  ["application/json", "anyJson"],
  ["application/*", "anyJson"],
  ["*/*", "anyJson"],
]);

/** A type of OCI's without parameters. */
const OCI_TYPE = /(?:^|,)\s*application\/vnd\.oci\.image\.(?:manifest|index)\.v1\+json\s*(?:,|$)/i;

/** Who knows OCI's types gets what is there, so nothing more is read: today's clients wait for this at every pull. */
const MODERN: Accepted = { schema1: false, image: false, list: false, oci: true, anyJson: false };

/**
 * What an Accept header says of manifests (RFC 9110 section 12.5.1); repeated headers come here joined by commas. A type
 * with the weight 0 is not accepted. Other weights and the order do not matter, as in distribution's registry: clients
 * list their types in any order and mean "the best that you have".
 */
export function readAccept(header: string | null): Accepted {
  const accepted = { schema1: false, image: false, list: false, oci: false, anyJson: false };
  if (header === null) return accepted;
  if (OCI_TYPE.test(header)) return MODERN;
  for (const range of header.split(",", RANGES_MAX)) {
    const end = range.indexOf(";");
    const type = (end === -1 ? range : range.slice(0, end)).trim().toLowerCase();
    const meaning = MEANINGS.get(type);
    if (meaning !== undefined && (end === -1 || !hasWeightOfZero(range))) accepted[meaning] = true;
  }
  return accepted;
}

function hasWeightOfZero(range: string): boolean {
  return /;\s*q\s*=\s*0(?:\.0{0,3})?\s*(?:;|$)/i.test(range);
}
