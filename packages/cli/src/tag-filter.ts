import { parseDuration } from "@stowage/server/config/duration";
import { compileTagGlobs } from "@stowage/server/registry/tag-glob";
import { type Arguments, UsageError } from "./arguments.ts";

/** What --include and --exclude leave. @throws UsageError */
export function filterOf(args: Arguments): (name: string) => boolean {
  const globsOf = (option: string) => {
    const globs = args.all(option);
    try {
      return compileTagGlobs(globs);
    } catch (error) {
      throw new UsageError(`--${option}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const isIncluded = args.has("include") ? globsOf("include") : () => true;
  const isExcluded = globsOf("exclude");
  return (name) => isIncluded(name) && !isExcluded(name);
}

/** The time that --since says, in milliseconds; null without it. @throws UsageError */
export function sinceOf(args: Arguments, now: number): number | null {
  const text = args.get("since");
  if (text === null) return null;
  const ms = parseDuration(text);
  const at = ms === null ? Date.parse(/^\d{4}-\d{2}-\d{2}(?:T|$)/.test(text) ? text : "") : now - ms;
  if (!Number.isNaN(at)) return at;
  throw new UsageError(`--since is "${text}"; wanted a time such as 24h, 7d or 2026-01-31T00:00:00Z`);
}
