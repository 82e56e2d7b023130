/** Longest rest before it is looked whether to stop, in milliseconds. */
const REST_MS_MAX = 1_000;

/** What was not used is kept for this long, in seconds, and no more: after a slow time there is no rush. */
const BURST_SECONDS = 1;

export interface RateLimitOptions {
  /** 0 does not hold back. */
  readonly bytesPerSecond: number;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

/** Holds a reader back to a rate (a token bucket). */
export class RateLimit {
  readonly #options: RateLimitOptions;
  /** Bytes that may pass at once; below 0: bytes that have passed already and are waited for. */
  #credit = 0;
  #countedAt: number;

  constructor(options: RateLimitOptions) {
    this.#options = options;
    this.#countedAt = options.monotonic();
  }

  /** Takes note of `bytes` that have passed; resolves when the next may come, or when `signal` says stop. */
  async passed(bytes: number, signal: AbortSignal): Promise<void> {
    const { bytesPerSecond, sleep } = this.#options;
    if (bytesPerSecond === 0) return;
    this.#refill();
    this.#credit -= bytes;
    while (this.#credit < 0 && !signal.aborted) {
      await sleep(Math.min((-this.#credit / bytesPerSecond) * 1_000, REST_MS_MAX));
      this.#refill();
    }
  }

  #refill(): void {
    const { bytesPerSecond, monotonic } = this.#options;
    const at = monotonic();
    const earned = ((at - this.#countedAt) / 1_000) * bytesPerSecond;
    this.#credit = Math.min(this.#credit + earned, BURST_SECONDS * bytesPerSecond);
    this.#countedAt = at;
  }
}
