/** A clock that stands until it is told to go, and wakes on the way whom it should. */
export class FakeClock {
  #now: number;
  #alarms: { readonly at: number; readonly wake: () => void }[] = [];

  constructor(startMs = 0) {
    this.#now = startMs;
  }

  readonly now = (): number => this.#now;

  /** Alarms that are set. */
  get alarms(): number {
    return this.#alarms.length;
  }

  readonly wakeAfter = (ms: number, wake: () => void): (() => void) => {
    const alarm = { at: this.#now + ms, wake };
    this.#alarms.push(alarm);
    return () => {
      this.#alarms = this.#alarms.filter((other) => other !== alarm);
    };
  };

  /** Goes on and wakes nobody yet, as a busy machine does. */
  skip(ms: number): void {
    this.#now += ms;
  }

  /** Goes on, alarm by alarm; after each, what it woke has its turn. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const next = this.#alarms.toSorted((a, b) => a.at - b.at).find(({ at }) => at <= end);
      if (next === undefined) break;
      this.#alarms = this.#alarms.filter((other) => other !== next);
      this.#now = Math.max(this.#now, next.at);
      next.wake();
      await settled();
    }
    this.#now = end;
    await settled();
  }
}

/** Lets everything that is ready have its turn. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
