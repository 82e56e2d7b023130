import { expect, test } from "bun:test";
import { CLOCK_JUMP_MS, ClockGuard } from "./clock-guard.ts";

const LEASE_MS = 10_000;

function guardAt(wall: number): ClockGuard {
  const guard = new ClockGuard(LEASE_MS);
  expect(guard.pauseAt({ wall, monotonic: 0 })).toBe(0);
  return guard;
}

test("ClockGuard lets time pass, also a lot of it", () => {
  const guard = guardAt(1_000);
  expect(guard.pauseAt({ wall: 1_000 + 5 * CLOCK_JUMP_MS, monotonic: 5 * CLOCK_JUMP_MS })).toBe(0);
});

test("ClockGuard lets a clock be corrected by less than a jump", () => {
  const guard = guardAt(1_000);
  expect(guard.pauseAt({ wall: 1_000 + CLOCK_JUMP_MS, monotonic: 0 })).toBe(0);
});

for (const jump of [CLOCK_JUMP_MS + 1, -CLOCK_JUMP_MS - 1]) {
  test(`ClockGuard pauses for a lease after a jump of ${jump} ms`, () => {
    const guard = guardAt(1_000_000_000);
    const wall = 1_000_000_000 + jump;
    expect(guard.pauseAt({ wall, monotonic: 0 })).toBe(LEASE_MS);
    expect(guard.pauseAt({ wall: wall + 4_000, monotonic: 4_000 })).toBe(LEASE_MS - 4_000);
    expect(guard.pauseAt({ wall: wall + LEASE_MS, monotonic: LEASE_MS })).toBe(0);
  });
}

test("ClockGuard goes on when somebody says that the clock is right", () => {
  const guard = guardAt(0);
  expect(guard.pauseAt({ wall: 2 * CLOCK_JUMP_MS, monotonic: 0 })).toBe(LEASE_MS);
  guard.resume();
  expect(guard.pauseAt({ wall: 2 * CLOCK_JUMP_MS, monotonic: 0 })).toBe(0);
});
