import { breathe } from "./breathe.ts";

/** Entries of one read of the store. */
const READ_PAGE = 1_000;

/** Entries that one request looks at, and milliseconds for which it does; whoever asks goes on from there. */
export const LOOKED_MAX = 20_000;
const LOOKING_MS_MAX = 500;

/** Others come in between after so many milliseconds. */
const BREATHE_AFTER_MS = 5;

export interface Looking<T, Position> {
  /** A page of the listing, in its order. */
  readonly read: (after: Position | null, entriesMax: number) => Promise<readonly T[]>;
  readonly positionOf: (entry: T) => Position;
  readonly isVisible: (entry: T) => boolean;
  /** Where to begin; null: at the beginning. */
  readonly after: Position | null;
  readonly entriesMax: number;
}

export interface VisibleEntries<T, Position> {
  readonly entries: readonly T[];
  /**
   * Where to go on, or null: this was all. It may be at an entry that is not visible, and must not be told then.
   */
  readonly next: Position | null;
}

/**
 * The next entries of a listing that somebody may see. It is a whole page if there are so many, unless LOOKED_MAX is
 * reached before: then it is what was found until then, perhaps nothing, with a `next`.
 */
export async function listVisible<T, Position>(
  looking: Looking<T, Position>,
): Promise<VisibleEntries<T, Position>> {
  const { read, positionOf, isVisible, entriesMax } = looking;
  const entries: T[] = [];
  const startedAt = performance.now();
  let [after, looked, breathedAt] = [looking.after, 0, startedAt];
  while (entriesMax > 0) {
    const page = await read(after, READ_PAGE);
    for (const entry of page) {
      const isShown = isVisible(entry);
      // One more than the page holds: something follows.
      if (isShown && entries.length === entriesMax) return { entries, next: after };
      if (isShown) entries.push(entry);
      after = positionOf(entry);
      looked += 1;
      const now = performance.now();
      if (looked >= LOOKED_MAX || now - startedAt > LOOKING_MS_MAX) return { entries, next: after };
      if (now - breathedAt < BREATHE_AFTER_MS) continue;
      await breathe();
      breathedAt = performance.now();
    }
    if (page.length < READ_PAGE) break;
  }
  return { entries, next: null };
}
