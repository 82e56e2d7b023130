import { expect, test } from "bun:test";
import { RateLimit } from "./rate-limit.ts";

const NEVER = new AbortController().signal;

function limitOf(bytesPerSecond: number) {
  const clock = { ms: 0, slept: 0 };
  const limit = new RateLimit({
    bytesPerSecond,
    monotonic: () => clock.ms,
    async sleep(ms) {
      clock.ms += ms;
      clock.slept += ms;
    },
  });
  return { clock, limit };
}

test("RateLimit lets bytes pass at its rate, whatever pieces they come in", async () => {
  for (const piece of [1, 1_000, 25_000]) {
    const { clock, limit } = limitOf(1_000);
    for (let passed = 0; passed < 25_000; passed += piece) await limit.passed(piece, NEVER);
    expect(Math.round(clock.ms / 1_000)).toBe(25);
  }
});

test("RateLimit of a reader that is slower never rests, and does not make up for lost time", async () => {
  const { clock, limit } = limitOf(1_000);
  for (let second = 0; second < 60; second++) {
    clock.ms += 1_000;
    await limit.passed(100, NEVER);
  }
  expect(clock.slept).toBe(0);
  await limit.passed(10_000, NEVER);
  expect(clock.slept).toBeGreaterThan(8_900);
});

test("RateLimit of 0 does not hold back, and one that is told to stop returns", async () => {
  const free = limitOf(0);
  await free.limit.passed(1e12, NEVER);
  const stopped = limitOf(1);
  await stopped.limit.passed(1e12, AbortSignal.abort());
  expect([free.clock.slept, stopped.clock.slept]).toEqual([0, 0]);
});
