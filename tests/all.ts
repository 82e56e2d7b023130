import { addTallies, runGate, runTests, type Tally } from "./gate.ts";
import { prepareTools } from "./tools.ts";

/** Groups of `npm test`, in order: the quick ones first. */
const GROUPS: Readonly<Record<string, () => Promise<Tally>>> = {
  gate: runGate,
  cli: () => runTests("command line", ["tests/cli"]),
  model: () => runTests("model", ["tests/model"]),
  crash: () => runTests("crash", ["tests/crash"]),
  race: () => runTests("race", ["tests/race"]),
  compat: () => runTests("compat", ["tests/compat"]),
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => GROUPS[name] === undefined);
if (unknown.length > 0) {
  process.stderr.write(
    `error: no group ${unknown.join(", ")}; wanted any of ${Object.keys(GROUPS).join(", ")}\n`,
  );
  process.exit(2);
}
const names = wanted.length > 0 ? wanted : Object.keys(GROUPS);
await prepareTools();
const tallies: Tally[] = [];
for (const name of names) {
  const run = GROUPS[name];
  if (run !== undefined) tallies.push(await run());
}
const { passed, failed, skipped } = addTallies(tallies);
if (skipped > 0) process.stdout.write(`${skipped} skipped, see the lines with !!! above\n`);
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);
