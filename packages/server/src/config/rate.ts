import { parseDuration } from "./duration.ts";

/** What a rate looks like, for messages. */
export const RATE_WANTED = "a number and a time such as 50/s or 100/6h, from 1/30d to 1000000/s";

const COUNT_MAX = 1_000_000;

/** Shortest and longest window, in milliseconds. */
const WINDOW_MS_MIN = 1_000;
const WINDOW_MS_MAX = 30 * 24 * 3_600_000;

/** How much of something may happen in any window of that length. */
export interface Rate {
  readonly count: number;
  readonly windowMs: number;
}

/** Reads `100/6h`; a unit alone is one of it (`50/s`). Null when it is no rate. */
export function parseRate(text: string): Rate | null {
  const [, count = "", time = ""] = /^(\d{1,7})\/(\w{1,12})$/.exec(text) ?? [];
  const windowMs = parseDuration(/^\d/.test(time) ? time : `1${time}`);
  if (windowMs === null || windowMs < WINDOW_MS_MIN || windowMs > WINDOW_MS_MAX) return null;
  return Number(count) >= 1 && Number(count) <= COUNT_MAX ? { count: Number(count), windowMs } : null;
}
