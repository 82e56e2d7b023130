import type { Digest } from "@stowage/oci/digest";
import type { NamedImage } from "../archive/export-archive.ts";
import type { RawManifest } from "../content.ts";
import { partsOf } from "../image-manifests.ts";

/**
 * What an `index.json` lists of what was put: everything that has a name or that no index among it lists, so referrers as
 * well, in the order in which it came.
 */
export function rootsOf(
  manifests: ReadonlyMap<Digest, RawManifest>,
  names: ReadonlyMap<string, Digest>,
): readonly NamedImage[] {
  const children = new Set(
    [...manifests.values()].flatMap((manifest) => partsOf(manifest).manifests.map(({ digest }) => digest)),
  );
  return [...manifests.values()].flatMap((manifest) => {
    const own = [...names].flatMap(([name, digest]) => (digest === manifest.digest ? [name] : []));
    return own.length === 0 && children.has(manifest.digest) ? [] : [{ manifest, names: own }];
  });
}
