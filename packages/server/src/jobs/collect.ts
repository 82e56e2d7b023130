import type { Log } from "../observe/log.ts";
import type { Collector } from "../registry/collect-garbage.ts";
import { startPeriodic } from "./periodic.ts";

export interface CollectJob {
  readonly collector: Collector;
  readonly intervalMs: number;
  readonly log: Log;
}

/** Rest between two comparisons of all objects with the metadata, in milliseconds. */
const SWEEP_INTERVAL_MS = 24 * 3_600_000;

/** Looks at each start, and daily, for what a crash may have left. */
export function startSweeping({ collector, log }: Omit<CollectJob, "intervalMs">): AsyncDisposable {
  return startPeriodic({
    name: "looking for lost objects",
    intervalMs: SWEEP_INTERVAL_MS,
    log,
    async run(signal) {
      const objects = await collector.sweep(signal);
      if (objects > 0) log.warn("objects without metadata will be deleted", { objects });
    },
  });
}

/** Keeps the collector running; what it did is logged when it did something. */
export function startCollecting({ collector, intervalMs, log }: CollectJob): AsyncDisposable {
  return startPeriodic({
    name: "collecting garbage",
    intervalMs,
    log,
    async run(signal) {
      const report = await collector.run(signal);
      if (report.pausedMs > 0) {
        log.warn("the clock was set: nothing is collected until leases have had their time", {
          seconds: Math.ceil(report.pausedMs / 1_000),
        });
      } else if (Object.values(report).some((figure) => figure > 0)) {
        log.info("collected garbage", { ...report });
      }
    },
  });
}
