import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ServerProcess } from "./server-process.ts";

/**
 * Clients that connect and never finish a request: how long the server bears with them, what they cost it, and what
 * others feel of it. `npm run bench:half-open`.
 */

const CONNECTIONS = 10_000;

/** Seconds in which every one of them has to be gone. */
const DROPPED_SECONDS_TARGET = 15;
const KIB_EACH_TARGET = 1;
const PROBE_P99_MS_TARGET = 20;

/** Connections are opened in groups, so that the listen queue (4096 here) never runs over. */
const GROUP = 250;
const GROUP_PAUSE_MS = 5;
const PROBE_PAUSE_MS = 3;

/** Until the server's heap has its size. */
const WARM_UP_REQUESTS = 20_000;
const SETTLE_MS = 5_000;
const RSS_PAUSE_MS = 100;

/** What they send before they fall silent; a third of them each. */
const BEGINNINGS = ["", "GET /v2/ HTT", "GET /v2/ HTTP/1.1\r\nHost: registry.test\r\nX-Slow: a"];

interface Target {
  readonly what: string;
  readonly reached: number;
  readonly atMost: number;
  readonly unit: string;
}

const main = join(import.meta.dir, "..", "packages", "cli", "src", "main.ts");
const folder = await mkdtemp(join(tmpdir(), "stowage-half-open-"));
await using server = new ServerProcess({
  name: "stowage",
  folder,
  readyPath: "/v2/",
  command: async ({ port, dataDir }) => [
    ...[process.execPath, main, "serve", "--addr", `127.0.0.1:${port}`, "--data-dir", dataDir],
    ...["--auth", "none"],
  ],
});
await server.start();
await warmUp(server.url);
const port = Number(new URL(server.url).port);
const calm = await probeFor(server.url, Bun.sleep(2_000));
// Once without anything else, because requests take memory, too; once with others.
await Bun.sleep(SETTLE_MS);
const before = await server.memoryMiB();
const alone = holdOpen(port);
const peak = await watchMemory(server, alone);
const dropped = holdOpen(port);
const busy = await probeFor(server.url, dropped);
const both = [await alone, await dropped];
const opened = Math.min(...both.map((run) => run.opened));
const seconds = Math.max(...both.map((run) => run.seconds));
const targets: readonly Target[] = [
  {
    what: `${opened} half-open connections, all dropped after`,
    reached: seconds,
    atMost: DROPPED_SECONDS_TARGET,
    unit: "s",
  },
  {
    what: "memory of each",
    reached: ((peak - before) * 1024) / opened,
    atMost: KIB_EACH_TARGET,
    unit: "KiB",
  },
  {
    what: "GET /v2/ meanwhile, p99",
    reached: percentile(busy, 0.99),
    atMost: PROBE_P99_MS_TARGET,
    unit: "ms",
  },
];
for (const { what, reached, atMost, unit } of targets) {
  const verdict = reached <= atMost ? "reached" : "MISSED";
  process.stdout.write(`${what}: ${reached.toFixed(2)} ${unit}; target ${atMost} ${unit}: ${verdict}\n`);
}
process.stdout.write(
  `without them, p99: ${percentile(calm, 0.99).toFixed(2)} ms; ${busy.length} probes meanwhile, slowest ${percentile(busy, 1).toFixed(2)} ms\n`,
);
if (opened < CONNECTIONS)
  process.stdout.write(`only ${opened} of ${CONNECTIONS} connections were opened: see ulimit -n\n`);
process.exitCode =
  opened === CONNECTIONS && targets.every(({ reached, atMost }) => reached <= atMost) ? 0 : 1;

/** Opens them all and resolves when the server has ended the last one; seconds count from the last that opened. */
async function holdOpen(port: number): Promise<{ readonly opened: number; readonly seconds: number }> {
  const ended = Promise.withResolvers<null>();
  let opened = 0;
  let closed = 0;
  let openedAt = performance.now();
  let isComplete = false;
  const check = () => {
    if (isComplete && closed === opened) ended.resolve(null);
  };
  const attempts: Promise<unknown>[] = [];
  for (let index = 0; index < CONNECTIONS; index++) {
    const beginning = BEGINNINGS[index % BEGINNINGS.length] ?? "";
    const attempt = Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open(socket) {
          opened += 1;
          openedAt = performance.now();
          if (beginning !== "") socket.write(beginning);
        },
        data: () => undefined,
        close() {
          closed += 1;
          check();
        },
        error: () => undefined,
      },
    });
    attempts.push(attempt.catch(() => null));
    if (index % GROUP === GROUP - 1) await Bun.sleep(GROUP_PAUSE_MS);
  }
  await Promise.all(attempts);
  isComplete = true;
  check();
  await ended.promise;
  return { opened, seconds: (performance.now() - openedAt) / 1_000 };
}

async function warmUp(url: string): Promise<void> {
  for (let request = 0; request < WARM_UP_REQUESTS; request++)
    await (await fetch(`${url}/v2/`)).arrayBuffer();
}

/** Milliseconds of each request, one after the other on new connections, until `end`. */
async function probeFor(url: string, end: Promise<unknown>): Promise<readonly number[]> {
  let isOver = false;
  void end.then(() => {
    isOver = true;
  });
  const times: number[] = [];
  while (!isOver) {
    const startedAt = performance.now();
    const response = await fetch(`${url}/v2/`, { keepalive: false });
    await response.arrayBuffer();
    if (response.status !== 200) throw new Error(`GET /v2/ answers ${response.status}`);
    times.push(performance.now() - startedAt);
    await Bun.sleep(PROBE_PAUSE_MS);
  }
  return times;
}

/** Most memory, in MiB, until `end`. */
async function watchMemory(process: ServerProcess, end: Promise<unknown>): Promise<number> {
  let isOver = false;
  void end.then(() => {
    isOver = true;
  });
  let most = 0;
  while (!isOver) {
    most = Math.max(most, await process.memoryMiB());
    await Bun.sleep(RSS_PAUSE_MS);
  }
  return most;
}

function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}
