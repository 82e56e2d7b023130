/** What a duration looks like, for messages. */
export const DURATION_WANTED = "a time such as 500ms, 30s, 10m, 24h or 7d";

const UNITS_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Longest duration that is accepted: ten years, in milliseconds. */
const DURATION_MS_MAX = 3_650 * UNITS_MS.d;

/** Milliseconds of a duration such as `10m`, or null. */
export function parseDuration(text: string): number | null {
  const [, count = "", unit = ""] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? [];
  if (count === "") return null;
  const ms = Number(count) * UNITS_MS[unit as keyof typeof UNITS_MS];
  return ms <= DURATION_MS_MAX ? ms : null;
}
