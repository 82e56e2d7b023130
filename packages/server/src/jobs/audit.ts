import { describeError, type Log } from "../observe/log.ts";
import type { Audit } from "../registry/audit.ts";
import { startPeriodic } from "./periodic.ts";

/** Entries are written this often, in milliseconds: what a crash may lose of the store's, not of the log's. */
const FLUSH_INTERVAL_MS = 1_000;

/** Refusals alone are written with every so many of these: a commit holds up everybody, and strangers cause refusals. */
const REFUSALS_EVERY = 15;

/** Rest between two looks for entries whose time is over, in milliseconds. */
const EXPIRE_INTERVAL_MS = 3_600_000;

export interface AuditJob {
  readonly audit: Audit;
  readonly log: Log;
}

/** Writes entries as they come, also at the end. */
export function startWritingAudit({ audit, log }: AuditJob): AsyncDisposable {
  let skipped = 0;
  const job = startPeriodic({
    name: "writing audit entries",
    intervalMs: FLUSH_INTERVAL_MS,
    log,
    async run() {
      skipped += 1;
      if (!audit.hasChanges && skipped < REFUSALS_EVERY) return;
      skipped = 0;
      await audit.flush();
    },
  });
  return {
    async [Symbol.asyncDispose]() {
      await job[Symbol.asyncDispose]();
      await audit
        .flush({ isLast: true })
        .catch((error: unknown) => log.warn("audit entries were lost", { error: describeError(error) }));
    },
  };
}

/** Forgets entries as their time comes. */
export function startExpiringAudit({
  audit,
  keepMs,
  log,
}: AuditJob & { readonly keepMs: number }): AsyncDisposable {
  return startPeriodic({
    name: "forgetting audit entries",
    intervalMs: EXPIRE_INTERVAL_MS,
    log,
    async run(signal) {
      const entries = await audit.expire(keepMs, signal);
      if (entries > 0) log.info("forgot audit entries", { entries });
    },
  });
}
