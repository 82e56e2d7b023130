import { mkdir, mkdtemp, rm, statfs, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { describeClients } from "./load.ts";
import { parsePeer, type PeerOption, startTargets, type Target } from "./peers.ts";
import { formatNumber, formatTable, type Row, summarise } from "./report.ts";
import { bigBlobWorkloads } from "./workloads/big-blob.ts";
import { listingWorkloads } from "./workloads/listings.ts";
import { smallReadWorkloads } from "./workloads/small-reads.ts";
import { smallWriteWorkloads } from "./workloads/small-writes.ts";
import type { Workload, WorkloadOptions } from "./workloads/workload.ts";

const USAGE = `Measures Stowage against other registries in one run.

Usage: npm run bench -- [options]

Options:
  --rounds N            rounds of each workload (default 5)
  --only NAME,...       these workloads alone
  --peer NAME=URL       a registry that is already running
  --peer NAME=cmd:...   a registry to start; {addr}, {port} and {data} are filled in
  --big-mib N           size of the big blob (default 1024)
  --json FILE           also write all samples to a file
`;

const TMPFS_MAGIC = 0x01021994;

interface Arguments {
  readonly rounds: number;
  readonly only: readonly string[] | null;
  readonly peers: readonly PeerOption[];
  readonly bigMiB: number;
  readonly jsonFile: string | null;
}

process.exit(await main(process.argv.slice(2)));

async function main(texts: readonly string[]): Promise<number> {
  if (texts.includes("--help") || texts.includes("-h")) {
    process.stdout.write(USAGE);
    return 0;
  }
  try {
    const args = readArguments(texts);
    await using stack = new AsyncDisposableStack();
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      // Servers would outlive a run that is broken off.
      process.once(signal, () => void stack.disposeAsync().finally(() => process.exit(130)));
    }
    await measure(args, stack);
    return 0;
  } catch (error) {
    process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

async function measure(args: Arguments, stack: AsyncDisposableStack): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "stowage-bench-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const filesFolder = join(folder, "files");
  await mkdir(filesFolder);
  const options = { filesFolder, bigMiB: args.bigMiB, seed: Date.now() % 1_000_000_000 };
  const workloads = selectWorkloads(options, args.only);
  const targets = await startTargets({ folder, staticFolder: filesFolder, peers: args.peers }, stack);
  const [own] = targets;
  if (own === undefined) throw new Error("no target was started");
  const environment = await describeEnvironment(folder);
  say([...environment, `targets: ${targets.map(({ name }) => name).join(", ")}`, ""].join("\n"));
  const rows: Row[] = [];
  for (const workload of workloads) rows.push(await measureWorkload(workload, targets, args.rounds));
  const summaries = rows.map((row) => summarise(row, own.name));
  const names = targets.map(({ name }) => name);
  const notes = [
    ...environment,
    `medians of ${args.rounds} rounds; big blob ${args.bigMiB} MiB`,
    `a ratio above 1 means that ${own.name} is better, also where less is better`,
  ];
  process.stdout.write(`${notes.join("\n")}\n\n${formatTable(summaries, names)}\n`);
  if (args.jsonFile === null) return;
  const { rounds, bigMiB } = args;
  const report = {
    at: new Date().toISOString(),
    environment,
    rounds,
    bigMiB,
    targets: names,
    rows: summaries,
  };
  await writeFile(args.jsonFile, `${JSON.stringify(report, null, 2)}\n`);
}

/** Each round asks all targets, and each begins with another one: what drifts on the machine hits all alike. */
async function measureWorkload(workload: Workload, targets: readonly Target[], rounds: number): Promise<Row> {
  const able = targets.filter(({ kind }) => kind === "registry" || workload.onStatic);
  const samples = new Map<string, number[]>(able.map(({ name }) => [name, []]));
  say(`${workload.name}: preparing`);
  for (const target of able) await workload.prepare(target);
  for (let round = 0; round < rounds; round++) {
    const first = round % able.length;
    for (const target of [...able.slice(first), ...able.slice(0, first)]) {
      const value = await workload.run(target);
      if (value === null) continue;
      samples.get(target.name)?.push(value);
      const place = `${workload.name} ${round + 1}/${rounds} ${target.name}`;
      say(`${place}: ${formatNumber(value)} ${workload.unit}`);
    }
  }
  return { workload, samples };
}

/** In this order: the big ones wipe the data of the servers, the start wants to find the lists. */
function selectWorkloads(options: WorkloadOptions, only: readonly string[] | null): readonly Workload[] {
  const all = [
    ...bigBlobWorkloads(options),
    ...smallReadWorkloads(options),
    ...smallWriteWorkloads(options),
    ...listingWorkloads(),
  ];
  if (only === null) return all;
  const names = all.map(({ name }) => name);
  const unknown = only.filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    throw new Error(`--only names "${unknown.join(",")}"; wanted some of ${names.join(", ")}`);
  }
  return all.filter(({ name }) => only.includes(name));
}

async function describeEnvironment(folder: string): Promise<readonly string[]> {
  const lines = [
    `machine: ${availableParallelism()} x ${cpus()[0]?.model.trim() ?? "unknown CPU"}; Bun ${Bun.version}`,
    `load clients: ${describeClients()}`,
  ];
  const { type } = await statfs(folder);
  if (type !== TMPFS_MAGIC) return lines;
  return [
    ...lines,
    "WARNING: the temporary folder is in memory, so no sync costs anything; set TMPDIR to a disk",
  ];
}

/** @throws Error that says what is wanted */
function readArguments(texts: readonly string[]): Arguments {
  const peers: PeerOption[] = [];
  let only: readonly string[] | null = null;
  let jsonFile: string | null = null;
  let rounds = 5;
  let bigMiB = 1_024;
  for (let at = 0; at < texts.length; at += 2) {
    const flag = texts[at] ?? "";
    const value = texts[at + 1];
    if (value === undefined) throw new Error(`"${flag}" has no value; see --help`);
    if (flag === "--rounds") rounds = readCount(flag, value);
    else if (flag === "--big-mib") bigMiB = readCount(flag, value);
    else if (flag === "--only") only = value.split(",");
    else if (flag === "--json") jsonFile = value;
    else if (flag === "--peer") peers.push(readPeer(value));
    else throw new Error(`unknown argument "${flag}"; see --help`);
  }
  return { rounds, only, peers, bigMiB, jsonFile };
}

function readCount(flag: string, text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new Error(`${flag} is "${text}"; wanted a whole number above 0`);
}

function readPeer(text: string): PeerOption {
  const peer = parsePeer(text);
  if (peer !== null) return peer;
  throw new Error(`--peer is "${text}"; wanted NAME=http://HOST:PORT or NAME=cmd:COMMAND`);
}

/** Progress, apart from the result. */
function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
