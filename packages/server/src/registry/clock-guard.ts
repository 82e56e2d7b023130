/** A difference between the two clocks above this is a jump, in milliseconds. */
export const CLOCK_JUMP_MS = 3_600_000;

export interface Clocks {
  /** The metadata store's clock, in milliseconds since 1970: the one that leases are counted by. */
  readonly wall: number;
  /** A clock that nobody sets, in milliseconds. */
  readonly monotonic: number;
}

/**
 * Notices that the store's clock was set. A jump ahead would make every lease look old, so nothing may be collected
 * until each lease that was given before the jump has had its time by the clock that nobody sets.
 */
export class ClockGuard {
  readonly #leaseMs: number;
  #last: Clocks | null = null;
  #pausedUntil = 0;

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  /** Milliseconds for which nothing may be collected; 0 when all is well. */
  pauseAt(clocks: Clocks): number {
    const last = this.#last;
    this.#last = clocks;
    if (last !== null) {
      const drift = clocks.wall - last.wall - (clocks.monotonic - last.monotonic);
      if (Math.abs(drift) > CLOCK_JUMP_MS) this.#pausedUntil = clocks.monotonic + this.#leaseMs;
    }
    return Math.max(0, this.#pausedUntil - clocks.monotonic);
  }

  /** Somebody has looked at the clock and says that it is right. */
  resume(): void {
    this.#pausedUntil = 0;
  }
}
