import { isSchema1Type, MEDIA_TYPE } from "@stowage/oci/media-type";
import type { Accepted } from "../../registry/manifest-form.ts";

/** Media ranges of one header that are read; clients name up to ten. */
const RANGES_MAX = 100;

const ANY_JSON: ReadonlySet<string> = new Set(["*/*", "application/*", "application/json"]);

/**
 * What an Accept header says of manifests (RFC 9110 section 12.5.1); repeated headers come here joined by commas. A type
 * with the weight 0 is not accepted. Other weights and the order do not matter, as in distribution's registry: clients
 * list their types in any order and mean "the best that you have".
 */
export function readAccept(header: string | null): Accepted {
  const types = new Set<string>();
  for (const range of (header ?? "").toLowerCase().split(",", RANGES_MAX)) {
    const [type = "", ...parameters] = range.split(";");
    if (!parameters.some(isWeightOfZero)) types.add(type.trim());
  }
  return {
    schema1: types.values().some(isSchema1Type),
    image: types.has(MEDIA_TYPE.dockerManifest),
    list: types.has(MEDIA_TYPE.dockerList),
    oci: types.has(MEDIA_TYPE.ociManifest) || types.has(MEDIA_TYPE.ociIndex),
    anyJson: types.values().some((type) => ANY_JSON.has(type)),
  };
}

function isWeightOfZero(parameter: string): boolean {
  return /^\s*q\s*=\s*0(?:\.0{0,3})?\s*$/.test(parameter);
}
