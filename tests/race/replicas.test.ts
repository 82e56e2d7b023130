import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseRepositoryName } from "@stowage/oci/repository-name";
import { FaultyBlobStore } from "@stowage/server/blobstore/faulty";
import { FilesystemBlobStore } from "@stowage/server/blobstore/filesystem/filesystem-blob-store";
import { Collector } from "@stowage/server/registry/collect-garbage";
import { Random } from "../support/random.ts";
import { TestApp } from "../support/test-app.ts";
import { findLeftOrLost, settle, walkEverything } from "./checker.ts";
import { makeContent, WILD } from "./content.ts";
import { runCrowd } from "./crowd.ts";
import type { Race } from "./race.ts";
import { Endings, Score } from "./score.ts";
import { LONG, say, SEED, TERMS } from "./terms.ts";
import { appWire } from "./wire.ts";

const RACE_MS = LONG ? 120_000 : 3_000;
/** What a slow machine gets on top until all that is wanted has happened. */
const PATIENCE_MS = 30_000;

const WANTED = [
  "pushes",
  "collected-blobs",
  "freed-objects",
  "faults",
  "undone",
  "deleted-repositories",
] as const;

const COLLECTORS = 4;
const CROWD = { pushers: 30, deleters: 6, pullers: 8 };

/** One deletion of so many fails, in a store that otherwise works. */
const FAULTY_PART = 10;

const { leaseMs, graceMs, undoMs, untaggedMs } = TERMS;

test(
  "four collectors at once on one registry whose disk fails now and then to delete (G6)",
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "stowage-replicas-"));
    const durations = { leaseMs, undoMs, tombstoneGraceMs: graceMs };
    const databasePath = join(folder, "stowage.sqlite");
    await using app = new TestApp({ store: await FilesystemBlobStore.open(folder), databasePath, durations });
    const race = startRace(app);
    const stop = new AbortController();
    const collecting = Array.from({ length: COLLECTORS }, () => collectUntil(stop.signal, app, race));
    await Promise.all([runCrowd(race, CROWD), undoNowAndThen(app, race)]);
    const settledMs = await settle(folder, TERMS);
    stop.abort();
    await Promise.all(collecting);
    const walk = await walkEverything(race.wire, race.known);
    say(
      `${COLLECTORS} collectors: seed ${SEED}, ${RACE_MS / 1_000} s; ${race.score}; ` +
        `clean ${(settledMs / 1_000).toFixed(1)} s after the last request; ` +
        `then ${walk.manifests} manifests and ${walk.blobs} blobs re-hashed, ${walk.broken.length} broken`,
    );
    expect(race.score.texts).toEqual([]);
    expect(findLeftOrLost(folder)).toEqual([]);
    expect(walk.broken).toEqual([]);
    expect(WANTED.filter((event) => race.score.of(event) === 0)).toEqual([]);
    await rm(folder, { recursive: true });
  },
  RACE_MS + 120_000,
);

function startRace(app: TestApp): Race {
  const random = new Random(SEED);
  const score = new Score();
  const endsAt = Date.now() + RACE_MS;
  const hasAll = () => WANTED.every((event) => score.of(event) > 0);
  return {
    wire: appWire(app, score),
    score,
    endings: new Endings(),
    random,
    content: makeContent(random),
    terms: TERMS,
    known: new Set(),
    present: new Set(),
    isOver: () => Date.now() >= endsAt && (hasAll() || Date.now() >= endsAt + PATIENCE_MS),
  };
}

/** What one replica does for the garbage: run after run, going on after a failure. */
async function collectUntil(signal: AbortSignal, app: TestApp, { random, score }: Race): Promise<void> {
  const store = new FaultyBlobStore(app.store, (operation) => {
    if (operation === "delete" && random.below(FAULTY_PART) === 0) throw new Error("disk on strike");
  });
  const rules = { leaseMs, untaggedMs, batchMax: 50, pauseMs: 0 };
  const collector = new Collector({
    metadata: app.metadata,
    store,
    rules,
    monotonic: () => performance.now(),
  });
  while (!signal.aborted) {
    try {
      const report = await collector.run(signal);
      score.count("collected-blobs", report.blobsCollected);
      score.count("freed-objects", report.objectsDeleted);
    } catch (error) {
      if (String(error).includes("disk on strike")) score.count("faults");
      else score.violate("bad-answer", `a run of the collector failed: ${error}`);
    }
    await Bun.sleep(10);
  }
}

/** Brings deleted content back while it is on its way to being collected, and deletes a repository with all it has. */
async function undoNowAndThen({ metadata: { deletions } }: TestApp, race: Race): Promise<void> {
  const { random, score, endings, isOver } = race;
  const wild = parseRepositoryName(WILD);
  if (wild === null) throw new Error(`"${WILD}" is no name`);
  while (!isOver()) {
    await Bun.sleep(random.below(40));
    if (random.below(8) === 0) {
      const id = await endings.during(WILD, () => deletions.deleteRepository(wild, BY));
      if (id !== null) score.count("deleted-repositories");
    }
    const recent = await deletions.list({ before: null, entriesMax: 30 });
    if (recent.length === 0) continue;
    const result = await deletions.undo(random.pick(recent).id);
    score.count(result.kind === "undone" ? "undone" : `undo-${result.kind}`);
  }
}

const BY = { name: "race", reason: "request" } as const;
