import { chmod, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RegistryClient } from "@stowage/client";
import { pushImage } from "../tests/client/images.ts";
import { program } from "../tests/support/suite.ts";
import { WORKSPACE } from "../tests/support/registry-process.ts";
import { ServerProcess } from "./server-process.ts";

/**
 * `stowage copy` beside crane and skopeo: one image with many layers from one registry to another, into a new repository each
 * time. What counts is the wall time of the whole command, and the most memory that it had. `npm run bench:copy`.
 */

const ROUNDS = Number(process.argv[2] ?? 7);
const LAYERS = 20;
const LAYER_MIB = 16;
const MEMORY_POLL_MS = 10;

/** The image is copied once more where it is already: what a push costs that changes nothing. */
const KINDS = ["new", "there already"] as const;

interface Tool {
  readonly name: string;
  readonly command: (source: string, target: string) => readonly string[];
}

interface Sample {
  readonly ms: number;
  readonly cpuMs: number;
  readonly peakMiB: number;
}

const all: readonly Tool[] = [
  {
    name: "stowage",
    command: (source, target) => [join(WORKSPACE, "bin", "stowage"), "copy", "-q", source, target],
  },
  { name: "crane", command: (source, target) => [program("crane").path, "copy", source, target] },
  {
    name: "skopeo",
    command: (source, target) => [
      ...[
        program("skopeo").path,
        "copy",
        "-q",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        "--all",
        "--preserve-digests",
      ],
      ...[`docker://${source}`, `docker://${target}`],
    ],
  },
];
const tools = all.filter(({ name }) => name === "stowage" || program(name).isMet);

const folder = await mkdtemp(join(tmpdir(), "stowage-bench-copy-"));
await chmod(folder, 0o755);
await using stack = new AsyncDisposableStack();
stack.defer(() => rm(folder, { recursive: true, force: true }));
const [source, target] = [await startRegistry("source"), await startRegistry("target")];
const sizes = Array.from({ length: LAYERS }, () => LAYER_MIB * 1024 ** 2);
await pushImage(new RegistryClient().repository(`${source}/bench/app`), { tag: "1.0", layers: sizes });

const samples = new Map<string, Sample[]>();
for (let round = 0; round < ROUNDS; round++) {
  for (let at = 0; at < tools.length; at++) {
    // Each round begins with another one.
    const tool = tools[(at + round) % tools.length];
    if (tool === undefined) continue;
    const to = `${target}/${tool.name}/round-${round}:1.0`;
    for (const kind of KINDS) {
      const key = `${tool.name} ${kind}`;
      const sample = await measure(tool.command(`${source}/bench/app:1.0`, to));
      samples.set(key, [...(samples.get(key) ?? []), sample]);
    }
  }
}

process.stdout.write(`${LAYERS} layers of ${LAYER_MIB} MiB, medians of ${ROUNDS} rounds\n\n`);
process.stdout.write(
  "| what | tool | wall ms | ratio to stowage | CPU ms | peak MiB |\n| --- | --- | --- | --- | --- | --- |\n",
);
for (const kind of KINDS) {
  const ours = median(samples.get(`stowage ${kind}`) ?? [], ({ ms }) => ms);
  for (const { name } of tools) {
    const own = samples.get(`${name} ${kind}`) ?? [];
    const ms = median(own, (sample) => sample.ms);
    const cells = [
      kind,
      name,
      ms.toFixed(0),
      (ms / ours).toFixed(2),
      median(own, ({ cpuMs }) => cpuMs).toFixed(0),
      median(own, ({ peakMiB }) => peakMiB).toFixed(0),
    ];
    process.stdout.write(`| ${cells.join(" | ")} |\n`);
  }
}

async function startRegistry(name: string): Promise<string> {
  const main = join(WORKSPACE, "packages", "cli", "src", "main.ts");
  const own = join(folder, name);
  await mkdir(own);
  const server = stack.use(
    new ServerProcess({
      name,
      folder: own,
      readyPath: "/v2/",
      command: async ({ port, dataDir }) => [
        process.execPath,
        main,
        "serve",
        "--addr",
        `127.0.0.1:${port}`,
        "--data-dir",
        dataDir,
      ],
    }),
  );
  await server.start();
  return new URL(server.url).host;
}

async function measure(command: readonly string[]): Promise<Sample> {
  // skopeo remembers where it has seen blobs, and would mount them: each run is somebody's who knows nothing. What root
  // knows lies in one place, so root runs as nobody.
  const home = await mkdtemp(join(folder, "home-"));
  await chmod(home, 0o777);
  const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
  const prefix = process.getuid?.() === 0 ? asNobody : [];
  const startedAt = performance.now();
  const child = Bun.spawn([...prefix, ...command], {
    cwd: home,
    env: { ...process.env, HOME: home, XDG_DATA_HOME: home, XDG_RUNTIME_DIR: home },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const peak = watchMemory(child.pid);
  const said = await child.stderr.text();
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")} failed: ${said}`);
  const ms = performance.now() - startedAt;
  return { ms, cpuMs: Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1_000, peakMiB: await peak };
}

/** The most that a process had, in MiB, until it is gone. The rusage of a child has the memory of who started it in it. */
async function watchMemory(pid: number): Promise<number> {
  let peak = 0;
  for (;;) {
    const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
    const kiB = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
    if (kiB === 0) return peak / 1024;
    peak = Math.max(peak, kiB);
    await Bun.sleep(MEMORY_POLL_MS);
  }
}

function median(samples: readonly Sample[], of: (sample: Sample) => number): number {
  const sorted = samples.map(of).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
