import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blobOf, imageOf, seededBytes, type TestImage } from "../tests/support/content.ts";
import { RegistryProcess } from "../tests/support/registry-process.ts";
import { pushBlob, pushImage } from "./api.ts";
import type { CollectorLatencies, CollectorLoad } from "./collector-load.ts";
import { output, secondsFor } from "./load.ts";
import { formatNumber, median } from "./report.ts";

const USAGE = `Measures what the garbage collector costs pulls and pushes, and how fast it is.

Usage: node bin/bun.mjs run bench/collector.ts [options]

Options:
  --rounds N            rounds (default 5)
  --images N            images of 51 blobs that are deleted in a round (default 40)
  --blobs N             unreferenced blobs for the speed of the collector (default 20000)
  --json FILE           also write all samples to a file
`;

const REPOSITORY = "bench/collector";
const SECONDS = 5;

const DOOMED_LAYERS = 50;
const LAYER_BYTES = 1_024;
const FILL_CONNECTIONS = 16;

/** Long enough for each push of the load, and over when the deletions come. */
const LEASE_MS = 1_000;

/** Garbage is freed as soon as may be; what is not said here is the default of the server. */
const ARGS = ["--undo-time", "0ms", "--gc-grace", "0ms", "--gc-lease", `${LEASE_MS}ms`];
const COLLECTOR = {
  on: ["--gc-interval", "100ms"],
  off: ["--gc-interval", "1d"],
} as const;
type Mode = keyof typeof COLLECTOR;

/** How often the files are counted. */
const COUNT_PAUSE_MS = 50;

const FIGURES = ["pull p50", "pull p99", "push p50", "push p99"] as const;
type Figure = (typeof FIGURES)[number];

/** Milliseconds by figure, one of each round. */
type Samples = Readonly<Record<Mode, Record<Figure, number[]>>>;

/** How fast the collector freed blobs that nothing referred to. */
interface Speed {
  readonly blobs: number;
  /** From the start of the server until the last file was gone. */
  readonly seconds: number;
  /** From the first file that was gone to the last one. */
  readonly deletingSeconds: number;
}

process.exit(await main(process.argv.slice(2)));

