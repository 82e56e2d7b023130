/** Keys that are counted each for itself. */
const KEYS_MAX = 65_536;

/** Counters that keys beyond those share. */
const SHARED_MAX = 4_096;

/**
 * Parts of a window. The counters of a key are one more: whatever moment it is, a whole window lies in them. So the
 * limit holds in every window, to the letter, and a window counts as 1/16 longer than it is at most.
 */
const PARTS = 16;
const COUNTERS = PARTS + 1;

/** Keys that are looked at for one whose window is empty, when there is no room for a new one. */
const PROBES = 8;

export interface WindowOptions {
  /** At most this many in any window. */
  readonly count: number;
  readonly windowMs: number;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number;
  /** Decides which keys share a counter: nobody outside can choose with whom. */
  readonly seed: number;
  /** KEYS_MAX unless a test has less. */
  readonly keysMax?: number;
  /** SHARED_MAX unless a test has less. */
  readonly sharedMax?: number;
}

/**
 * Counts by key, in bounded memory, what happened in the window that ends now. Nothing is forgotten before its time:
 * a key makes room only when its window is empty, and as long as none is, new keys are counted in counters that they
 * share. Then a stranger may be refused for another's sake, but nobody can make his own past go away.
 */
export class SlidingWindow {
  readonly #options: WindowOptions;
  readonly #keysMax: number;
  readonly #sharedMax: number;
  readonly #partMs: number;
  readonly #slots = new Map<string, number>();
  readonly #keys: string[] = [];
  /** For each slot: its counters as a ring, their sum, and the part of time that the newest is for. */
  readonly #counters: Uint32Array;
  readonly #sums: Uint32Array;
  readonly #parts: Float64Array;
  #hand = 0;

  constructor(options: WindowOptions) {
    this.#options = options;
    this.#keysMax = options.keysMax ?? KEYS_MAX;
    this.#sharedMax = options.sharedMax ?? SHARED_MAX;
    this.#partMs = options.windowMs / PARTS;
    const slots = this.#keysMax + this.#sharedMax;
    this.#counters = new Uint32Array(slots * COUNTERS);
    this.#sums = new Uint32Array(slots);
    this.#parts = new Float64Array(slots);
  }

  /** Keys that have counters of their own. */
  get keys(): number {
    return this.#slots.size;
  }

  /** Counts one more if the limit allows it; whether it did. */
  take(key: string): boolean {
    const part = this.#now();
    const slot = this.#slotOf(key, part);
    if (this.#sumOf(slot, part) >= this.#options.count) return false;
    this.#add(slot, part, 1);
    return true;
  }

  /** Takes back what was counted `at` (of the clock); nothing when its time has passed. */
  giveBack(key: string, at: number): void {
    const now = this.#now();
    const slot = this.#find(key);
    this.#sumOf(slot, now);
    const part = Math.floor(at / this.#partMs);
    if (part <= now - COUNTERS || part > now) return;
    if ((this.#counters[slot * COUNTERS + (part % COUNTERS)] ?? 0) > 0) this.#add(slot, part, -1);
  }

  /** How many more may come now. */
  remaining(key: string): number {
    return Math.max(0, this.#options.count - this.#sumOf(this.#find(key), this.#now()));
  }

  /** Milliseconds until `wanted` more may come: 0 now, Infinity when they never may at once. */
  waitFor(key: string, wanted: number): number {
    const part = this.#now();
    const slot = this.#find(key);
    let excess = this.#sumOf(slot, part) + wanted - this.#options.count;
    if (excess <= 0) return 0;
    for (let oldest = Math.max(0, part - PARTS); oldest <= part; oldest++) {
      excess -= this.#counters[slot * COUNTERS + (oldest % COUNTERS)] ?? 0;
      if (excess <= 0) return (oldest + COUNTERS) * this.#partMs - this.#options.monotonic();
    }
    return Number.POSITIVE_INFINITY;
  }

  /** The part of time that it is. */
  #now(): number {
    return Math.floor(this.#options.monotonic() / this.#partMs);
  }

  #find(key: string): number {
    return this.#slots.get(key) ?? this.#sharedOf(key);
  }

  #sharedOf(key: string): number {
    return this.#keysMax + (Bun.hash.xxHash32(key, this.#options.seed) % this.#sharedMax);
  }

  #slotOf(key: string, part: number): number {
    const known = this.#slots.get(key);
    if (known !== undefined) return known;
    const shared = this.#sharedOf(key);
    const slot = this.#freeSlot(part);
    if (slot === null) return shared;
    this.#slots.set(key, slot);
    this.#keys[slot] = key;
    // What the key did while it had no counters of its own is in there.
    this.#sums[slot] = this.#sumOf(shared, part);
    this.#parts[slot] = part;
    this.#counters.copyWithin(slot * COUNTERS, shared * COUNTERS, (shared + 1) * COUNTERS);
    return slot;
  }

  #freeSlot(part: number): number | null {
    if (this.#keys.length < this.#keysMax) return this.#keys.length;
    for (let probe = 0; probe < PROBES; probe++) {
      const slot = this.#hand;
      this.#hand = (slot + 1) % this.#keysMax;
      if (this.#sumOf(slot, part) > 0) continue;
      this.#slots.delete(this.#keys[slot] ?? "");
      return slot;
    }
    return null;
  }

  /** What is counted in the slot, after its ring was turned on to `part`. */
  #sumOf(slot: number, part: number): number {
    const from = this.#parts[slot] ?? 0;
    if (part > from) {
      let sum = this.#sums[slot] ?? 0;
      for (let next = Math.max(from + 1, part - PARTS); next <= part && sum > 0; next++) {
        const at = slot * COUNTERS + (next % COUNTERS);
        sum -= this.#counters[at] ?? 0;
        this.#counters[at] = 0;
      }
      this.#sums[slot] = sum;
      this.#parts[slot] = part;
    }
    return this.#sums[slot] ?? 0;
  }

  #add(slot: number, part: number, count: number): void {
    const at = slot * COUNTERS + (part % COUNTERS);
    this.#counters[at] = (this.#counters[at] ?? 0) + count;
    this.#sums[slot] = (this.#sums[slot] ?? 0) + count;
  }
}
