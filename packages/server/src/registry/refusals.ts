import type { AuditEntry } from "../metadata/metadata.ts";

/** Time in which refusals that are alike become one entry, in milliseconds. */
const MINUTE_MS = 60_000;

/** Kinds that are told apart in a minute; the others become one entry for each action. */
const KINDS_MAX = 600;

interface Gathered {
  readonly first: AuditEntry;
  last: AuditEntry;
  /** How many came after the first. */
  more: number;
}

/**
 * Gathers refusals by the minute, so that nobody fills the disk by being refused: the first of each kind (caller,
 * address, action, repository) is an entry at once, all that follow are one together when the minute is over. Who
 * varies what is refused gets no further than a number of kinds.
 */
export class Refusals {
  readonly #gathered = new Map<string, Gathered>();
  #minute = 0;

  /** Counts the refusal; whether it is the first of its kind in this minute, and to be written for itself. */
  isFirst(entry: AuditEntry): boolean {
    this.#minute = minuteOf(entry.at);
    const key = `${entry.action}\n${entry.caller}\n${entry.address}\n${entry.repository}`;
    const known = this.#gathered.get(key);
    if (known === undefined && this.#gathered.size < KINDS_MAX) {
      this.#gathered.set(key, { first: entry, last: entry, more: 0 });
      return true;
    }
    const gathered = known ?? this.#othersOf(entry);
    gathered.more += entry.count;
    gathered.last = entry;
    return false;
  }

  /** Entries for what was gathered in a minute that is over at `now`. */
  end(now: number): readonly AuditEntry[] {
    if (minuteOf(now) === this.#minute) return [];
    const entries = [...this.#gathered.values()].flatMap(({ first, last, more }) =>
      more === 0 ? [] : [{ ...first, at: last.at, requestId: last.requestId, count: more }],
    );
    this.#gathered.clear();
    this.#minute = minuteOf(now);
    return entries;
  }

  /** The entry of an action for all kinds that are one too many: of whom and what is not known. */
  #othersOf({ action, ...entry }: AuditEntry): Gathered {
    const key = `others ${action}`;
    const known = this.#gathered.get(key);
    if (known !== undefined) return known;
    const anonymous = { caller: null, credential: null, address: null, userAgent: null };
    const first = { ...entry, ...anonymous, action, repository: null, reference: null, detail: {} };
    const gathered = { first, last: first, more: 0 };
    this.#gathered.set(key, gathered);
    return gathered;
  }
}

function minuteOf(ms: number): number {
  return Math.floor(ms / MINUTE_MS);
}
