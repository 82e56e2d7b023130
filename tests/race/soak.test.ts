import { expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Random } from "../support/random.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { findLeftOrLost, settle, walkEverything } from "./checker.ts";
import { makeContent } from "./content.ts";
import { type Crowd, runCrowd } from "./crowd.ts";
import type { Race } from "./race.ts";
import { Endings, Score } from "./score.ts";
import { LONG, say, SEED, serverArgs, settleMs, type Terms, TERMS } from "./terms.ts";
import { httpWire, SERVER } from "./wire.ts";

const RACE_MS = LONG ? 0 : 40_000;
const KILL_RACE_MS = LONG ? 0 : 40_000;

/** What a slow machine gets on top until all that is wanted has happened. */
const PATIENCE_MS = 30_000;

/** What must have happened, or the run has proved nothing. */
const WANTED = [
  ...["pushes", "mounts", "uploads", "leased-by-HEAD", "leased-manifests", "pulls", "slow-blobs"],
  ...["deleted-manifests", "deleted-tags", "deleted-blobs"],
] as const;

interface Plan {
  readonly ms: number;
  /** What the clients believe that they were promised. */
  readonly terms?: Terms;
  readonly isComplete: (score: Score) => boolean;
}

const hasAll = (score: Score) => WANTED.every((event) => score.of(event) > 0);

const CROWD: Crowd = { pushers: 50, deleters: 4, pullers: 12 };

/** Promises to pullers are harder to catch at being broken. */
const CONTROL_CROWD: Crowd = { pushers: 10, deleters: 12, pullers: 40 };

test(
  "pushers, deleters and pullers against a collector that never rests (G1, G2, G4, G7, G8, G10)",
  async () => {
    await using registry = await RegistryProcess.start({ args: serverArgs(TERMS) });
    const race = startRace(registry, { ms: RACE_MS, isComplete: hasAll });
    await runCrowd(race, CROWD);
    await judge(`all at once, ${RACE_MS / 1_000} s`, registry, race);
    await proveChecker(registry);
  },
  RACE_MS + 120_000,
);

test(
  "the same while the server is killed again and again (G5)",
  async () => {
    await using registry = await RegistryProcess.start({ args: serverArgs(TERMS) });
    const race = startRace(registry, { ms: KILL_RACE_MS, isComplete: hasAll });
    await Promise.all([runCrowd(race, CROWD), killNowAndThen(race, registry)]);
    await judge(`with kill -9, ${KILL_RACE_MS / 1_000} s`, registry, race);
    expect(race.score.of("kills")).toBeGreaterThan(0);
  },
  KILL_RACE_MS + 120_000,
);

test("the harness notices a server whose leases are shorter than it says", async () => {
  const args = serverArgs({ ...TERMS, leaseMs: 100 });
  await using registry = await RegistryProcess.start({ args });
  const race = startRace(registry, {
    ms: 0,
    isComplete: (score) => score.violations("broken-promise") > 0,
  });
  await runCrowd(race, CROWD);
  say(`control of leases: ${race.score}`);
  expect(race.score.violations("broken-promise")).toBeGreaterThan(0);
}, 60_000);

test("the harness notices a server that frees content before its undo time", async () => {
  const args = serverArgs({ ...TERMS, leaseMs: 100, undoMs: 0, graceMs: 0 });
  await using registry = await RegistryProcess.start({ args });
  // Who relies on no lease pushes without a pause, so that there is something to pull.
  const race = startRace(registry, {
    ms: 0,
    terms: { ...TERMS, leaseMs: 0 },
    isComplete: (score) => score.violations("dangling") > 0,
  });
  await runCrowd(race, CONTROL_CROWD);
  say(`control of undo times: ${race.score}`);
  expect(race.score.violations("dangling")).toBeGreaterThan(0);
}, 60_000);

/** A race that takes `ms`, or longer on a machine so slow that not everything has happened by then. */
function startRace(registry: RegistryProcess, { ms, terms = TERMS, isComplete }: Plan): Race {
  const random = new Random(SEED);
  const score = new Score();
  const endings = new Endings();
  const endsAt = Date.now() + ms;
  const latest = endsAt + PATIENCE_MS;
  return {
    wire: httpWire(() => registry.url, score, endings),
    score,
    endings,
    random,
    content: makeContent(random),
    terms,
    known: new Set(),
    present: new Set(),
    isOver: () => Date.now() >= (isComplete(score) ? endsAt : latest),
  };
}

async function killNowAndThen(
  { random, endings, score, isOver }: Race,
  registry: RegistryProcess,
): Promise<void> {
  while (!isOver()) {
    await Bun.sleep(300 + random.below(900));
    await endings.during(SERVER, async () => {
      await registry.kill("SIGKILL");
      await registry.start();
    });
    score.count("kills");
  }
}

/** After the last request: waits until the collector has had its time, and compares all that is there. */
async function judge(name: string, registry: RegistryProcess, race: Race): Promise<void> {
  const { score, wire, known } = race;
  const during = collectedOf(registry.log);
  const settledMs = await settle(registry.dataDir, TERMS);
  const walk = await walkEverything(wire, known);
  const after = collectedOf(registry.log);
  say(
    `${name}: seed ${SEED}; ${score}; collected while clients ran: ${during}; ` +
      `in all: ${after}; clean ${(settledMs / 1_000).toFixed(1)} s after the last request (stated ${(settleMs(TERMS) / 1_000).toFixed(1)} s); ` +
      `then ${walk.manifests} manifests and ${walk.blobs} blobs re-hashed, ${walk.broken.length} broken`,
  );
  expect(score.texts).toEqual([]);
  expect(findLeftOrLost(registry.dataDir)).toEqual([]);
  expect(walk.broken).toEqual([]);
  expect(WANTED.filter((event) => score.of(event) === 0)).toEqual([]);
  expect(during.objectsDeleted).toBeGreaterThan(0);
}

/** A checker that finds nothing proves nothing: it has to find what is put in front of it. */
async function proveChecker(registry: RegistryProcess): Promise<void> {
  const stray = join("blobs", "sha256", "00", "stray");
  await Bun.write(join(registry.dataDir, stray), "nobody knows me");
  expect(findLeftOrLost(registry.dataDir)).toEqual([`left: file ${stray}`]);
  await rm(join(registry.dataDir, stray));
}

const FIGURES = [
  "untaggedDeleted",
  "deletionsEnded",
  "unlinked",
  "blobsCollected",
  "objectsDeleted",
] as const;

/** Sums of what the server says that its collector did. */
class Collected {
  readonly sums = new Map<string, number>();

  get objectsDeleted(): number {
    return this.sums.get("objectsDeleted") ?? 0;
  }

  toString(): string {
    return [...this.sums].map(([figure, sum]) => `${figure} ${sum}`).join(", ");
  }
}

function collectedOf(log: string): Collected {
  const collected = new Collected();
  for (const line of log.split("\n")) {
    if (!line.includes('"message":"collected garbage"') || !line.endsWith("}")) continue;
    const report = JSON.parse(line) as Record<string, number>;
    for (const figure of ["runs", ...FIGURES]) {
      const sum = collected.sums.get(figure) ?? 0;
      collected.sums.set(figure, sum + (figure === "runs" ? 1 : (report[figure] ?? 0)));
    }
  }
  return collected;
}
