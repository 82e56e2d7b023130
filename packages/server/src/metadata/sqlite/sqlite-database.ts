import { Database, SQLiteError, type Statement as Prepared } from "bun:sqlite";
import { RegistryError } from "@stowage/oci/errors";
import type { SqlValue, Step, Unit } from "../sql/statement.ts";
import { migrate } from "./migrate.ts";
import { ReadCache } from "./read-cache.ts";

/**
 * How long a statement waits for another process (a shell, a backup) that holds the database, in milliseconds. It
 * waits on the event loop's own thread, so it is short; a batch that finds the database busy is tried again.
 */
const BUSY_TIMEOUT_MS = 10;

/** Time between two attempts of a batch, in milliseconds. */
const BUSY_PAUSE_MS = 40;

/** How long a batch is tried before its callers are told to come back later, in milliseconds. */
const BUSY_PATIENCE_MS = 10_000;

/** Most units of work that share one transaction. */
const BATCH_UNITS_MAX = 256;

interface Job {
  readonly start: () => Unit<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: unknown) => void;
}

type Outcome =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown };

export interface SqliteOptions {
  /** Milliseconds since 1970: the clock of this database. */
  readonly now: () => number;
  /** Called when the disk under the database failed: what is durable is not known any more, so nothing may go on. */
  readonly onFatal: (error: unknown) => void;
  /** BUSY_PATIENCE_MS unless a test has less. */
  readonly busyPatienceMs?: number;
}

/**
 * Runs units of work on one SQLite connection. Writers that come in the same turn of the event loop share one
 * transaction, each in a savepoint of its own, so they share one fsync; none is answered before the commit.
 * A transaction is one synchronous function: no other statement can fall into it.
 */
export class SqliteDatabase {
  readonly #database: Database;
  readonly #now: () => number;
  readonly #onFatal: (error: unknown) => void;
  readonly #busyPatienceMs: number;
  readonly #prepared = new Map<string, Prepared<unknown, SqlValue[]>>();
  readonly #cache = new ReadCache();
  #queue: Job[] = [];
  #flushing: Promise<void> | null = null;

  /** Opens or creates the database file `path` (":memory:" for tests) and brings its schema up to date. */
  constructor(path: string, options: SqliteOptions) {
    this.#now = options.now;
    this.#onFatal = options.onFatal;
    this.#busyPatienceMs = options.busyPatienceMs ?? BUSY_PATIENCE_MS;
    this.#database = new Database(path, { create: true, strict: true });
    this.#database.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    this.#database.run("PRAGMA journal_mode = WAL");
    // NORMAL loses acknowledged images at a power cut: it does not sync the log at commit.
    this.#database.run("PRAGMA synchronous = FULL");
    this.#database.run("PRAGMA foreign_keys = ON");
    this.#database.run("PRAGMA cache_size = -16384");
    this.#database.run("PRAGMA temp_store = MEMORY");
    migrate(this.#database, this.#now);
  }

  /** Runs a unit that only reads. It sees every write that was answered. */
  read<T>(unit: Unit<T>): T {
    return this.#run(unit);
  }

  /** Like read, but what was read since the last commit is not read again. `key` names the unit and its arguments. */
  readCached<T>(key: string, start: () => Unit<T>, bytesOf: (result: T) => number = () => 0): T {
    return this.#cache.get(key, () => this.#run(start()), bytesOf);
  }

  /** Runs a unit in a transaction; resolves when its effects are durable. */
  write<T>(start: () => Unit<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ start, resolve: resolve as (value: unknown) => void, reject });
      this.#flushing ??= this.#flush();
    });
  }

  async close(): Promise<void> {
    await this.#flushing;
    for (const statement of this.#prepared.values()) statement.finalize();
    this.#database.close();
  }

  async #flush(): Promise<void> {
    // One turn of the event loop, in which other requests add their units to the batch.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#queue.length > 0) {
      const jobs = this.#queue.splice(0, BATCH_UNITS_MAX);
      const outcomes = await this.#commitPatiently(jobs);
      jobs.forEach((job, at) => {
        const outcome = outcomes[at];
        if (outcome === undefined) job.reject(new Error("unit of work without outcome"));
        else if (outcome.ok) job.resolve(outcome.value);
        else job.reject(outcome.error);
      });
    }
    this.#flushing = null;
  }

  async #commitPatiently(jobs: readonly Job[]): Promise<readonly Outcome[]> {
    const attemptsMax = Math.ceil(this.#busyPatienceMs / (BUSY_PAUSE_MS + BUSY_TIMEOUT_MS));
    for (let attempt = 1; ; attempt++) {
      try {
        return this.#commit(jobs);
      } catch (error) {
        const failure = translate(error);
        if (failure.kind === "fatal") this.#onFatal(error);
        if (failure.kind !== "busy" || attempt >= attemptsMax) {
          return jobs.map(() => ({ ok: false, error: failure.error }));
        }
        await Bun.sleep(BUSY_PAUSE_MS);
      }
    }
  }

  #commit(jobs: readonly Job[]): readonly Outcome[] {
    this.#exec("BEGIN IMMEDIATE");
    try {
      const outcomes = jobs.map((job) => this.#runInSavepoint(job.start()));
      this.#exec("COMMIT");
      this.#cache.clear();
      return outcomes;
    } catch (error) {
      if (this.#database.inTransaction) this.#exec("ROLLBACK");
      throw error;
    }
  }

  #runInSavepoint(unit: Unit<unknown>): Outcome {
    this.#exec("SAVEPOINT unit");
    try {
      const value = this.#run(unit);
      this.#exec("RELEASE unit");
      return { ok: true, value };
    } catch (error) {
      // A full disk or a busy file rolls back the whole transaction: then the batch fails, not the unit.
      if (!this.#database.inTransaction || translate(error).kind !== "unit") throw error;
      this.#exec("ROLLBACK TO unit");
      this.#exec("RELEASE unit");
      return { ok: false, error };
    }
  }

  #run<T>(unit: Unit<T>): T {
    let step = unit.next();
    while (!step.done) step = unit.next(this.#step(step.value));
    return step.value;
  }

  #step(step: Step): unknown {
    if (step === "now") return this.#now();
    return this.#prepare(step.sql).all(...step.params);
  }

  #exec(sql: string): void {
    this.#prepare(sql).run();
  }

  #prepare(sql: string): Prepared<unknown, SqlValue[]> {
    let statement = this.#prepared.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare<unknown, SqlValue[]>(sql);
      this.#prepared.set(sql, statement);
    }
    return statement;
  }
}

type Failure = { readonly kind: "unit" | "busy" | "full" | "fatal"; readonly error: unknown };

/** Sorts what SQLite throws by who is hit: one unit of work, the whole transaction, or the process. */
function translate(error: unknown): Failure {
  const code = error instanceof SQLiteError ? (error.code ?? "") : "";
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED")) {
    return {
      kind: "busy",
      error: new RegistryError("UNAVAILABLE", { headers: { "Retry-After": "1" }, cause: error }),
    };
  }
  if (code === "SQLITE_FULL")
    return { kind: "full", error: new RegistryError("STORAGE_FULL", { cause: error }) };
  if (code.startsWith("SQLITE_IOERR") || code === "SQLITE_CORRUPT" || code === "SQLITE_NOTADB") {
    return { kind: "fatal", error: new RegistryError("UNAVAILABLE", { cause: error }) };
  }
  return { kind: "unit", error };
}
