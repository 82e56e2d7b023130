/** How slow an upload may be. */
export interface UploadPace {
  /** Milliseconds of waiting for the client after which the rule holds. */
  readonly graceMs: number;
  /** Milliseconds of waiting over which the rate is averaged. */
  readonly windowMs: number;
  readonly bytesPerSecondMin: number;
  /** Seconds without any byte after which the connection is closed. */
  readonly stallSeconds: number;
}

/** A modem is faster; what is slower holds a connection and an upload session for its own sake. */
export const UPLOAD_PACE: UploadPace = {
  graceMs: 30_000,
  windowMs: 30_000,
  bytesPerSecondMin: 1024,
  stallSeconds: 60,
};

/** The window is kept in this many parts: it slides in steps of their length. */
const PARTS = 10;

/**
 * Watches that an upload keeps its pace. Only time spent waiting for the client counts, so a client whose bytes
 * wait for our disk is never too slow.
 */
export class PaceMeter {
  readonly #pace: UploadPace;
  /** Bytes of the parts of the window, the running one last. */
  #parts: number[] = [0];
  #waitedMs = 0;
  #partEndsAt: number;

  constructor(pace: UploadPace) {
    this.#pace = pace;
    this.#partEndsAt = pace.windowMs / PARTS;
  }

  /** Notes that `bytes` came after `waitedMs`; false when the upload is too slow. */
  note(waitedMs: number, bytes: number): boolean {
    const { graceMs, windowMs, bytesPerSecondMin } = this.#pace;
    const partMs = windowMs / PARTS;
    this.#waitedMs += waitedMs;
    const steps = Math.max(0, Math.ceil((this.#waitedMs - this.#partEndsAt) / partMs));
    this.#partEndsAt += steps * partMs;
    for (let step = 0; step < Math.min(steps, PARTS); step++) this.#parts.push(0);
    this.#parts = this.#parts.slice(-PARTS);
    this.#parts.push((this.#parts.pop() ?? 0) + bytes);
    if (this.#waitedMs < graceMs) return true;
    const received = this.#parts.reduce((sum, part) => sum + part, 0);
    return received >= (bytesPerSecondMin * Math.min(this.#waitedMs, windowMs - partMs)) / 1000;
  }
}
