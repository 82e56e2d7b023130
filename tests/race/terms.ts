/** Loops are short in the test command and long on request. */
export const LONG = process.env.STOWAGE_LONG === "1";

/** Another one each time, so that the short loops add up over many runs; set it to run one again. */
export const SEED = Number(process.env.STOWAGE_SEED ?? Date.now() % 1_000_000);

/** What the server promises, in milliseconds. Short, so that each of them ends many times in a run. */
export interface Terms {
  readonly leaseMs: number;
  readonly graceMs: number;
  readonly undoMs: number;
  readonly untaggedMs: number;
}

export const TERMS: Terms = { leaseMs: 1_500, graceMs: 600, undoMs: 300, untaggedMs: 1_000 };

/** Arguments of a server that keeps to the terms. */
export function serverArgs({ leaseMs, graceMs, undoMs, untaggedMs }: Terms): readonly string[] {
  return [
    ...["--gc-interval", "100ms", "--gc-pause", "0ms"],
    ...["--gc-lease", `${leaseMs}ms`, "--gc-grace", `${graceMs}ms`],
    ...["--undo-time", `${undoMs}ms`, "--gc-untagged", `${untaggedMs}ms`],
  ];
}

/**
 * Longest time from the last request until everything unreachable is gone (G7), if the machine is not slow: an index
 * without a tag goes, then its children without it, then what referred to those; then undo time, a lease, the grace.
 * Nothing goes before a lease has passed.
 */
export function settleMs({ leaseMs, graceMs, undoMs, untaggedMs }: Terms): number {
  return 3 * Math.max(untaggedMs, leaseMs) + undoMs + leaseMs + graceMs;
}

/** Figures of a run, for whoever reads the output of the test command. */
export function say(line: string): void {
  process.stderr.write(`>>> race: ${line}\n`);
}
