import type { Descriptor } from "@stowage/oci/descriptor";
import type { Manifest } from "@stowage/oci/manifest";
import { isNonDistributable } from "@stowage/oci/media-type";
import type { ContentRef, NewManifest } from "../metadata/metadata.ts";

/** What the manifest needs in its repository, and how many bytes its content has. */
export function contentOf(
  manifest: Manifest,
  { allowSparse }: { readonly allowSparse: boolean },
): Pick<NewManifest, "blobs" | "children" | "contentSize"> {
  const required = !allowSparse;
  switch (manifest.kind) {
    case "index":
      return {
        blobs: [],
        children: manifest.manifests.map((child) => toRef(child, required)),
        contentSize: 0,
      };
    case "image": {
      const content = [manifest.config, ...manifest.layers];
      return {
        blobs: content.map((blob) => toRef(blob, required && !isNonDistributable(blob.mediaType))),
        children: [],
        contentSize: content.reduce((sum, blob) => sum + blob.size, 0),
      };
    }
    case "schema1": {
      const layers = [...new Set(manifest.fsLayers)];
      const blobs = layers.map((digest) => ({ digest, size: null, required }));
      return { blobs, children: [], contentSize: null };
    }
    default:
      return manifest satisfies never;
  }
}

function toRef(descriptor: Descriptor, required: boolean): ContentRef {
  return { digest: descriptor.digest, size: descriptor.size, required };
}
