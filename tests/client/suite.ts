import type { Case, Surroundings } from "./cases.ts";
import { CONTENT_CASES } from "./content-cases.ts";
import { SIGN_IN_CASES } from "./sign-in-cases.ts";
import { TROUBLE_CASES } from "./trouble-cases.ts";

export const ALL_CASES: readonly Case[] = [...CONTENT_CASES, ...TROUBLE_CASES, ...SIGN_IN_CASES];

export interface Outcome {
  readonly name: string;
  /** Null: it passed. */
  readonly problem: string | null;
}

/** Runs what can be run here, one after another. */
export async function runCases(
  surroundings: Surroundings,
  cases: readonly Case[] = ALL_CASES,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const { name, run } of cases) {
    const problem = await run(surroundings).then(
      () => null,
      (error: unknown) => (error instanceof Error ? `${error.message}\n${error.stack ?? ""}` : String(error)),
    );
    outcomes.push({ name, problem });
  }
  return outcomes;
}
