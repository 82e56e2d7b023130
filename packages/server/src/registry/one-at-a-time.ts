import { RegistryError } from "@stowage/oci/errors";

/** Runs that wait or are under way at once: each finds nothing that the one before it did not. */
const RUNS_WAITING_MAX = 16;

/** Runs of a job that must not meet: each begins when the one before has ended. */
export class OneAtATime {
  readonly #name: string;
  #running: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** `name` of the job, for messages. */
  constructor(name: string) {
    this.#name = name;
  }

  /** @throws RegistryError TOOMANYREQUESTS when too many wait */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= RUNS_WAITING_MAX) {
      throw new RegistryError("TOOMANYREQUESTS", {
        message: `${RUNS_WAITING_MAX} runs of ${this.#name} wait already; ask again when they are done`,
        headers: { "Retry-After": "60" },
      });
    }
    this.#waiting += 1;
    const next = this.#running.then(work);
    const leave = () => {
      this.#waiting -= 1;
    };
    this.#running = next.then(leave, leave);
    return await next;
  }
}
