import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { RegistryModel } from "./registry-model.ts";

const LONG = process.env.STOWAGE_LONG === "1";
const RUNS = LONG ? 200 : 6;
const STEPS = LONG ? 2_000 : 400;

/** A seed from outside repeats a run: `STOWAGE_SEED=123 bun test tests/model`. */
const FIRST_SEED = Number(process.env.STOWAGE_SEED ?? Math.floor(Math.random() * 1_000_000_000));

test(`the registry agrees with its model over ${RUNS} runs of ${STEPS} random operations with restarts`, async () => {
  for (let run = 0; run < RUNS; run++) {
    const seed = FIRST_SEED + run;
    const folder = await mkdtemp(`${tmpdir()}/stowage-model-`);
    process.stdout.write(`model: seed ${seed}\n`);
    try {
      await using model = await RegistryModel.open(folder, seed);
      for (let step = 0; step < STEPS; step++) await model.step();
      await model.verifyEverything();
      expect(model.acknowledged).toBeGreaterThan(0);
    } finally {
      await rm(folder, { recursive: true });
    }
  }
}, 600_000);
