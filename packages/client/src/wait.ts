/** What the client takes from outside itself, so that tests can stand in for it. */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  now(): number;
  /** Resolves after `ms`, or rejects with the signal's reason. */
  wait(ms: number, signal?: AbortSignal): Promise<void>;
}

export const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  wait: (ms, signal) =>
    new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, ms);
      signal?.addEventListener("abort", onAbort, { once: true });
    }),
};

/** First pause before a second try, in milliseconds; each further one is twice as long. */
const BACKOFF_MS = 200;
const BACKOFF_MS_MAX = 10_000;

/** Longest wait that a registry may ask for by Retry-After, in seconds; a longer one is the caller's to decide. */
export const RETRY_AFTER_SECONDS_MAX = 60;

/** How long to wait before try `attempt` (1: the second), in milliseconds: between half and the whole of the pause. */
export function backoffMs(attempt: number): number {
  const pause = Math.min(BACKOFF_MS * 2 ** (attempt - 1), BACKOFF_MS_MAX);
  const [random = 0] = crypto.getRandomValues(new Uint16Array(1));
  return pause / 2 + (pause / 2) * (random / 0xffff);
}

/** Seconds of a Retry-After header (RFC 9110 section 10.2.3), or null; `date` is the answer's own Date. */
export function parseRetryAfter(header: string | null, date: string | null): number | null {
  if (header === null) return null;
  if (/^\d{1,9}$/.test(header)) return Number(header);
  const seconds = (Date.parse(header) - Date.parse(date ?? "")) / 1_000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : null;
}
