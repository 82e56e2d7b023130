import { expect, test } from "bun:test";
import { CONFIGURATIONS, searchOf } from "./collector-configurations.ts";
import { explore, type Verdict } from "./collector-search.ts";
import { DESIGN, type Rules } from "./collector-world.ts";

/** A configuration with more states than this has not been walked to its end, and the test fails. */
const STATES_MAX = 1_500_000;

/** Nothing here is timed: this is only more than the slowest machine needs. */
const TIMEOUT_MS = 300_000;

/** Each part of the protocol, what it is called when it is taken out, and where that shows. */
const ABLATIONS: Readonly<Record<keyof Rules, readonly [string, keyof typeof CONFIGURATIONS]>> = {
  leaseOnHead: ["no lease on HEAD", "headPusher"],
  leaseOnUpload: ["no lease on upload", "twoUploads"],
  leaseOnMount: ["no lease on mount", "mount"],
  leaseOnRepeat: ["no lease on a repeated finish", "repetition"],
  leaseOnManifestHead: ["no lease on HEAD of a manifest", "index"],
  generationKeys: ["key = digest", "pull"],
  recheck: ["no re-check: select first, delete later", "headPusher"],
  metadataFirst: ["bytes before metadata", "headPusher"],
  grace: ["no grace for running GETs", "pull"],
  intentCheck: ["finish without re-checking its intent", "twoUploads"],
  reviewOnDelete: ["deleting without review", "headPusher"],
  parentsHold: ["untagged collection without looking at parent indexes", "index"],
  sweep: ["nobody looks for lost objects", "twoUploads"],
  expiryEndsSession: ["a session goes on after its intent ended", "repetition"],
};

for (const configuration of Object.values(CONFIGURATIONS)) {
  test(
    `the protocol keeps its promises in every interleaving: ${configuration.name}`,
    () => {
      const verdict = explore(searchOf(configuration, DESIGN, STATES_MAX));
      say(`model: design, ${configuration.name}, ${describe(verdict)}`);
      expect(verdict.kind).toBe("exhausted");
    },
    TIMEOUT_MS,
  );
}

for (const [rule, [name, where]] of Object.entries(ABLATIONS)) {
  test(
    `the protocol breaks a promise with "${name}"`,
    () => {
      const verdict = explore(searchOf(CONFIGURATIONS[where], { ...DESIGN, [rule]: false }, STATES_MAX));
      say(`model: ablation "${name}": ${describe(verdict)}`);
      expect(verdict.kind).toBe("violation");
    },
    TIMEOUT_MS,
  );
}

function describe(verdict: Verdict): string {
  const states = `${verdict.states.toLocaleString("en-US")} states`;
  if (verdict.kind === "exhausted") return `${states}, 0 violations`;
  if (verdict.kind === "too-large") return `${states} and more, not walked to the end`;
  const { what, trace } = verdict;
  return `violation found after ${trace.length} steps: ${what} (${trace.join("; ")})`;
}

function say(line: string): void {
  process.stderr.write(`>>> ${line}\n`);
}
