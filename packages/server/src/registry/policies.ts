import { RegistryError } from "@stowage/oci/errors";
import { quote } from "@stowage/oci/reference";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Tag } from "@stowage/oci/tag";
import { z } from "zod";
import { compileRepositoryGlob, REPOSITORY_GLOB_WANTED } from "@stowage/oci/repository-glob";
import { compileTagPattern, compileTagPatterns, TAG_PATTERN_LENGTH_MAX } from "./tag-patterns.ts";

/** Limits of the document, so that judging stays quick whatever it says. */
const POLICIES_MAX = 100;
const PATTERNS_MAX = 100;
const COUNT_MAX = 10_000;

/**
 * Most steps of the machines that all patterns of the document become; a common pattern has about ten. Each of them may
 * be taken for each of a tag's 128 characters: as many as this keep a push waiting for 40 ms in the worst case.
 */
const PATTERN_STEPS_MAX = 5_000;

/** Problems that an answer names. */
const PROBLEMS_SHOWN_MAX = 20;

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

/** A regular expression of RE2, which may match anywhere in the tag; `checkPatterns` looks whether it is one. */
const Pattern = z.string().max(TAG_PATTERN_LENGTH_MAX);

const Glob = z
  .string()
  .refine((text) => compileRepositoryGlob(text) !== null, `wanted ${REPOSITORY_GLOB_WANTED}`);

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

const Document = z.strictObject({
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
});

/** The policies of a registry, in zot's grammar of retention and with tags that are set once. */
export const PoliciesSchema = Document.superRefine(checkPatterns).meta({
  id: "Policies",
  description: "Which tags are kept, and which are set once.",
});

export type Policies = z.infer<typeof PoliciesSchema>;
export type KeepRule = z.infer<typeof KeepTags>;

/** What a retention policy says of one repository. */
export interface RepositoryPolicy {
  /** Its place among the policies, from 0. */
  readonly at: number;
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
  const issues = parsed.error.issues.slice(0, PROBLEMS_SHOWN_MAX);
  const problems = issues.map(({ path, message }) =>
    path.length > 0 ? `${path.join(".")}: ${message}` : message,
  );
  throw new RegistryError("REQUEST_INVALID", { message: `invalid policies: ${problems.join("; ")}` });
}

function compilePolicies(document: Policies): CompiledPolicies {
  const policies = document.retention.policies.map((policy, at) => ({
    isFor: compileGlobs(policy.repositories),
    policy: { ...policy, at, keepTags: policy.keepTags.map(compileKeepRule) },
  }));
  const immutable = document.immutableTags.map(({ repositories, patterns }) => ({
    isFor: compileGlobs(repositories),
    matches: compileTagPatterns(patterns),
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

function compileGlobs(globs: readonly string[]): (repository: RepositoryName) => boolean {
  const compiled = globs.map(compileRepositoryGlob);
  return (repository) => compiled.some((matches) => matches?.(repository) === true);
}

function compileKeepRule(rule: KeepRule): CompiledKeepRule {
  return {
    matches: compileTagPatterns(rule.patterns),
    pushedCount: rule.mostRecentlyPushedCount,
    pulledCount: rule.mostRecentlyPulledCount,
    pushedWithinMs: rule.pushedWithin === undefined ? null : parseSpan(rule.pushedWithin),
    pulledWithinMs: rule.pulledWithin === undefined ? null : parseSpan(rule.pulledWithin),
  };
}

/** Compiles pattern after pattern, and stops where together they would become too slow. */
function checkPatterns(document: z.infer<typeof Document>, context: z.RefinementCtx): void {
  let steps = 0;
  for (const { pattern, path } of patternsOf(document)) {
    const compiled = compileTagPattern(pattern);
    if (!compiled.ok) {
      const message = `${quote(pattern)} is no regular expression of RE2: ${compiled.problem}`;
      context.addIssue({ code: "custom", path: [...path], message });
      continue;
    }
    steps += compiled.steps;
    if (steps <= PATTERN_STEPS_MAX) continue;
    const message = `up to here all patterns together have ${steps} steps; wanted at most ${PATTERN_STEPS_MAX}: use fewer or simpler ones`;
    context.addIssue({ code: "custom", path: [...path], message });
    return;
  }
}

interface PlacedPattern {
  readonly pattern: string;
  readonly path: readonly (string | number)[];
}

function* patternsOf({
  retention,
  immutableTags,
}: z.infer<typeof Document>): Generator<PlacedPattern, void, void> {
  const lists = [
    ...retention.policies.flatMap(({ keepTags }, policy) =>
      keepTags.map(({ patterns }, rule) => ({
        patterns,
        path: ["retention", "policies", policy, "keepTags", rule, "patterns"],
      })),
    ),
    ...immutableTags.map(({ patterns }, at) => ({ patterns, path: ["immutableTags", at, "patterns"] })),
  ];
  for (const { patterns, path } of lists) {
    for (const [at, pattern] of patterns.entries()) yield { pattern, path: [...path, at] };
  }
}
