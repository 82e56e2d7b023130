import { expect, test } from "bun:test";
import { PaceMeter, UPLOAD_PACE } from "./upload-pace.ts";

interface Client {
  readonly everyMs: number;
  readonly bytes: number;
}

/** Milliseconds of waiting after which a client that keeps sending like this is too slow; null: never, in an hour. */
function cutAfter({ everyMs, bytes }: Client): number | null {
  const meter = new PaceMeter(UPLOAD_PACE);
  for (let at = everyMs; at <= 3_600_000; at += everyMs) if (!meter.note(everyMs, bytes)) return at;
  return null;
}

test.each([
  ["2 KiB/s, in pieces of a second", { everyMs: 1_000, bytes: 2_048 }, null],
  ["1 KiB/s, exactly", { everyMs: 1_000, bytes: 1_024 }, null],
  ["2 KiB/s, in pieces of 10 s", { everyMs: 10_000, bytes: 20_480 }, null],
  ["64 KiB in every 29 s", { everyMs: 29_000, bytes: 65_536 }, null],
  ["100 B/s", { everyMs: 1_000, bytes: 100 }, 30_000],
  ["900 B/s", { everyMs: 1_000, bytes: 900 }, 30_000],
  ["a byte every 10 ms", { everyMs: 10, bytes: 1 }, 30_000],
  ["a byte every 50 s", { everyMs: 50_000, bytes: 1 }, 50_000],
] as const)("PaceMeter judges %s", (_, client, expected) => {
  expect(cutAfter(client)).toBe(expected);
});

test("PaceMeter forgets what came before the window: a fast start buys no slow end", () => {
  const meter = new PaceMeter(UPLOAD_PACE);
  expect(meter.note(1_000, 1_000_000_000)).toBe(true);
  let waitedMs = 1_000;
  while (meter.note(1_000, 100) && waitedMs < 100_000) waitedMs += 1_000;
  expect(waitedMs).toBeLessThanOrEqual(34_000);
});

test("PaceMeter counts only waiting: pieces that were there already are never too slow", () => {
  const meter = new PaceMeter(UPLOAD_PACE);
  for (let piece = 0; piece < 100_000; piece++) expect(meter.note(0, 1)).toBe(true);
});
