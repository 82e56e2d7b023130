import { type ImageReference, parseImageReference } from "@stowage/client/image-reference";
import { requirePlatform } from "@stowage/client/platform";
import type { Platform } from "@stowage/oci/descriptor";
import { parseTag } from "@stowage/oci/tag";
import { compileTagGlobs } from "@stowage/server/registry/tag-glob";
import semver from "semver";
import { isMap, isScalar, LineCounter, parseDocument, visit } from "yaml";
import { z } from "zod";
import { UsageError } from "../arguments.ts";
import { didYouMean } from "../did-you-mean.ts";

/** Entries of one file, and patterns of one entry. */
const ENTRIES_MAX = 10_000;
const PATTERNS_MAX = 1_000;

/** Longest range of versions, in characters: it is held against every tag. */
const RANGE_LENGTH_MAX = 500;

/** Names of one file that stand for something that was written before: each is looked for in all of it. */
const ALIASES_MAX = 1_000;

/** Problems of one file that are told at once. */
const PROBLEMS_MAX = 20;

/** Which tags of a repository are wanted. */
export interface TagChoice {
  /** Globs, of which one has to fit; none: all. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** A range of versions; other tags do not fit. */
  readonly semver: string | null;
  /** Only so many: the highest versions. */
  readonly latest: number | null;
}

export interface SyncFileEntry {
  readonly source: ImageReference;
  readonly target: ImageReference;
  readonly tags: TagChoice;
  readonly platforms: "all" | readonly Platform[];
  readonly referrers: boolean;
}

const Pattern = z
  .string()
  .min(1)
  .superRefine((text, context) => {
    try {
      compileTagGlobs([text.replace(/^!/, "")]);
    } catch (error) {
      context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
    }
  });
const Patterns = z.array(Pattern).min(1).max(PATTERNS_MAX);

const RepositoryText = z.string().transform((text, context) => {
  const reference = parseImageReference(text);
  if (reference !== null && reference.digest === null) return reference;
  context.addIssue({
    code: "custom",
    message: `"${text}" is no repository; wanted HOST/REPOSITORY, perhaps with a :TAG`,
  });
  return z.NEVER;
});

const PlatformText = z.string().transform((text, context) => {
  try {
    return requirePlatform(text);
  } catch (error) {
    context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
    return z.NEVER;
  }
});

const Tags = z.union([
  Patterns,
  z.strictObject({
    include: Patterns.optional(),
    exclude: Patterns.optional(),
    semver: z
      .string()
      .max(RANGE_LENGTH_MAX)
      .refine((text) => semver.validRange(text) !== null, {
        error: "wanted a range of versions, for example >=1.2",
      })
      .optional(),
    latest: z.int().min(1).max(100_000).optional(),
  }),
]);

const Entry = z.strictObject({
  source: RepositoryText,
  target: RepositoryText,
  tags: Tags.optional(),
  platforms: z.array(PlatformText).min(1).optional(),
  referrers: z.boolean().optional(),
});

/** The file that `stowage sync` reads. */
export const SyncFile = z.array(Entry).min(1).max(ENTRIES_MAX);

