import { RegistryError } from "@stowage/oci/errors";
import type { SlidingWindow } from "./sliding-window.ts";

/** Longest time that a request waits for its turn, in milliseconds. */
const WAIT_MS_MAX = 2_000;

/** Requests that may wait, of one key and in all. */
const WAITING_PER_KEY_MAX = 16;
const WAITING_MAX = 256;

/** Calls `wake` once after `ms`, unless the function that it gives back was called before. */
export type WakeAfter = (ms: number, wake: () => void) => () => void;

/** What of a request waits: its signal is not looked at as long as nothing has to wait. */
export type Abortable = Pick<Request, "signal">;

/** How many wait, over all limits. */
export interface Waiting {
  count: number;
}

export interface WaitingRoomOptions {
  readonly window: SlidingWindow;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number;
  readonly wakeAfter: WakeAfter;
  readonly waiting: Waiting;
  /** Headers of the refusal, beside Retry-After. */
  readonly headersOf: (key: string) => Readonly<Record<string, string>>;
}

interface Waiter {
  readonly until: number;
  readonly enter: () => void;
  readonly refuse: (error: RegistryError) => void;
}

interface Queue {
  readonly waiters: Waiter[];
  cancel: () => void;
}

/**
 * Lets requests in as their window allows. One that is over by little waits: some clients take a 429 for a failure, or
 * repeat the request at once. Who waits is let in in order, and nobody of the same key overtakes.
 */
export class WaitingRoom {
  readonly #options: WaitingRoomOptions;
  readonly #queues = new Map<string, Queue>();

  constructor(options: WaitingRoomOptions) {
    this.#options = options;
  }

  /** Null: come in. Otherwise a promise of that. @throws RegistryError TOOMANYREQUESTS, also by the promise */
  enter(key: string, request: Abortable): Promise<void> | null {
    const { window, waiting } = this.#options;
    const ahead = this.#queues.get(key)?.waiters.length ?? 0;
    if (ahead === 0 && window.take(key)) return null;
    const wait = window.waitFor(key, ahead + 1);
    const isFull = ahead >= WAITING_PER_KEY_MAX || waiting.count >= WAITING_MAX;
    if (wait > WAIT_MS_MAX || isFull) throw this.#refusal(key);
    return this.#wait(key, request.signal);
  }

  async #wait(key: string, signal: AbortSignal): Promise<void> {
    const { waiting, monotonic } = this.#options;
    if (signal.aborted) throw this.#refusal(key);
    const { promise, resolve: enter, reject: refuse } = Promise.withResolvers<void>();
    const waiter = { until: monotonic() + WAIT_MS_MAX, enter, refuse };
    const queue = this.#queues.get(key) ?? { waiters: [], cancel: () => undefined };
    this.#queues.set(key, queue);
    queue.waiters.push(waiter);
    waiting.count += 1;
    const leave = () => {
      const at = queue.waiters.indexOf(waiter);
      if (at !== -1) queue.waiters.splice(at, 1);
      this.#arm(key, queue);
      refuse(this.#refusal(key));
    };
    signal.addEventListener("abort", leave, { once: true });
    this.#arm(key, queue);
    try {
      await promise;
    } finally {
      waiting.count -= 1;
      signal.removeEventListener("abort", leave);
    }
  }

  /** Sets the clock for the first of the queue, or ends the queue. */
  #arm(key: string, queue: Queue): void {
    queue.cancel();
    const [first] = queue.waiters;
    if (first === undefined) {
      this.#queues.delete(key);
      return;
    }
    const { window, monotonic, wakeAfter } = this.#options;
    const wait = Math.min(window.waitFor(key, 1), first.until - monotonic());
    queue.cancel = wakeAfter(Math.max(0, Math.ceil(wait)), () => this.#wake(key, queue));
  }

  #wake(key: string, queue: Queue): void {
    const { window, monotonic } = this.#options;
    for (const waiter of [...queue.waiters]) {
      if (window.take(key)) waiter.enter();
      else if (waiter.until <= monotonic()) waiter.refuse(this.#refusal(key));
      else break;
      queue.waiters.shift();
    }
    this.#arm(key, queue);
  }

  #refusal(key: string): RegistryError {
    return tooManyRequests(this.#options.window.waitFor(key, 1), this.#options.headersOf(key));
  }
}

/** The refusal of what may come again in `waitMs`, in whole seconds (RFC 9110 section 10.2.3). */
export function tooManyRequests(
  waitMs: number,
  headers: Readonly<Record<string, string>> = {},
  what = "too many requests",
): RegistryError {
  const seconds = Math.max(1, Math.ceil(waitMs / 1_000));
  return new RegistryError("TOOMANYREQUESTS", {
    message: `${what}; try again in ${seconds} s`,
    headers: { ...headers, "Retry-After": String(seconds) },
  });
}
