import { expect, test } from "bun:test";
import { runElsewhere } from "./elsewhere.ts";
import { ALL_CASES } from "./suite.ts";

test("client on Node: every case of the suite", async () => {
  const outcomes = await runElsewhere(["node"]);
  expect(outcomes.filter(({ problem }) => problem !== null)).toEqual([]);
  expect(outcomes.length).toBe(ALL_CASES.length);
});
