import type { JudgedTag } from "../metadata/metadata.ts";
import type { CompiledKeepRule, RepositoryPolicy } from "./policies.ts";

/** Why a tag is not kept. */
export type DeleteReason = "matches no pattern" | "meets no rule";

interface Moment {
  readonly at: number;
  readonly tag: string;
}

/** The newest `count` of the moments that go by, with memory for twice as many. */
class Newest {
  readonly #count: number;
  #kept: Moment[] = [];

  constructor(count: number) {
    this.#count = count;
  }

  add(moment: Moment): void {
    if (this.#count === 0) return;
    this.#kept.push(moment);
    if (this.#kept.length >= 2 * this.#count) this.#trim();
  }

  /** Whether the moment is one of the newest; once all have gone by. */
  has(moment: Moment): boolean {
    if (this.#count === 0) return false;
    this.#trim();
    const oldest = this.#kept.at(-1);
    return oldest !== undefined && newestFirst(moment, oldest) <= 0;
  }

  #trim(): void {
    if (this.#kept.length <= this.#count && isSorted(this.#kept)) return;
    this.#kept = this.#kept.sort(newestFirst).slice(0, this.#count);
  }
}

function newestFirst(a: Moment, b: Moment): number {
  if (a.at !== b.at) return b.at - a.at;
  if (a.tag === b.tag) return 0;
  return a.tag < b.tag ? 1 : -1;
}

function isSorted(moments: readonly Moment[]): boolean {
  return moments.every((moment, at) => {
    const next = moments[at + 1];
    return next === undefined || newestFirst(moment, next) <= 0;
  });
}

const pushOf = ({ pushedAt, tag }: JudgedTag): Moment => ({ at: pushedAt, tag });

/** Later than any push, in milliseconds since 1970 (ECMAScript: the last moment that a Date can be). */
const END_OF_TIME = 8.64e15;

/** Tags that were never pulled come after all that were, in the order of their pushes. */
const pullOf = ({ pulledAt, pushedAt, tag }: JudgedTag): Moment => ({
  at: pulledAt ?? pushedAt - END_OF_TIME,
  tag,
});

/**
 * Judges the tags of one repository by its policy, in two passes: every tag is shown with `see`, then each is asked for
 * with `reasonToDelete`. A tag belongs to the first rule whose patterns it matches; within a rule one reason to keep it
 * is enough.
 */
export class TagJudge {
  readonly #rules: readonly {
    readonly rule: CompiledKeepRule;
    readonly pushed: Newest;
    readonly pulled: Newest;
  }[];
  readonly #now: number;

  constructor(policy: RepositoryPolicy, now: number) {
    this.#now = now;
    this.#rules = policy.keepTags.map((rule) => ({
      rule,
      pushed: new Newest(rule.pushedCount),
      pulled: new Newest(rule.pulledCount),
    }));
  }

  see(judged: JudgedTag): void {
    const found = this.#rules.find(({ rule }) => rule.matches(judged.tag));
    found?.pushed.add(pushOf(judged));
    found?.pulled.add(pullOf(judged));
  }

  /** Null: the tag is kept. */
  reasonToDelete(judged: JudgedTag): DeleteReason | null {
    // Without a rule about tags all of them are kept.
    if (this.#rules.length === 0) return null;
    const found = this.#rules.find(({ rule }) => rule.matches(judged.tag));
    if (found === undefined) return "matches no pattern";
    const { rule, pushed, pulled } = found;
    const isWithin = (at: number | null, span: number | null) =>
      span !== null && at !== null && this.#now - at <= span;
    const hasRules =
      rule.pushedCount + rule.pulledCount > 0 || rule.pushedWithinMs !== null || rule.pulledWithinMs !== null;
    const isKept =
      !hasRules ||
      pushed.has(pushOf(judged)) ||
      pulled.has(pullOf(judged)) ||
      isWithin(judged.pushedAt, rule.pushedWithinMs) ||
      isWithin(judged.pulledAt, rule.pulledWithinMs) ||
      // A new tag has its time to be pulled for the first time, as in zot.
      isWithin(judged.pushedAt, rule.pulledWithinMs);
    return isKept ? null : "meets no rule";
  }
}
