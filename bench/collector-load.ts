import { blobOf, imageOf, seededBytes } from "../tests/support/content.ts";
import { ACCEPT, pushImage } from "./api.ts";

/** What the client of the collector's benchmark does, as JSON in its one argument. */
export interface CollectorLoad {
  readonly url: string;
  readonly repository: string;
  /** An image of the repository that is pulled again and again. */
  readonly tag: string;
  readonly layer: string;
  readonly seconds: number;
  readonly seed: number;
}

/** What it prints: milliseconds of each pull and push. */
export interface CollectorLatencies {
  readonly pulls: readonly number[];
  readonly pushes: readonly number[];
}

const PULLERS = 4;
const PUSHERS = 2;

/** Rest between two requests of one client: a server that has no time left says nothing about the collector. */
const PULL_PAUSE_MS = 4;
const PUSH_PAUSE_MS = 15;

const LAYER_BYTES = 4 * 1024;

/**
 * A process of its own, so that what else the benchmark does is not in the latencies: paced pulls (a manifest by tag,
 * then its layer) and pushes (an image with one small layer).
 */
if (import.meta.main) {
  const load = JSON.parse(process.argv[2] ?? "") as CollectorLoad;
  process.stdout.write(JSON.stringify(await run(load)));
}

async function run(load: CollectorLoad): Promise<CollectorLatencies> {
  const until = performance.now() + load.seconds * 1_000;
  let seed = load.seed;
  const pull = async () => {
    await get(`${load.url}/v2/${load.repository}/manifests/${load.tag}`);
    await get(`${load.url}/v2/${load.repository}/blobs/${load.layer}`);
  };
  const push = async () => {
    const image = imageOf([blobOf(seededBytes(LAYER_BYTES, seed++))]);
    await pushImage(load.url, load.repository, image, `pushed-${seed}`);
  };
  const repeat = async (work: () => Promise<void>, pauseMs: number, latencies: number[]) => {
    while (performance.now() < until) {
      const startedAt = performance.now();
      await work();
      latencies.push(performance.now() - startedAt);
      await Bun.sleep(pauseMs);
    }
  };
  const pulls: number[] = [];
  const pushes: number[] = [];
  await Promise.all([
    ...Array.from({ length: PULLERS }, () => repeat(pull, PULL_PAUSE_MS, pulls)),
    ...Array.from({ length: PUSHERS }, () => repeat(push, PUSH_PAUSE_MS, pushes)),
  ]);
  return { pulls, pushes };
}

async function get(url: string): Promise<void> {
  const response = await fetch(url, { headers: { Accept: ACCEPT } });
  await response.arrayBuffer();
  if (response.status !== 200) throw new Error(`GET "${url}" gave ${response.status}, wanted 200`);
}
