import type { Tag } from "@stowage/oci/tag";
import { RE2JS } from "re2js";

/** Longest pattern, in characters. */
export const TAG_PATTERN_LENGTH_MAX = 512;

/** Longest text of RE2 about what is wrong with a pattern that an answer repeats, in characters. */
const PROBLEM_LENGTH_MAX = 200;

export type TagPattern =
  /** `steps` is the size of the machine that the pattern becomes: the time of a match is in proportion to it. */
  | { readonly ok: true; readonly steps: number; matches(tag: Tag): boolean }
  | { readonly ok: false; readonly problem: string };

/**
 * A regular expression of RE2 (that of Go), which may match anywhere in the tag, as in zot. RE2 never backtracks, so a
 * match takes time in proportion to the tag.
 */
export function compileTagPattern(pattern: string): TagPattern {
  if (pattern.length > TAG_PATTERN_LENGTH_MAX) return { ok: false, problem: "it is too long" };
  try {
    const compiled = RE2JS.compile(pattern);
    return { ok: true, steps: compiled.programSize(), matches: (tag) => compiled.matcher(tag).find() };
  } catch (error) {
    const text = error instanceof Error ? error.message : "it cannot be compiled";
    return { ok: false, problem: text.replace("error parsing regexp: ", "").slice(0, PROBLEM_LENGTH_MAX) };
  }
}

/** Whether a tag matches one of the patterns; every tag matches when there is none. */
export function compileTagPatterns(patterns: readonly string[]): (tag: Tag) => boolean {
  const compiled = patterns.map(compileTagPattern);
  return (tag) => compiled.length === 0 || compiled.some((pattern) => pattern.ok && pattern.matches(tag));
}