/** Reads a file of `stowage sync`. @throws UsageError with everything that is wrong, each with its line and column */
export function parseSyncFile(text: string, name: string): readonly SyncFileEntry[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${name}:${line}:${col}`;
  };
  if (document.errors.length > 0)
    throw problems(document.errors.map(({ pos, message }) => `${at(pos[0])}: ${message}`));
  const odd = oddNodes(document).map(({ offset, message }) => `${at(offset)}: ${message}`);
  if (odd.length > 0) throw problems(odd);
  const result = SyncFile.safeParse(contentOf(document));
  if (!result.success) {
    throw problems(
      result.error.issues
        .flatMap(flatten)
        .map((issue) => `${at(offsetOf(document, issue))}: ${textOf(issue)}`),
    );
  }
  return result.data.map(toEntry);
}

type ParsedEntry = z.infer<typeof Entry>;

function toEntry({ source, target, tags, platforms, referrers }: ParsedEntry): SyncFileEntry {
  const chosen = Array.isArray(tags) ? globsOf(tags) : tags;
  return {
    source,
    target,
    tags: {
      // A tag in the source is the only one that is wanted.
      include: chosen?.include ?? (source.tag === null ? [] : [source.tag]),
      exclude: chosen?.exclude ?? [],
      semver: chosen?.semver ?? null,
      latest: chosen?.latest ?? null,
    },
    platforms: platforms ?? "all",
    referrers: referrers ?? false,
  };
}

/** In a list, `!` in front takes tags out. */
function globsOf(patterns: readonly string[]): {
  readonly include?: readonly string[];
  readonly exclude: readonly string[];
  readonly semver?: undefined;
  readonly latest?: undefined;
} {
  const include = patterns.filter((pattern) => !pattern.startsWith("!"));
  const exclude = patterns.filter((pattern) => pattern.startsWith("!")).map((pattern) => pattern.slice(1));
  return { ...(include.length === 0 ? {} : { include }), exclude };
}

/** The tags that are wanted, of all that there are. */
export function chooseTags(tags: readonly string[], choice: TagChoice): readonly string[] {
  const fits = choice.include.length === 0 ? () => true : compileTagGlobs(choice.include);
  const isOut = compileTagGlobs(choice.exclude);
  // What is none is not even compared: a text of thousands of dots keeps a pattern with three stars busy for hours.
  const chosen = tags.filter(
    (tag) => parseTag(tag) !== null && fits(tag) && !isOut(tag) && isInRange(tag, choice.semver),
  );
  if (choice.latest === null) return chosen;
  return chosen
    .flatMap((tag) => {
      const version = versionOf(tag);
      return version === null ? [] : [{ tag, version }];
    })
    .toSorted((a, b) => semver.rcompare(a.version, b.version))
    .slice(0, choice.latest)
    .map(({ tag }) => tag);
}

function isInRange(tag: string, range: string | null): boolean {
  if (range === null) return true;
  const version = versionOf(tag);
  return version !== null && semver.satisfies(version, range);
}

/** `1.2`, `v1.2.3` and `1.2.3-alpine` are versions; `3.19.1_git` is none. */
function versionOf(tag: string): semver.SemVer | null {
  const [, numbers, rest = ""] = /^v?(\d+(?:\.\d+){0,2})((?:-[0-9A-Za-z.-]+)?)$/.exec(tag) ?? [];
  if (numbers === undefined) return null;
  const full = [...numbers.split("."), "0", "0"].slice(0, 3).map((part) => part.replace(/^0+(?=\d)/, ""));
  return semver.parse(`${full.join(".")}${rest}`);
}

type Issue = z.core.$ZodIssue;
type YamlDocument = ReturnType<typeof parseDocument>;

interface Odd {
  readonly offset: number;
  readonly message: string;
}

/** What the library looks for as well, but by comparing each key of a mapping with all others, and in no time that ends. */
function oddNodes(document: YamlDocument): readonly Odd[] {
  const found: Odd[] = [];
  let aliases = 0;
  visit(document, {
    Alias(_, { range }) {
      if (++aliases <= ALIASES_MAX) return undefined;
      found.push({ offset: range?.[0] ?? 0, message: `more than ${ALIASES_MAX} aliases` });
      return visit.BREAK;
    },
    Map(_, { items }) {
      const keys = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        if (keys.has(key.value))
          found.push({ offset: key.range?.[0] ?? 0, message: "Map keys must be unique" });
        keys.add(key.value);
      }
    },
  });
  return found;
}

/** Anchors that stand for each other without end are refused by the library. @throws UsageError */
function contentOf(document: YamlDocument): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** Of the forms that something may have, the one that was meant: it has the issues that lie deepest. */
function flatten(issue: Issue): readonly Issue[] {
  if (issue.code !== "invalid_union") return [issue];
  const [best] = issue.errors.toSorted((a, b) => depthOf(b) - depthOf(a));
  if (best === undefined || depthOf(best) === 0) return [issue];
  return best.flatMap((inner) => flatten({ ...inner, path: [...issue.path, ...inner.path] }));
}

function depthOf(issues: readonly Issue[]): number {
  return Math.max(0, ...issues.map(({ path, code }) => path.length + (code === "unrecognized_keys" ? 1 : 0)));
}

function textOf(issue: Issue): string {
  const where = issue.path
    .map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`))
    .join("");
  const path = where.replace(/^\./, "");
  if (issue.code === "unrecognized_keys") {
    const [key = ""] = issue.keys;
    const known =
      issue.path.at(-1) === "tags" ? ["include", "exclude", "semver", "latest"] : Object.keys(Entry.shape);
    const meant = didYouMean(key, known);
    return `${path} has an unknown key "${key}"${meant === null ? "" : `; did you mean "${meant}"?`}`;
  }
  return `${path === "" ? "the file" : path}: ${issue.message}`;
}

/** Where in the text something is wrong: the value, the key that nobody knows, or what should have it. */
function offsetOf(document: YamlDocument, issue: Issue): number {
  for (let length = issue.path.length; length >= 0; length--) {
    const path = issue.path.slice(0, length);
    const node: unknown = length === 0 ? document.contents : document.getIn(path, true);
    if (issue.code === "unrecognized_keys" && isMap(node)) {
      const key = node.items
        .map((pair) => pair.key)
        .find((one) => isScalar(one) && one.value === issue.keys[0]);
      if (isScalar(key) && key.range) return key.range[0];
    }
    const range = typeof node === "object" && node !== null && "range" in node ? node.range : null;
    if (Array.isArray(range) && typeof range[0] === "number") return range[0];
  }
  return 0;
}

function problems(all: readonly string[]): UsageError {
  const more = all.length > PROBLEMS_MAX ? [`and ${all.length - PROBLEMS_MAX} more`] : [];
  return new UsageError([...all.slice(0, PROBLEMS_MAX), ...more].join("; "));
}
