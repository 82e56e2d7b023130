import { describeError, type Log } from "../observe/log.ts";

export interface PeriodicJob {
  /** For the log. */
  readonly name: string;
  /** Rest between the end of one run and the start of the next, in milliseconds. */
  readonly intervalMs: number;
  readonly log: Log;
  run(signal: AbortSignal): Promise<void>;
}

/** Runs the job now and again and again until it is disposed, which waits for a run under way. */
export function startPeriodic({ name, intervalMs, log, run }: PeriodicJob): AsyncDisposable {
  const stop = new AbortController();
  const stopped = new Promise<void>((resolve) => {
    stop.signal.addEventListener("abort", () => resolve());
  });
  async function loop(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        await run(stop.signal);
      } catch (error) {
        log.warn(`${name} failed; it is tried again later`, { error: describeError(error) });
      }
      const pause = Promise.withResolvers<void>();
      const timer = setTimeout(pause.resolve, intervalMs);
      await Promise.race([pause.promise, stopped]);
      clearTimeout(timer);
    }
  }
  const running = loop();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}
