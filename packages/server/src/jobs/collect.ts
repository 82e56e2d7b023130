import type { Log } from "../observe/log.ts";
import type { Collector } from "../registry/collect-garbage.ts";
import { startPeriodic } from "./periodic.ts";

export interface CollectJob {
  readonly collector: Collector;
  readonly intervalMs: number;
  readonly log: Log;
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
