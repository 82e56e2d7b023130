/** Violations whose text is kept; the others are only counted. */
const TEXTS_MAX = 20;

export type Violation =
  /** MANIFEST_BLOB_UNKNOWN for content that was promised. */
  | "broken-promise"
  /** A manifest that is there while its content is not. */
  | "dangling"
  | "wrong-bytes"
  /** An answer that must not come, above all 5xx. */
  | "bad-answer";

/** What happened in a run: events by name, and what must never happen. */
export class Score {
  readonly #events = new Map<string, number>();
  readonly #violations = new Map<Violation, number>();
  /** The first of the violations, for people. */
  readonly texts: string[] = [];

  count(event: string, times = 1): void {
    this.#events.set(event, this.of(event) + times);
  }

  of(event: string): number {
    return this.#events.get(event) ?? 0;
  }

  violate(kind: Violation, text: string): void {
    this.#violations.set(kind, this.violations(kind) + 1);
    if (this.texts.length < TEXTS_MAX) this.texts.push(`${kind}: ${text}`);
  }

  violations(kind: Violation): number {
    return this.#violations.get(kind) ?? 0;
  }

  /** Every figure in one line. */
  toString(): string {
    const events = [...this.#events].sort(([a], [b]) => (a < b ? -1 : 1));
    const kinds = ["broken-promise", "dangling", "wrong-bytes", "bad-answer"] as const;
    return [
      ...events.map(([event, times]) => `${event} ${times}`),
      ...kinds.map((kind) => `${kind} ${this.violations(kind)}`),
    ].join(", ");
  }
}

/** When something was ended that had been promised: content by a deletion, the server by a kill. */
export class Endings {
  readonly #until = new Map<string, number>();

  /** Notes that `what` is being ended while `action` runs, whatever becomes of it. */
  async during<T>(what: string, action: () => Promise<T>): Promise<T> {
    this.#until.set(what, Number.POSITIVE_INFINITY);
    try {
      return await action();
    } finally {
      this.#until.set(what, Date.now());
    }
  }

  /** Whether `what` was being ended at `time` or later. */
  since(what: string, time: number): boolean {
    return (this.#until.get(what) ?? 0) >= time;
  }
}
