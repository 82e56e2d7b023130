import { expect, test } from "bun:test";
import { parseDuration } from "./duration.ts";

const CASES: readonly (readonly [string, number | null])[] = [
  ["0ms", 0],
  ["500ms", 500],
  ["30s", 30_000],
  ["10m", 600_000],
  ["24h", 86_400_000],
  ["7d", 604_800_000],
  ["3650d", 315_360_000_000],
  ["3651d", null],
  ["", null],
  ["10", null],
  ["-1s", null],
  ["1.5h", null],
  ["1 h", null],
  ["1w", null],
  ["9999999999ms", null],
];

for (const [text, ms] of CASES) {
  test(`parseDuration "${text}" is ${ms}`, () => {
    expect(parseDuration(text)).toBe(ms);
  });
}
