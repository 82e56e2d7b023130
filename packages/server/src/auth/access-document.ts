import { RegistryError } from "@stowage/oci/errors";
import { compileRepositoryGlob, isQuickGlob, REPOSITORY_GLOB_WANTED } from "@stowage/oci/repository-glob";
import { z } from "zod";
import { EVERYBODY, SIGNED_IN } from "./caller.ts";
import { GRANTED } from "./grants.ts";

/** Limits of the document, so that a request is judged quickly whatever it says. */
const RULES_MAX = 1_000;
const ENTRIES_MAX = 1_000;
const REPOSITORIES_MAX = 100;

/**
 * Globs that are neither a name nor `folder/**`, and characters of all of them: each character may be compared with each
 * of a name. As many as this take a request 10 ms in the worst case.
 */
const SLOW_GLOBS_MAX = 500;
const SLOW_CHARACTERS_MAX = 8_192;

/** Problems that an answer names. */
const PROBLEMS_SHOWN_MAX = 20;

/** What rules name callers by. */
const PRINCIPAL = /^(?:user|robot|group|oidc|certificate|workload):[^\s\p{Cc}]{1,250}$/u;

export const PRINCIPAL_WANTED = `${EVERYBODY}, ${SIGNED_IN}, user:NAME, robot:NAME, group:NAME, oidc:NAME, certificate:NAME or workload:NAME`;

export const Principal = z
  .string()
  .refine(
    (text) => text === EVERYBODY || text === SIGNED_IN || PRINCIPAL.test(text),
    `wanted ${PRINCIPAL_WANTED}`,
  );

const Member = z
  .string()
  .refine(
    (text) => PRINCIPAL.test(text) && !text.startsWith("group:"),
    "wanted user:NAME, robot:NAME or the like",
  );

const GroupName = z.string().regex(/^[^\s\p{Cc}:]{1,200}$/u, "wanted a name without spaces and colons");

export const Repositories = z
  .array(
    z.string().refine((text) => compileRepositoryGlob(text) !== null, `wanted ${REPOSITORY_GLOB_WANTED}`),
  )
  .min(1)
  .max(REPOSITORIES_MAX);

export const May = z.array(z.enum(GRANTED)).min(1).max(GRANTED.length);

/** Rights on repositories, as robots and tokens have them of their own. */
export const GrantSchema = z
  .strictObject({ repositories: Repositories, may: May })
  .meta({ id: "Grant", description: "Repositories, and what may be done with them." });

const Rule = z.strictObject({
  who: z.array(Principal).min(1).max(ENTRIES_MAX),
  repositories: Repositories,
  may: May,
});

export const AccessSchema = z
  .strictObject({
    groups: z
      .record(GroupName, z.array(Member).max(ENTRIES_MAX))
      .default({})
      .meta({ description: "members of a group, besides those that an identity provider names" }),
    rules: z
      .array(Rule)
      .max(RULES_MAX)
      .default([])
      .meta({ description: "what is not allowed by one of them is refused" }),
  })
  .superRefine(({ rules }, context) => checkGlobs(rules, context))
  .meta({ id: "Access", description: "Who may do what with which repositories." });

export type AccessDocument = z.output<typeof AccessSchema>;

/** Several of them, as a robot or a token has. */
export function grantsUpTo(max: number, slowGlobsMax: number) {
  return z
    .array(GrantSchema)
    .max(max)
    .superRefine((grants, context) => checkGlobs(grants, context, slowGlobsMax));
}

function checkGlobs(
  grants: readonly { readonly repositories: readonly string[] }[],
  context: z.RefinementCtx,
  globsMax = SLOW_GLOBS_MAX,
): void {
  const slow = grants.flatMap(({ repositories }) => repositories.filter((glob) => !isQuickGlob(glob)));
  const characters = slow.reduce((sum, glob) => sum + glob.length, 0);
  if (slow.length <= globsMax && characters <= SLOW_CHARACTERS_MAX) return;
  context.addIssue({
    code: "custom",
    message: `${slow.length} globs of ${characters} characters are neither a name nor FOLDER/**; wanted at most ${globsMax} such globs of ${SLOW_CHARACTERS_MAX} characters together`,
  });
}

/** @throws RegistryError REQUEST_INVALID with every problem of the document */
export function parseAccess(document: unknown): AccessDocument {
  const result = AccessSchema.safeParse(document);
  if (result.success) return result.data;
  const problems = result.error.issues
    .slice(0, PROBLEMS_SHOWN_MAX)
    .map(({ path, message }) => (path.length === 0 ? message : `${path.join(".")}: ${message}`));
  throw new RegistryError("REQUEST_INVALID", { message: `invalid access rules: ${problems.join("; ")}` });
}
