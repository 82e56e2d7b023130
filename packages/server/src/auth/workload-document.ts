import { z } from "zod";
import {
  CLAIM_PATH_WANTED,
  type ClaimPath,
  type ClaimTest,
  compileClaimPattern,
  PATTERN_LENGTH_MAX,
  parseClaimPath,
} from "./claims.ts";
import type { GRANTED } from "./grants.ts";
import { KEYS_MAX, readJwks } from "./jwk.ts";
import type { VerificationKey } from "./jwt.ts";
import {
  parseRepositoryTemplate,
  REPOSITORY_TEMPLATE_WANTED,
  type RepositoryTemplate,
} from "./repository-template.ts";
import { findOwnerlessRules } from "./shared-issuers.ts";

/** Limits of the document, so that a token is judged quickly. */
const TRUSTS_MAX = 50;
const RULES_MAX = 200;
const CLAIMS_MAX = 20;
const REPOSITORIES_MAX = 100;

/** What a rule may give: rights, and the roles that stand for several. Never administration. */
const MAY = [
  "pull",
  "push",
  "delete",
  "reader",
  "writer",
  "maintainer",
] as const satisfies readonly (typeof GRANTED)[number][];

const Pattern = z.union(
  [z.string().min(1).max(PATTERN_LENGTH_MAX), z.number(), z.boolean()],
  `wanted text of at most ${PATTERN_LENGTH_MAX} characters, a number, true or false`,
);

const ClaimsSchema = z.record(z.string(), Pattern);

const RuleSchema = z.strictObject({
  claims: ClaimsSchema.superRefine((claims, context) => {
    for (const { path, message } of problemsOfClaims(claims)) {
      context.addIssue({ code: "custom", path: [...path], message });
    }
  }),
  repositories: z
    .array(
      z
        .string()
        .refine((text) => parseRepositoryTemplate(text) !== null, `wanted ${REPOSITORY_TEMPLATE_WANTED}`),
    )
    .min(1)
    .max(REPOSITORIES_MAX),
  may: z.array(z.enum(MAY)).min(1).max(MAY.length),
});

interface ClaimsProblem {
  readonly path: readonly string[];
  readonly message: string;
}

function problemsOfClaims(claims: z.output<typeof ClaimsSchema>): readonly ClaimsProblem[] {
  const paths = Object.keys(claims);
  const problems = paths
    .filter((path) => parseClaimPath(path) === null)
    .map((path): ClaimsProblem => ({ path: [path], message: `wanted ${CLAIM_PATH_WANTED}` }));
  if (paths.length > CLAIMS_MAX) problems.push({ path: [], message: `wanted at most ${CLAIMS_MAX} claims` });
  // True of no claims at all as well.
  if (Object.values(claims).every((pattern) => /^[*/:]+$/.test(String(pattern)))) {
    const message =
      "wanted at least one claim that is more than stars: as it is, everybody whom the issuer knows would be let in";
    problems.push({ path: [], message });
  }
  return problems;
}

const KeySet = z.looseObject({ keys: z.array(z.unknown()).min(1).max(KEYS_MAX) });

const TrustSchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, "wanted lower-case letters, digits and dashes"),
    issuer: z.string().min(1).max(1_024),
    audience: z.string().min(1).max(1_024),
    jwks: z
      .union([z.string(), KeySet], `wanted an address, or a key set with 1 to ${KEYS_MAX} keys`)
      .optional(),
    rules: z.array(RuleSchema).min(1).max(RULES_MAX),
  })
  .superRefine(({ issuer, jwks, rules }, context) => {
    const address = jwks === undefined ? issuer : jwks;
    if (typeof address === "string" && !isAskable(address)) {
      const path = [jwks === undefined ? "issuer" : "jwks"];
      context.addIssue({
        code: "custom",
        path,
        message: "wanted an address of https; http is for this machine",
      });
    }
    for (const { at, message } of findOwnerlessRules(issuer, rules)) {
      context.addIssue({ code: "custom", path: ["rules", at, "claims"], message });
    }
  });

export const WorkloadsSchema = z
  .array(TrustSchema)
  .max(TRUSTS_MAX)
  .superRefine((trusts, context) => {
    const [names, issuers] = [new Set<string>(), new Set<string>()];
    for (const [at, { name, issuer, audience }] of trusts.entries()) {
      if (names.has(name)) {
        context.addIssue({
          code: "custom",
          path: [at, "name"],
          message: `${JSON.stringify(name)} is there twice`,
        });
      }
      const whom = JSON.stringify([issuer, audience]);
      if (issuers.has(whom)) {
        const message = "this issuer with this audience is there twice: put the rules together";
        context.addIssue({ code: "custom", path: [at, "issuer"], message });
      }
      names.add(name);
      issuers.add(whom);
    }
  })
  .meta({
    id: "Workloads",
    description: "Issuers whose tokens open the registry without a password, and to what.",
  });

export type WorkloadsDocument = z.output<typeof WorkloadsSchema>;

export interface WorkloadRule {
  readonly claims: readonly { readonly path: ClaimPath; readonly test: ClaimTest }[];
  readonly repositories: readonly RepositoryTemplate[];
  readonly may: readonly string[];
}

/** An issuer that is believed, and what its tokens are good for. */
export interface Workload {
  readonly name: string;
  readonly issuer: string;
  readonly audience: string;
  /** Its keys, the address of its key set, or null: its metadata says where they are. */
  readonly jwks: readonly VerificationKey[] | string | null;
  readonly rules: readonly WorkloadRule[];
}

export type ParsedWorkloads =
  | { readonly ok: true; readonly workloads: readonly Workload[] }
  /** Every one of them, each with its place. */
  | { readonly ok: false; readonly problems: readonly string[] };

/** Reads the configuration of trusted issuers. Unknown keys are problems, like everything that is not understood. */
export async function parseWorkloads(document: unknown): Promise<ParsedWorkloads> {
  const result = WorkloadsSchema.safeParse(document);
  if (!result.success) {
    const problems = result.error.issues.map(({ path, message }) =>
      path.length === 0 ? message : `${path.join(".")}: ${message}`,
    );
    return { ok: false, problems };
  }
  const workloads: Workload[] = [];
  const problems: string[] = [];
  for (const [at, trust] of result.data.entries()) {
    const jwks = typeof trust.jwks === "object" ? await readJwks(trust.jwks) : (trust.jwks ?? null);
    if (Array.isArray(jwks) && jwks.length === 0) problems.push(`${at}.jwks: no key verifies signatures`);
    workloads.push({ ...trust, jwks, rules: trust.rules.map(compileRule) });
  }
  return problems.length === 0 ? { ok: true, workloads } : { ok: false, problems };
}

function compileRule({ claims, repositories, may }: z.output<typeof RuleSchema>): WorkloadRule {
  return {
    claims: Object.entries(claims).map(([path, pattern]) => ({
      // The schema has seen to it that there is a path; at no path are all claims together, which no pattern matches.
      path: parseClaimPath(path) ?? [],
      test: compileClaimPattern(String(pattern)),
    })),
    repositories: repositories.flatMap((text) => parseRepositoryTemplate(text) ?? []),
    may,
  };
}

/** Whether an address may be asked for keys: whoever stands in between could make them up. */
function isAskable(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password, search, hash } = new URL(text);
  if (username !== "" || password !== "" || search !== "" || hash !== "") return false;
  if (protocol === "https:") return true;
  return protocol === "http:" && /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(hostname);
}
