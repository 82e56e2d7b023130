import { imageOf } from "../../tests/support/content.ts";
import { ACCEPT, mountBlob, pushImage, putManifest } from "../api.ts";
import { requestsPerSecond, secondsFor } from "../load.ts";
import type { Target } from "../peers.ts";
import type { Workload } from "./workload.ts";

const SOURCE = "bench/listed";
const TAGS = 5_000;
const REPOSITORIES = 2_000;
const FILL_CONNECTIONS = 16;

/** Few connections and some seconds: a peer may need most of one for a single page. */
const CONNECTIONS = 4;
const SECONDS = 5;

/** Entries of a page; both pages begin in the middle of the list. */
const PAGE = 100;

const image = imageOf([]);

/** Pages in long lists, and the time a registry with those lists takes to start. */
export function listingWorkloads(): readonly Workload[] {
  const filled = new Map<string, Promise<void>>();
  const once = (what: string, target: Target, fill: (url: string) => Promise<void>) => {
    const key = `${what} of ${target.name}`;
    const running = filled.get(key) ?? fill(target.url);
    filled.set(key, running);
    return running;
  };
  const fillTagsOnce = (target: Target) => once("tags", target, fillTags);
  const fillRepositoriesOnce = (target: Target) => once("repositories", target, fillRepositories);
  return [
    page("tags-page", 15, `/v2/${SOURCE}/tags/list?n=${PAGE}&last=${tagName(TAGS / 2)}`, fillTagsOnce),
    page(
      "catalog-page",
      30,
      `/v2/_catalog?n=${PAGE}&last=${repositoryName(REPOSITORIES / 2)}`,
      fillRepositoriesOnce,
    ),
    {
      name: "start",
      unit: "ms",
      better: "lower",
      goals: {},
      onStatic: false,
      prepare: async (target) => {
        await fillTagsOnce(target);
        await fillRepositoriesOnce(target);
      },
      run: async ({ server }) => {
        if (server === null) return null;
        await server.stop();
        return await server.start();
      },
    },
  ];
}

function page(name: string, goal: number, path: string, prepare: Workload["prepare"]): Workload {
  return {
    name,
    unit: "requests/s",
    better: "higher",
    goals: { "distribution-v3": goal },
    onStatic: false,
    prepare,
    run: ({ url }) =>
      requestsPerSecond({
        url: `${url}${path}`,
        method: "GET",
        accept: ACCEPT,
        connections: CONNECTIONS,
        seconds: SECONDS,
      }),
  };
}

async function fillTags(url: string): Promise<void> {
  await pushImage(url, SOURCE, image, tagName(0));
  const tags = Array.from({ length: TAGS }, (_, at) => tagName(at));
  await secondsFor(tags, FILL_CONNECTIONS, (tag) => putManifest(url, SOURCE, image, tag));
}

async function fillRepositories(url: string): Promise<void> {
  await pushImage(url, SOURCE, image, tagName(0));
  const names = Array.from({ length: REPOSITORIES }, (_, at) => repositoryName(at));
  await secondsFor(names, FILL_CONNECTIONS, async (name) => {
    await mountBlob(url, SOURCE, name, image.config.digest);
    await putManifest(url, name, image, "latest");
  });
}

function tagName(at: number): string {
  return `tag-${String(at).padStart(5, "0")}`;
}

function repositoryName(at: number): string {
  return `bench/repository-${String(at).padStart(5, "0")}`;
}
