import { RegistryError } from "@stowage/oci/errors";
import { quote } from "@stowage/oci/reference";
import picomatch from "picomatch";

/** Longest pattern, in characters. */
const GLOB_LENGTH_MAX = 128;

/**
 * Most stars of a pattern. A pattern becomes a regular expression that backtracks: with a few stars and a tag's 128
 * characters it is done in a millisecond whatever the tag, with many it would never be.
 */
const GLOB_STARS_MAX = 3;

/** What tags and globs are made of: no parentheses, so no group can be repeated. */
const GLOB = /^[A-Za-z0-9_.\-*?!{},[\]^]+$/;

/**
 * Whether a tag matches one of the globs: `*`, `?`, `[a-z]`, `{a,b}`, and `!` in front for the opposite.
 * @throws RegistryError REQUEST_INVALID
 */
export function compileTagGlobs(globs: readonly string[]): (tag: string) => boolean {
  const matchers = globs.map((glob) => {
    const stars = glob.split("*").length - 1;
    if (glob.length > GLOB_LENGTH_MAX || stars > GLOB_STARS_MAX || !GLOB.test(glob)) {
      throw new RegistryError("REQUEST_INVALID", {
        message: `invalid pattern ${quote(glob)}: wanted at most ${GLOB_LENGTH_MAX} characters of tags, ?, [], {,} and at most ${GLOB_STARS_MAX} *`,
      });
    }
    return picomatch(glob, { dot: true, noextglob: true, noglobstar: true });
  });
  return (tag) => matchers.some((matches) => matches(tag));
}
