import { blobOf, imageOf, seededBytes } from "../../tests/support/content.ts";
import { ACCEPT, pushImage } from "../api.ts";
import { type LoadRequest, requestsPerSecond } from "../load.ts";
import type { Target } from "../peers.ts";
import type { Workload, WorkloadOptions } from "./workload.ts";

const REPOSITORY = "bench/reads";
const TAG = "latest";
const BLOB_BYTES = 16 * 1024;
const CONNECTIONS = 16;
const WARM_UP_SECONDS = 1;
const SECONDS = 3;

/** What most requests to a registry are: a manifest by its tag, whether a blob is there, a small blob. */
export function smallReadWorkloads({ seed }: WorkloadOptions): readonly Workload[] {
  const layer = blobOf(seededBytes(BLOB_BYTES, seed));
  const image = imageOf([layer]);
  const blobPath = `/v2/${REPOSITORY}/blobs/${layer.digest}`;
  const read = (name: string, goal: number, method: LoadRequest["method"], path: string): Workload => {
    const load = ({ url }: Target, seconds: number) =>
      requestsPerSecond({ url: `${url}${path}`, method, accept: ACCEPT, connections: CONNECTIONS, seconds });
    return {
      name,
      unit: "requests/s",
      better: "higher",
      goals: { "distribution-v3": goal },
      onStatic: false,
      prepare: async (target) => {
        await pushImage(target.url, REPOSITORY, image, TAG);
        await load(target, WARM_UP_SECONDS);
      },
      run: (target) => load(target, SECONDS),
    };
  };
  return [
    read("manifest-by-tag", 3, "GET", `/v2/${REPOSITORY}/manifests/${TAG}`),
    read("head-blob", 2.5, "HEAD", blobPath),
    read("small-blob", 10, "GET", blobPath),
  ];
}
