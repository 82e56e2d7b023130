import type { TokenUses } from "../auth/token-uses.ts";
import type { TokenMetadata } from "../metadata/metadata.ts";
import { describeError, type Log } from "../observe/log.ts";
import { startPeriodic } from "./periodic.ts";

/** Uses are written down, and ended tokens forgotten, this often, in milliseconds. */
const INTERVAL_MS = 60_000;

/** Most tokens that one transaction forgets. */
const BATCH_MAX = 500;

export interface TokensJob {
  readonly uses: TokenUses;
  readonly tokens: TokenMetadata;
  readonly log: Log;
}

/** Writes down when access tokens were used, also at the end, and forgets those that have ended. */
export function startKeepingTokens({ uses, tokens, log }: TokensJob): AsyncDisposable {
  const job = startPeriodic({
    name: "keeping access tokens",
    intervalMs: INTERVAL_MS,
    log,
    async run(signal) {
      await uses.flush();
      while (!signal.aborted && (await tokens.expire(BATCH_MAX)) === BATCH_MAX);
    },
  });
  return {
    async [Symbol.asyncDispose]() {
      await job[Symbol.asyncDispose]();
      await uses
        .flush()
        .catch((error: unknown) =>
          log.warn("uses of tokens were not noted", { error: describeError(error) }),
        );
    },
  };
}