async function main(args: readonly string[]): Promise<number> {
  const option = (name: string) => args[args.indexOf(name) + 1];
  const has = (name: string) => args.includes(name);
  if (has("--help")) {
    process.stdout.write(USAGE);
    return 0;
  }
  const rounds = has("--rounds") ? Number(option("--rounds")) : 5;
  const images = has("--images") ? Number(option("--images")) : 40;
  const blobs = has("--blobs") ? Number(option("--blobs")) : 20_000;
  const jsonFile = has("--json") ? (option("--json") ?? null) : null;
  if ([rounds, images, blobs].some((count) => !Number.isSafeInteger(count) || count < 1)) {
    process.stderr.write("error: --rounds, --images and --blobs want a whole number from 1 on\n");
    return 2;
  }
  const folder = await mkdtemp(join(tmpdir(), "stowage-bench-"));
  try {
    const samples = await measureLatencies(folder, { rounds, images });
    const speed = await measureSpeed(folder, blobs);
    process.stdout.write(`${formatLatencies(samples, { rounds, images })}\n\n${formatSpeed(speed)}\n`);
    if (jsonFile !== null) await writeFile(jsonFile, JSON.stringify({ samples, speed }, null, 2));
    return 0;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measureLatencies(folder: string, { rounds, images }: Size): Promise<Samples> {
  const image = imageOf([blobOf(seededBytes(LAYER_BYTES * 16, 1))]);
  const doomed = Array.from({ length: images }, (_, at) => doomedImage(at));
  const template = join(folder, "template");
  say(`pushing ${images * (DOOMED_LAYERS + 1)} blobs to delete`);
  {
    await using registry = await start(template, "off");
    await pushImage(registry.url, REPOSITORY, image, "latest");
    await secondsFor([...doomed.entries()], FILL_CONNECTIONS, ([at, each]) =>
      pushImage(registry.url, REPOSITORY, each, `doomed-${at}`),
    );
    await registry.kill("SIGTERM");
  }
  const empty = () => ({ "pull p50": [], "pull p99": [], "push p50": [], "push p99": [] });
  const samples: Samples = { on: empty(), off: empty() };
  for (let round = 0; round < rounds; round++) {
    const modes: readonly Mode[] = round % 2 === 0 ? ["on", "off"] : ["off", "on"];
    for (const mode of modes) {
      const dataDir = join(folder, "data");
      await cp(template, dataDir, { recursive: true });
      // Not what the copy left to be written.
      await output(["sync", "-f", dataDir]);
      const { pulls, pushes } = await runLoad(dataDir, mode, { image, doomed, round });
      await rm(dataDir, { recursive: true });
      samples[mode]["pull p50"].push(percentile(pulls, 0.5));
      samples[mode]["pull p99"].push(percentile(pulls, 0.99));
      samples[mode]["push p50"].push(percentile(pushes, 0.5));
      samples[mode]["push p99"].push(percentile(pushes, 0.99));
      const figures = FIGURES.map((figure) => `${figure} ${formatNumber(samples[mode][figure].at(-1))} ms`);
      say(`round ${round + 1}, collector ${mode}: ${figures.join(", ")} (${pulls.length}, ${pushes.length})`);
    }
  }
  return samples;
}

interface Size {
  readonly rounds: number;
  /** Images that are deleted while the load runs, one after the other. */
  readonly images: number;
}

interface Work {
  readonly image: TestImage;
  readonly doomed: readonly TestImage[];
  readonly round: number;
}

/** The load in a process of its own, and meanwhile the deletions, evenly. */
async function runLoad(dataDir: string, mode: Mode, work: Work): Promise<CollectorLatencies> {
  await using registry = await start(dataDir, mode);
  const load: CollectorLoad = {
    url: registry.url,
    repository: REPOSITORY,
    tag: "latest",
    layer: work.image.layers[0]?.digest ?? "",
    seconds: SECONDS,
    seed: 1_000_000 * (work.round + 1),
  };
  const client = [process.execPath, join(import.meta.dir, "collector-load.ts"), JSON.stringify(load)];
  const running = output(client);
  for (const { manifest } of work.doomed) {
    const url = `${registry.url}/v2/${REPOSITORY}/manifests/${manifest.digest}`;
    const { status } = await fetch(url, { method: "DELETE" });
    if (status !== 202) throw new Error(`DELETE "${url}" gave ${status}, wanted 202`);
    await Bun.sleep((SECONDS * 1_000) / work.doomed.length);
  }
  const latencies = JSON.parse(await running) as CollectorLatencies;
  const left = await countFiles(dataDir);
  say(`  ${left} files left`);
  return latencies;
}

async function measureSpeed(folder: string, blobs: number): Promise<Speed> {
  const dataDir = join(folder, "speed");
  say(`pushing ${blobs} blobs that nothing refers to`);
  {
    await using registry = await start(dataDir, "off");
    const seeds = Array.from({ length: blobs }, (_, at) => at);
    await secondsFor(seeds, FILL_CONNECTIONS, (seed) =>
      pushBlob(registry.url, REPOSITORY, blobOf(seededBytes(LAYER_BYTES, 0x10000000 + seed))),
    );
    await registry.kill("SIGTERM");
  }
  await Bun.sleep(LEASE_MS);
  const before = await countFiles(dataDir);
  if (before < blobs) throw new Error(`${before} files are there; wanted ${blobs}`);
  const startedAt = performance.now();
  const starting = start(dataDir, "on");
  let firstGoneAt = Number.NaN;
  for (let left = before; left > 0; left = await countFiles(dataDir)) {
    if (left < before && Number.isNaN(firstGoneAt)) firstGoneAt = performance.now();
    await Bun.sleep(COUNT_PAUSE_MS);
  }
  const endedAt = performance.now();
  await (await starting)[Symbol.asyncDispose]();
  const seconds = (endedAt - startedAt) / 1_000;
  return { blobs, seconds, deletingSeconds: (endedAt - firstGoneAt) / 1_000 };
}

async function start(dataDir: string, mode: Mode): Promise<RegistryProcess> {
  await mkdir(dataDir, { recursive: true });
  return await RegistryProcess.start({ dataDir, args: [...ARGS, ...COLLECTOR[mode]] });
}

function doomedImage(at: number): TestImage {
  const layers = Array.from({ length: DOOMED_LAYERS }, (_, layer) =>
    blobOf(seededBytes(LAYER_BYTES, 0x20000000 + at * DOOMED_LAYERS + layer)),
  );
  return imageOf(layers);
}

async function countFiles(dataDir: string): Promise<number> {
  const entries = await readdir(join(dataDir, "blobs"), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).length;
}

function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

function formatLatencies(samples: Samples, { rounds, images }: Size): string {
  const rows = FIGURES.map((figure) => {
    const [on, off] = [median(samples.on[figure]), median(samples.off[figure])];
    const ratio = on / off;
    const verdict = figure.endsWith("p99") ? (ratio <= 1.2 ? "reached: 1.2x" : "MISSED: 1.2x") : "";
    return `| ${figure} | ${formatNumber(on)} ms | ${formatNumber(off)} ms | ${ratio.toFixed(2)}x | ${verdict} |`;
  });
  return [
    `medians of ${rounds} rounds of ${SECONDS} s; ${images * (DOOMED_LAYERS + 1)} blobs are deleted in each`,
    "",
    "| latency | collector on | collector off | ratio | target |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}

function formatSpeed({ blobs, seconds, deletingSeconds }: Speed): string {
  const rate = blobs / seconds;
  return [
    "| collecting | blobs | seconds | blobs/s | target |",
    "| --- | --- | --- | --- | --- |",
    `| from the start of the server to the last file gone | ${blobs} | ${seconds.toFixed(1)} | ${rate.toFixed(0)} | ${rate >= 1_000 ? "reached" : "MISSED"}: 1000/s |`,
    `| from the first file gone to the last | ${blobs} | ${deletingSeconds.toFixed(1)} | ${(blobs / deletingSeconds).toFixed(0)} | |`,
  ].join("\n");
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
