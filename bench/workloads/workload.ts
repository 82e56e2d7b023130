import type { Target } from "../peers.ts";

/** One row of the table. */
export interface Workload {
  /** What `--only` names. */
  readonly name: string;
  readonly unit: "MiB/s" | "requests/s" | "images/s" | "tags/s" | "MiB" | "ms";
  readonly better: "higher" | "lower";
  /** Ratio that is wanted, by name of the peer. */
  readonly goals: Readonly<Record<string, number>>;
  /** Whether a server of plain files can do it too. */
  readonly onStatic: boolean;
  /** Runs once for each target, before the first round; not measured. */
  prepare(target: Target): Promise<void>;
  /** Runs once for each target and round. Null when it cannot be said of this target. */
  run(target: Target): Promise<number | null>;
}

export interface WorkloadOptions {
  /** Folder of files to push; the static server serves it. */
  readonly filesFolder: string;
  readonly bigMiB: number;
  /** Differs from run to run, so that a registry that outlives the run gets new content each time. */
  readonly seed: number;
}
