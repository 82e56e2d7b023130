import { expect, test } from "bun:test";
import { parseRate } from "./rate.ts";

const CASES: readonly (readonly [string, string | null])[] = [
  ["50/s", "50 in 1000"],
  ["1/1s", "1 in 1000"],
  ["100/6h", "100 in 21600000"],
  ["1000000/30d", "1000000 in 2592000000"],
  ["1/1500ms", "1 in 1500"],
  ["0/s", null],
  ["1000001/s", null],
  ["1/ms", null],
  ["1/0s", null],
  ["1/31d", null],
  ["1", null],
  ["1/", null],
  ["/s", null],
  ["1 / s", null],
  ["-1/s", null],
  ["1.5/s", null],
  ["1/s/s", null],
  ["", null],
];

for (const [text, wanted] of CASES) {
  test(`parseRate "${text}" is ${wanted}`, () => {
    const rate = parseRate(text);
    expect(rate === null ? null : `${rate.count} in ${rate.windowMs}`).toBe(wanted);
  });
}
