/** Longest glob, in characters. */
const GLOB_LENGTH_MAX = 512;

/** A part of a name between two slashes: `**` stands alone in its part. */
const PART = /^(?:\*\*|(?!.*\*\*)[a-z0-9._*?-]+)$/;

/** What a glob looks like, for messages. */
export const REPOSITORY_GLOB_WANTED = `a repository name of at most ${GLOB_LENGTH_MAX} characters, in which ? is a character, * a part or a piece of one, and ** between slashes any number of parts`;

/**
 * Whether a repository's name matches the glob; null when it is none. Not a regular expression: names come from
 * whoever may push, and a few stars can keep a backtracking engine busy for years. This takes at most as many steps as
 * glob times name have characters.
 */
export function compileRepositoryGlob(glob: string): ((repository: string) => boolean) | null {
  if (glob.length > GLOB_LENGTH_MAX) return null;
  const parts = glob.split("/");
  if (!parts.every((part) => PART.test(part))) return null;
  if (!/[*?]/.test(glob)) return (repository) => repository === glob;
  const folder = folderOf(glob);
  if (folder === "") return () => true;
  if (folder !== null) return (repository) => repository === folder || repository.startsWith(`${folder}/`);
  return (repository) => matchesAll(parts, repository.split("/"), { star: "**", matches: matchesPart });
}

/** Whether matching takes one comparison; others take up to as many steps as glob times name have characters. */
export function isQuickGlob(glob: string): boolean {
  return !/[*?]/.test(glob) || folderOf(glob) !== null;
}

/** What `folder/**` is for; empty for `**`, null for other globs. */
function folderOf(glob: string): string | null {
  if (glob === "**") return "";
  const folder = glob.endsWith("/**") ? glob.slice(0, -"/**".length) : "";
  return folder === "" || /[*?]/.test(folder) ? null : folder;
}

function matchesPart(pattern: string, part: string): boolean {
  return matchesAll(pattern, part, {
    star: "*",
    matches: (wanted, char) => wanted === "?" || wanted === char,
  });
}

interface Wildcards {
  /** Stands for any number of items. */
  readonly star: string;
  matches(pattern: string, item: string): boolean;
}

/** Only the last star has to be tried again: what an earlier one could take more, the last can take as well. */
function matchesAll(
  patterns: ArrayLike<string>,
  items: ArrayLike<string>,
  { star, matches }: Wildcards,
): boolean {
  let [pattern, item, afterStar, retry] = [0, 0, -1, 0];
  while (item < items.length) {
    const wanted = patterns[pattern];
    if (wanted === star) {
      pattern += 1;
      [afterStar, retry] = [pattern, item];
    } else if (wanted !== undefined && matches(wanted, items[item] ?? "")) {
      pattern += 1;
      item += 1;
    } else if (afterStar >= 0) {
      retry += 1;
      [pattern, item] = [afterStar, retry];
    } else {
      return false;
    }
  }
  while (patterns[pattern] === star) pattern += 1;
  return pattern === patterns.length;
}
