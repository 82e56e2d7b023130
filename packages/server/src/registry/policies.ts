import { RegistryError } from "@stowage/oci/errors";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Tag } from "@stowage/oci/tag";
import picomatch from "picomatch";
import { RE2JS } from "re2js";
import { z } from "zod";

/** Limits of the document, so that judging stays quick whatever it says. */
const POLICIES_MAX = 100;
const PATTERNS_MAX = 100;
const PATTERN_LENGTH_MAX = 512;
const COUNT_MAX = 10_000;

const HOUR_MS = 3_600_000;
const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: HOUR_MS, d: 24 * HOUR_MS };

/** Milliseconds of `720h`, `30d` or `1h30m`, or null. */
function parseSpan(text: string): number | null {
  if (!/^(?:\d{1,6}[smhd]){1,4}$/.test(text)) return null;
  return [...text.matchAll(/(\d+)([smhd])/g)].reduce(
    (sum, [, count, unit = ""]) => sum + Number(count) * (UNITS_MS[unit] ?? 0),
    0,
  );
}

const Span = z.string().refine((text) => parseSpan(text) !== null, "wanted a time such as 24h, 30d or 1h30m");

/** RE2 takes time in proportion to the text, so no pattern can stop the server. It may match anywhere in the tag. */
const Pattern = z
  .string()
  .max(PATTERN_LENGTH_MAX)
  .refine((text) => compiles(text), "wanted a regular expression (RE2 syntax)");

const Glob = z
  .string()
  .min(1)
  .max(PATTERN_LENGTH_MAX)
  .refine(
    (text) => /^[a-z0-9._/*?-]+$/.test(text),
    "wanted a repository name, in which *, ** and ? stand for others",
  );

const Count = z.number().int().min(0).max(COUNT_MAX);
const Repositories = z.array(Glob).min(1).max(PATTERNS_MAX);
const Patterns = z.array(Pattern).max(PATTERNS_MAX);

const KeepTags = z.strictObject({
  patterns: Patterns.default([]),
  mostRecentlyPushedCount: Count.default(0),
  mostRecentlyPulledCount: Count.default(0),
  pushedWithin: Span.optional(),
  pulledWithin: Span.optional(),
});

const RetentionPolicy = z.strictObject({
  repositories: Repositories,
  deleteReferrers: z.boolean().default(false),
  deleteUntagged: z.boolean().default(true),
  keepTags: z.array(KeepTags).max(PATTERNS_MAX).default([]),
});

/** The policies of a registry, in zot's grammar of retention and with tags that are set once. */
export const PoliciesSchema = z
  .strictObject({
    retention: z
      .strictObject({
        dryRun: z.boolean().default(false),
        delay: Span.default("24h"),
        policies: z.array(RetentionPolicy).max(POLICIES_MAX).default([]),
      })
      .default({ dryRun: false, delay: "24h", policies: [] }),
    immutableTags: z
      .array(z.strictObject({ repositories: Repositories, patterns: Patterns }))
      .max(POLICIES_MAX)
      .default([]),
  })
  .meta({ id: "Policies", description: "Which tags are kept, and which are set once." });

export type Policies = z.infer<typeof PoliciesSchema>;
export type KeepRule = z.infer<typeof KeepTags>;

/** What a retention policy says of one repository. */
export interface RepositoryPolicy {
  readonly deleteReferrers: boolean;
  readonly deleteUntagged: boolean;
  readonly keepTags: readonly CompiledKeepRule[];
}

export interface CompiledKeepRule {
  matches(tag: Tag): boolean;
  readonly pushedCount: number;
  readonly pulledCount: number;
  readonly pushedWithinMs: number | null;
  readonly pulledWithinMs: number | null;
}

/** Policies that are ready to be asked. */
export interface CompiledPolicies {
  readonly document: Policies;
  readonly dryRun: boolean;
  readonly delayMs: number;
  /** The first policy that names the repository, or null: then everything is kept. */
  policyOf(repository: RepositoryName): RepositoryPolicy | null;
  isImmutable(repository: RepositoryName, tag: Tag): boolean;
}

/** @throws RegistryError REQUEST_INVALID with every problem */
export function parsePolicies(value: unknown): CompiledPolicies {
  const parsed = PoliciesSchema.safeParse(value);
  if (parsed.success) return compilePolicies(parsed.data);
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new RegistryError("REQUEST_INVALID", { message: `invalid policies: ${problems.join("; ")}` });
}

function compilePolicies(document: Policies): CompiledPolicies {
  const policies = document.retention.policies.map((policy) => ({
    isFor: picomatch(policy.repositories),
    policy: { ...policy, keepTags: policy.keepTags.map(compileKeepRule) },
  }));
  const immutable = document.immutableTags.map(({ repositories, patterns }) => ({
    isFor: picomatch(repositories),
    matches: compilePatterns(patterns),
  }));
  return {
    document,
    dryRun: document.retention.dryRun,
    delayMs: parseSpan(document.retention.delay) ?? 0,
    policyOf: (repository) => policies.find(({ isFor }) => isFor(repository))?.policy ?? null,
    isImmutable: (repository, tag) =>
      immutable.some(({ isFor, matches }) => isFor(repository) && matches(tag)),
  };
}

function compileKeepRule(rule: KeepRule): CompiledKeepRule {
  return {
    matches: compilePatterns(rule.patterns),
    pushedCount: rule.mostRecentlyPushedCount,
    pulledCount: rule.mostRecentlyPulledCount,
    pushedWithinMs: rule.pushedWithin === undefined ? null : parseSpan(rule.pushedWithin),
    pulledWithinMs: rule.pulledWithin === undefined ? null : parseSpan(rule.pulledWithin),
  };
}

/** No pattern at all matches every tag. */
function compilePatterns(patterns: readonly string[]): (tag: Tag) => boolean {
  const compiled = patterns.map((pattern) => RE2JS.compile(pattern));
  return (tag) => compiled.length === 0 || compiled.some((pattern) => pattern.matcher(tag).find());
}

function compiles(pattern: string): boolean {
  try {
    RE2JS.compile(pattern);
    return true;
  } catch {
    return false;
  }
}
