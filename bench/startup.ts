import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * How long `stowage` takes before it does anything, in milliseconds more than Bun with an empty script: `npm run bench:startup`.
 * Rounds take turns, so that what the machine does besides meets all of them.
 */

const ROUNDS = 31;
/** `stowage --version` may take so much more than bare Bun, in milliseconds. */
const VERSION_MS_MORE = 50;

const MAIN = join(import.meta.dir, "..", "packages", "cli", "src", "main.ts");

const folder = await mkdtemp(join(tmpdir(), "stowage-bench-startup-"));
const empty = join(folder, "empty.ts");
await Bun.write(empty, "export {};\n");

const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  "bun with an empty script": [empty],
  "stowage --version": [MAIN, "--version"],
  "stowage --help": [MAIN, "--help"],
  "stowage copy --help": [MAIN, "copy", "--help"],
  "stowage __complete co": [MAIN, "__complete", "co"],
  "stowage digest (of nothing)": [MAIN, "digest"],
  "stowage serve --help": [MAIN, "serve", "--help"],
};

const samples = new Map<string, number[]>(Object.keys(COMMANDS).map((name) => [name, []]));
for (let round = 0; round <= ROUNDS; round++) {
  for (const [name, args] of Object.entries(COMMANDS)) {
    const took = await timeOf(args);
    // The first round fills the caches of the system.
    if (round > 0) samples.get(name)?.push(took);
  }
}
await rm(folder, { recursive: true, force: true });

const bare = median(samples.get("bun with an empty script") ?? []);
console.log(`median of ${ROUNDS} rounds        ms   more than bare Bun   factor`);
for (const [name, values] of samples) {
  const ms = median(values);
  const more = ms - bare;
  const isGoal = name === "stowage --version";
  const verdict = isGoal
    ? `   (target < ${VERSION_MS_MORE} ms: ${more < VERSION_MS_MORE ? "reached" : "MISSED"})`
    : "";
  console.log(
    `${name.padEnd(27)} ${ms.toFixed(1).padStart(6)} ${more.toFixed(1).padStart(15)} ${(ms / bare).toFixed(2).padStart(12)}${verdict}`,
  );
}

async function timeOf(args: readonly string[]): Promise<number> {
  const startedAt = performance.now();
  const child = Bun.spawn([process.execPath, ...args], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  await child.exited;
  return performance.now() - startedAt;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
