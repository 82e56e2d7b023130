import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatUploadRange, parseContentRange, resolveRange } from "./range.ts";

const WHOLE = { kind: "whole" } as const;
const NONE = { kind: "unsatisfiable" } as const;
const part = (start: number, end: number) => ({ kind: "part", range: { start, end } }) as const;

test.each([
  [null, 10, WHOLE],
  ["bytes=0-4", 10, part(0, 4)],
  ["bytes=5-", 10, part(5, 9)],
  ["bytes=-3", 10, part(7, 9)],
  ["bytes=-30", 10, part(0, 9)],
  ["bytes=8-100", 10, part(8, 9)],
  ["BYTES=0-0", 10, part(0, 0)],
  ["bytes= 1 - 2 ", 10, part(1, 2)],
  ["bytes=10-", 10, NONE],
  ["bytes=10-12", 10, NONE],
  ["bytes=-0", 10, NONE],
  ["bytes=0-0", 0, NONE],
  ["bytes=5-2", 10, NONE],
  ["bytes=0-1,3-4", 10, WHOLE],
  ["bytes=-", 10, WHOLE],
  ["items=0-4", 10, WHOLE],
  ["bytes=a-b", 10, WHOLE],
  ["bytes=99999999999999999999-", 10, WHOLE],
] as const)("resolveRange %j of %j bytes", (header, size, answer) => {
  expect(resolveRange(header, size)).toEqual(answer);
});

test("resolveRange never answers a part outside the body", () => {
  fc.assert(
    fc.property(fc.string(), fc.nat(), fc.nat(), fc.nat(), (noise, first, last, size) => {
      for (const header of [noise, `bytes=${first}-${last}`, `bytes=${first}-`, `bytes=-${last}`]) {
        const answer = resolveRange(header, size);
        if (answer.kind !== "part") continue;
        const { start, end } = answer.range;
        if (start < 0 || end < start || end >= size) return false;
      }
      return true;
    }),
  );
});

test.each([
  ["0-511", { start: 0, end: 511 }],
  ["bytes 0-511/1024", { start: 0, end: 511 }],
  ["bytes=0-511", { start: 0, end: 511 }],
  ["5-5/*", { start: 5, end: 5 }],
  ["5-4", null],
  ["-5", null],
  ["5-", null],
  ["", null],
  ["0-1, 2-3", null],
  ["0x0-0x1", null],
])("parseContentRange %j", (header, range) => {
  expect(parseContentRange(header)).toEqual(range);
});

test("formatUploadRange of an empty session is 0-0, which every client reads", () => {
  expect([0, 1, 2].map(formatUploadRange)).toEqual(["0-0", "0-0", "0-1"]);
});
