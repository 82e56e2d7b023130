import { blobOf, imageOf, seededBytes, type TestBlob, type TestImage } from "../support/content.ts";
import type { Random } from "../support/random.ts";

export const INDEX_TYPE = "application/vnd.oci.image.index.v1+json";

/** Repositories whose blobs nobody deletes by hand: there every promise holds. */
export const REPOSITORIES = ["race/a", "race/b", "race/c/d"] as const;

/** Here blobs are deleted by hand as well, which ends their lease. */
export const WILD = "race/wild";

export const TAGS = ["latest", "edge", "v1"] as const;

/** What all clients push: little enough that each piece is deleted, collected and pushed again all the time. */
export interface Content {
  readonly images: readonly TestImage[];
  readonly indexes: readonly TestIndex[];
}

export type TestManifest = Pick<TestImage, "manifest" | "mediaType">;

export interface TestIndex extends TestManifest {
  readonly children: readonly TestImage[];
}

const LAYERS = 80;
const IMAGES = 60;
const INDEXES = 6;
const PARTS = 6;
const LAYER_BYTES_MAX = 60_000;

/** More than the buffers of a connection take, so that a slow reader holds the server back. */
const BIG_LAYER_BYTES = 8 * 1024 * 1024;

export function makeContent(random: Random): Content {
  const layers = Array.from({ length: LAYERS }, () =>
    blobOf(seededBytes(1 + random.below(LAYER_BYTES_MAX), random.below(0x7fffffff))),
  );
  const big = blobOf(seededBytes(BIG_LAYER_BYTES, random.below(0x7fffffff)));
  const images = Array.from({ length: IMAGES }, (_, at) => {
    const own = Array.from({ length: 1 + random.below(3) }, () => random.pick(layers));
    return imageOf([...new Set(at === 0 ? [big] : own)], { annotations: { number: String(at) } });
  });
  // Few images are parts of an index, so that they are found there again by whoever pushes the next one.
  const parts = images.slice(1, 1 + PARTS);
  const indexes = Array.from({ length: INDEXES }, () =>
    indexOf([...new Set(Array.from({ length: 1 + random.below(3) }, () => random.pick(parts)))]),
  );
  return { images, indexes };
}

/** An artifact that refers to `subject`, with a layer of the pool. */
export function referrerOf(subject: TestManifest, layer: TestBlob): TestImage {
  return imageOf([layer], {
    artifactType: "application/vnd.race.signature",
    subject: describe(subject),
  });
}

function indexOf(children: readonly TestImage[]): TestIndex {
  const manifest = blobOf(
    JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests: children.map(describe) }),
  );
  return { manifest, mediaType: INDEX_TYPE, children };
}

function describe({ manifest, mediaType }: TestManifest) {
  return { mediaType, digest: manifest.digest, size: manifest.bytes.byteLength };
}
