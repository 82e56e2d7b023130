import type { Log } from "../observe/log.ts";
import type { Scrubber } from "../registry/scrub.ts";
import { startPeriodic } from "./periodic.ts";

/** Rest between two looks for blobs whose time has come, in milliseconds. */
const SCRUB_LOOK_MS = 10 * 60_000;

/** Verifies blobs as their time comes, so that the work is spread over the interval. */
export function startScrubbing({
  scrubber,
  log,
}: {
  readonly scrubber: Scrubber;
  readonly log: Log;
}): AsyncDisposable {
  const job = startPeriodic({
    name: "scrubbing",
    intervalMs: SCRUB_LOOK_MS,
    log,
    async run(signal) {
      const { blobs, bytes, findings } = await scrubber.run(signal, { all: false });
      if (findings > 0) log.error("blobs are damaged and were taken out of sight", { findings });
      if (blobs > 0) log.info("scrubbed", { blobs, bytes, findings });
    },
  });
  return {
    async [Symbol.asyncDispose]() {
      await scrubber.stop();
      await job[Symbol.asyncDispose]();
    },
  };
}
