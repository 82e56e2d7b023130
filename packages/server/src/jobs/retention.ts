import { describeError, type Log } from "../observe/log.ts";
import type { Pulls } from "../registry/pulls.ts";
import type { Retention } from "../registry/retention.ts";
import { startPeriodic } from "./periodic.ts";

/** Pulls are written down this often, in milliseconds: what a crash may forget of them. */
const FLUSH_INTERVAL_MS = 60_000;

export interface RetentionJob {
  readonly retention: Retention;
  readonly intervalMs: number;
  readonly log: Log;
}

/** Applies the policies now and then. */
export function startRetaining({ retention, intervalMs, log }: RetentionJob): AsyncDisposable {
  return startPeriodic({
    name: "applying retention policies",
    intervalMs,
    log,
    async run(signal) {
      const { deleted, byPolicy, ...report } = await retention.run(signal, { dryRun: false });
      if (report.pausedMs > 0) {
        log.warn("the clock was set: policies wait until leases have had their time", {
          seconds: Math.ceil(report.pausedMs / 1_000),
        });
      } else if (report.tagsDeleted + report.untaggedDeleted > 0) {
        log.info(report.dryRun ? "retention policies would delete" : "applied retention policies", report);
      }
    },
  });
}

/** Writes down when things were pulled, also at the end. */
export function startNotingPulls({
  pulls,
  log,
}: {
  readonly pulls: Pulls;
  readonly log: Log;
}): AsyncDisposable {
  const job = startPeriodic({
    name: "noting pulls",
    intervalMs: FLUSH_INTERVAL_MS,
    log,
    run: () => pulls.flush(),
  });
  return {
    async [Symbol.asyncDispose]() {
      await job[Symbol.asyncDispose]();
      await pulls
        .flush()
        .catch((error: unknown) => log.warn("pulls were not noted", { error: describeError(error) }));
    },
  };
}
