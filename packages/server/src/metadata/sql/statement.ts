/** A value that both engines take as a parameter. */
export type SqlValue = string | number | null | Uint8Array;

/** One SQL statement with `?` for each parameter, in the dialect that SQLite and PostgreSQL share. */
export interface Statement {
  readonly sql: string;
  readonly params: readonly SqlValue[];
}

/** What a unit of work asks its engine: to run a statement, or for the engine's clock. */
export type Step = Statement | "now";

/**
 * A unit of work, written once for every SQL engine: a generator that yields its steps and is resumed with
 * their rows. The engine runs it to its end inside one transaction, and from the beginning again when the
 * transaction could not be serialised; so a unit does nothing but ask and compute.
 */
export type Unit<T> = Generator<Step, T, unknown>;

/** Rows of a query. `Row` states the columns that `sql` selects; this is the one place that believes it. */
export function* all<Row>(sql: string, ...params: readonly SqlValue[]): Unit<readonly Row[]> {
  return (yield { sql, params }) as readonly Row[];
}

/** The first row, or null. */
export function* first<Row>(sql: string, ...params: readonly SqlValue[]): Unit<Row | null> {
  const rows = yield* all<Row>(sql, ...params);
  return rows[0] ?? null;
}

/** Runs a statement for its effect; whether it touched a row (the statement ends with RETURNING). */
export function* touched(sql: string, ...params: readonly SqlValue[]): Unit<boolean> {
  return (yield* all(sql, ...params)).length > 0;
}

/** The engine's clock, in milliseconds since 1970. */
export function* now(): Unit<number> {
  return (yield "now") as number;
}

/** Sizes of a batch: few, so that few statements have to be prepared. */
const BATCH_SIZES = [1, 4, 16, 64, 256] as const;

/**
 * Values in batches for `IN (...)` lists and multi-row inserts that ignore conflicts. A batch is filled up to one of
 * few sizes by repeating its last value, which changes nothing for either.
 */
export function batchesOf<T>(values: readonly T[]): readonly (readonly T[])[] {
  const batches: (readonly T[])[] = [];
  const largest = BATCH_SIZES[BATCH_SIZES.length - 1] ?? 1;
  for (let at = 0; at < values.length; at += largest) {
    const batch = values.slice(at, at + largest);
    const size = BATCH_SIZES.find((candidate) => candidate >= batch.length) ?? batch.length;
    const last = batch[batch.length - 1];
    while (last !== undefined && batch.length < size) batch.push(last);
    batches.push(batch);
  }
  return batches;
}

/** `item` as often as there are values, with commas: `?, ?, ?`. */
export function repeat(item: string, values: readonly unknown[]): string {
  return values.map(() => item).join(", ");
}
