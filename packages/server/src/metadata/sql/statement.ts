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
