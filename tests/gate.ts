import { join } from "node:path";
import { WORKSPACE } from "./support/registry-process.ts";

/** How many checks passed and failed. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export function addTallies(tallies: readonly Tally[]): Tally {
  return {
    passed: tallies.reduce((sum, tally) => sum + tally.passed, 0),
    failed: tallies.reduce((sum, tally) => sum + tally.failed, 0),
    skipped: tallies.reduce((sum, tally) => sum + tally.skipped, 0),
  };
}

const BIOME = join(WORKSPACE, "node_modules", ".bin", "biome");

/** Format, lint, types, and every suite that needs no more than this workspace. */
export async function runGate(): Promise<Tally> {
  const checks = [
    await runCheck("format", [process.execPath, "fmt", "--check"]),
    await runCheck("lint", [BIOME, "lint", "--error-on-warnings"]),
    await runCheck("types", [process.execPath, "check"]),
  ];
  // A runner has one core; two of them halve the time, when they have the same to do.
  const scenarios = (
    await Array.fromAsync(new Bun.Glob("tests/scenarios/**/*.test.ts").scan(WORKSPACE))
  ).sort();
  const isThird = (_: string, at: number) => at % 3 === 0;
  const tests = await Promise.all([
    runTests("units, ports, architecture, client, some scenarios", [
      ...["packages", "tests/architecture", "tests/client"],
      ...scenarios.filter(isThird),
    ]),
    runTests(
      "scenarios",
      scenarios.filter((path, at) => !isThird(path, at)),
    ),
  ]);
  return addTallies([...checks, ...tests]);
}

/** Runs a command that says yes or no by its exit code; its output is shown when it says no. */
export async function runCheck(name: string, command: readonly string[]): Promise<Tally> {
  const child = Bun.spawn([...command], { cwd: WORKSPACE, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  const isOk = (await child.exited) === 0;
  process.stdout.write(`${isOk ? "ok  " : "FAIL"} ${name}\n`);
  if (!isOk) process.stdout.write(`${stdout}${stderr}\n`);
  return { passed: isOk ? 1 : 0, failed: isOk ? 0 : 1, skipped: 0 };
}

/** Runs test files with Bun's runner and reads its closing count. Passing tests are not listed. */
export async function runTests(name: string, paths: readonly string[]): Promise<Tally> {
  const startedAt = performance.now();
  const files = paths.map((path) => `./${path}`);
  const child = Bun.spawn([process.execPath, "test", "--timeout", "120000", ...files], {
    cwd: WORKSPACE,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, NO_COLOR: "1" },
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  const exitCode = await child.exited;
  const tally = readTally(stderr, exitCode);
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  const verdict = tally.failed === 0 ? "ok  " : "FAIL";
  process.stdout.write(
    `${verdict} ${name}: ${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped in ${seconds} s\n`,
  );
  const notes = stderr.split("\n").filter((line) => line.startsWith("!!!") || line.startsWith(">>>"));
  if (notes.length > 0) process.stdout.write(`${notes.join("\n")}\n`);
  if (tally.failed > 0) process.stdout.write(`${stdout}${withoutPasses(stderr)}\n`);
  return tally;
}

function readTally(report: string, exitCode: number): Tally {
  const count = (word: string): number =>
    Number(new RegExp(`^\\s*(\\d+) ${word}$`, "m").exec(report)?.[1] ?? 0);
  const [passed, failed, skipped] = [count("pass"), count("fail"), count("skip")];
  // A runner that crashed, or found no test, has not passed whatever it counted.
  const isBroken = (exitCode !== 0 && failed === 0) || passed + failed + skipped === 0;
  return { passed, failed: isBroken ? failed + 1 : failed, skipped };
}

function withoutPasses(report: string): string {
  return report
    .split("\n")
    .filter((line) => !line.startsWith("(pass)"))
    .join("\n");
}
