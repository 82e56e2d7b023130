import type { Descriptor } from "@stowage/oci/descriptor";
import { manifestKind } from "@stowage/oci/media-type";
import { requireManifest } from "@stowage/client/image";
import { partsOf } from "@stowage/client/image-manifests";
import { formatPlatform } from "@stowage/client/platform";
import { formatSize } from "../byte-size.ts";
import type { Call, Command } from "../command.ts";
import { openImage, type OpenedImage } from "../content/open-image.ts";
import { EXIT } from "../exit-codes.ts";

export const SIZE: Command = {
  about:
    "Prints how much an image is to pull: its layers and config as they travel, for each platform. Layers that platforms share count once in the sum.",
  places: [{ name: "REF", completes: "image" }],
  shared: ["registry", "output"],
  examples: [{ line: "size localhost:5000/team/app:1.0" }, { line: "size localhost:5000/team/app:1.0 -q" }],
  run: runSize,
};

/** Images of one index that are looked at. */
const IMAGES_MAX = 1_000;

interface ImageSize {
  readonly digest: string;
  readonly platform: string | null;
  readonly layers: number;
  readonly bytes: number;
}

async function runSize(call: Call): Promise<number> {
  await using image = await openImage(call, call.args.places[0] ?? "");
  const blobs = new Map<string, number>();
  const root = await requireManifest(image.source, image.reference, { signal: call.signal });
  const parts = partsOf(root);
  const images = parts.kind === "image" ? [null] : parts.manifests.filter(isImage).slice(0, IMAGES_MAX);
  const sizes: ImageSize[] = [];
  for (const entry of images) {
    const manifest = entry === null ? root : await childOf(call, image, entry);
    const { config, layers } = partsOf(manifest);
    const own = [...(config === null ? [] : [config]), ...layers];
    for (const { digest, size } of own) blobs.set(digest, size);
    sizes.push({
      digest: manifest.digest,
      platform: entry === null || entry.platform === null ? null : formatPlatform(entry.platform),
      layers: layers.length,
      bytes: sum(new Map(own.map(({ digest, size }) => [digest, size]))),
    });
  }
  const bytes = sum(blobs);
  call.output.print({
    value: { reference: image.label, digest: root.digest, bytes, images: sizes },
    table: () => ({
      head: ["PLATFORM", "LAYERS", "SIZE", "DIGEST"],
      rows: [
        ...sizes.map((one) => [one.platform ?? "-", String(one.layers), formatSize(one.bytes), one.digest]),
        ...(sizes.length === 1 ? [] : [["all", String(blobs.size), formatSize(bytes), root.digest]]),
      ],
    }),
    ids: () => [String(bytes)],
  });
  return EXIT.ok;
}

/** BuildKit's attestations stand beside images, and are not pulled with them. */
function isImage({ mediaType, platform }: Descriptor): boolean {
  return manifestKind(mediaType) === "image" && platform?.os !== "unknown";
}

async function childOf(call: Call, { source }: OpenedImage, { digest }: Descriptor) {
  return await requireManifest(source, digest, { signal: call.signal });
}

function sum(blobs: ReadonlyMap<string, number>): number {
  return [...blobs.values()].reduce((all, size) => all + size, 0);
}
