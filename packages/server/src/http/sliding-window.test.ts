import { expect, test } from "bun:test";
import { SlidingWindow } from "./sliding-window.ts";

interface Sizes {
  readonly count?: number;
  readonly windowMs?: number;
  readonly keysMax?: number;
  readonly sharedMax?: number;
}

function open({ count = 10, windowMs = 1_600, ...sizes }: Sizes = {}) {
  const clock = { ms: 1e9 };
  const window = new SlidingWindow({ count, windowMs, monotonic: () => clock.ms, seed: 7, ...sizes });
  return { clock, window };
}

/** Numbers from 0 to below `limit`, the same for the same seed (a linear congruential generator). */
function randomOf(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % limit;
  };
}

/** The most that lie in any window of that length, both ends included. */
function mostIn(times: readonly number[], windowMs: number): number {
  let most = 0;
  for (let end = 0, start = 0; end < times.length; end++) {
    while ((times[end] ?? 0) - (times[start] ?? 0) > windowMs) start += 1;
    most = Math.max(most, end - start + 1);
  }
  return most;
}

test("SlidingWindow lets through the whole count at once, and never more in any window: 200 random loads", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = randomOf(seed);
    const count = 1 + random(20);
    const windowMs = 1_000 + random(5_000);
    const { clock, window } = open({ count, windowMs });
    const taken: number[] = [];
    for (let at = 0; at < 2_000; at++) {
      clock.ms += random(4) === 0 ? random(Math.ceil(windowMs / 3)) : random(3);
      if (window.take("k")) taken.push(clock.ms);
    }
    expect(mostIn(taken, windowMs)).toBe(count);
  }
});

test("SlidingWindow never refuses who stays below the rate by 1/16", () => {
  const { clock, window } = open({ count: 10, windowMs: 1_600 });
  for (let at = 0; at < 1_000; at++) {
    expect(window.take("k")).toBe(true);
    clock.ms += 171;
  }
});

test("SlidingWindow.waitFor is when it lets in, to the millisecond, and remaining is how many", () => {
  for (let seed = 1; seed <= 100; seed++) {
    const random = randomOf(seed);
    const { clock, window } = open({ count: 5, windowMs: 1_600 });
    for (let at = 0; at < 30; at++) {
      clock.ms += random(200);
      window.take("k");
    }
    const wanted = 1 + random(5);
    const wait = Math.ceil(window.waitFor("k", wanted));
    if (wait > 0) {
      clock.ms += wait - 1;
      expect(window.remaining("k")).toBeLessThan(wanted);
      clock.ms += 1;
    }
    expect(window.remaining("k")).toBeGreaterThanOrEqual(wanted);
  }
  expect(open({ count: 5 }).window.waitFor("k", 6)).toBe(Number.POSITIVE_INFINITY);
});

test("SlidingWindow: one key's requests are not another's", () => {
  const { window } = open({ count: 3 });
  for (let at = 0; at < 100; at++) window.take("greedy");
  expect([1, 2, 3, 4].map(() => window.take("modest"))).toEqual([true, true, true, false]);
});

test("SlidingWindow: a flood of new keys makes nobody's past go away, and takes no memory", () => {
  const { clock, window } = open({ count: 3, keysMax: 64, sharedMax: 8 });
  for (let at = 0; at < 3; at++) window.take("attacker");
  for (let at = 0; at < 10_000; at++) {
    window.take(`other ${at}`);
    if (at % 100 === 0) clock.ms += 10;
    expect(window.keys).toBeLessThanOrEqual(64);
    if (clock.ms < 1e9 + 1_600) expect(window.take("attacker")).toBe(false);
  }
});

test("SlidingWindow: whatever comes and goes around it, a key has no more than the count: 60 random floods", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = randomOf(seed);
    const { clock, window } = open({ count: 4, windowMs: 1_600, keysMax: 8, sharedMax: 4 });
    const taken = new Map<string, number[]>();
    for (let at = 0; at < 5_000; at++) {
      clock.ms += random(10) === 0 ? random(700) : random(4);
      const key = `k${random(random(2) === 0 ? 40 : 4)}`;
      const times = taken.get(key) ?? [];
      taken.set(key, times);
      if (window.take(key)) times.push(clock.ms);
    }
    for (const times of taken.values()) expect(mostIn(times, 1_600)).toBeLessThanOrEqual(4);
  }
});

test("SlidingWindow: keys whose window is empty make room for new ones", () => {
  const { clock, window } = open({ count: 1, keysMax: 4, sharedMax: 1 });
  for (const key of ["a", "b", "c", "d"]) window.take(key);
  expect([window.take("e"), window.take("f")]).toEqual([true, false]);
  clock.ms += 1_700;
  expect(["e", "f", "g", "h"].map((key) => window.take(key))).toEqual([true, true, true, true]);
  expect(window.keys).toBe(4);
});

test("SlidingWindow.giveBack takes back what was counted then, and nothing that was not", () => {
  const { clock, window } = open({ count: 3, windowMs: 1_600 });
  const first = clock.ms;
  window.take("k");
  clock.ms += 500;
  window.take("k");
  window.giveBack("k", clock.ms - 250);
  expect(window.remaining("k")).toBe(1);
  window.giveBack("k", first);
  window.giveBack("k", first);
  expect(window.remaining("k")).toBe(2);
  clock.ms += 1_700;
  window.giveBack("k", first + 500);
  expect(window.remaining("k")).toBe(3);
  // 17 parts later the ring is at the same place again.
  window.take("k");
  window.giveBack("k", clock.ms - 1_700);
  expect(window.remaining("k")).toBe(2);
  window.giveBack("nobody", clock.ms);
  expect(window.remaining("nobody")).toBe(3);
});
