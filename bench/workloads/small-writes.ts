import { blobOf, imageOf, seededBytes } from "../../tests/support/content.ts";
import { pushImage, putManifest } from "../api.ts";
import { secondsFor } from "../load.ts";
import type { Workload, WorkloadOptions } from "./workload.ts";

const REPOSITORY = "bench/writes";
const LAYER_BYTES = 4 * 1024;
const LAYERS = 2;
const CONNECTIONS = 16;
const IMAGES = 200;
const TAGS = 1_000;

/** Writes that are all latency: each must be durable before it is answered. */
export function smallWriteWorkloads({ seed }: WorkloadOptions): readonly Workload[] {
  let counter = seed;
  const newImage = () =>
    imageOf(Array.from({ length: LAYERS }, () => blobOf(seededBytes(LAYER_BYTES, counter++))));
  const tagged = newImage();
  return [
    {
      name: "small-images",
      unit: "images/s",
      better: "higher",
      goals: { "distribution-v3": 3 },
      onStatic: false,
      prepare: (target) => pushImage(target.url, REPOSITORY, newImage(), "first"),
      run: async ({ url }) => {
        const images = Array.from({ length: IMAGES }, (_, at) => ({ image: newImage(), tag: `image-${at}` }));
        return (
          IMAGES /
          (await secondsFor(images, CONNECTIONS, ({ image, tag }) => pushImage(url, REPOSITORY, image, tag)))
        );
      },
    },
    {
      name: "tag-writes",
      unit: "tags/s",
      better: "higher",
      goals: { "distribution-v3": 3 },
      onStatic: false,
      prepare: (target) => pushImage(target.url, REPOSITORY, tagged, "first"),
      run: async ({ url }) => {
        const round = counter++;
        const tags = Array.from({ length: TAGS }, (_, at) => `tag-${round}-${at}`);
        return (
          TAGS / (await secondsFor(tags, CONNECTIONS, (tag) => putManifest(url, REPOSITORY, tagged, tag)))
        );
      },
    },
  ];
}
