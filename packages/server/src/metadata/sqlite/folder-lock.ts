import { Database, SQLiteError } from "bun:sqlite";
import { join } from "node:path";

/**
 * Keeps a second server off a data folder: two would delete each other's uploads. SQLite's lock on an
 * otherwise empty database serves as the lock, because the system frees it however the process ends.
 */
export class FolderLock implements Disposable {
  readonly #database: Database;

  private constructor(database: Database) {
    this.#database = database;
  }

  /** @throws Error when another process has the folder */
  static take(folder: string): FolderLock {
    const database = new Database(join(folder, "stowage.lock"), { create: true, strict: true });
    try {
      database.run("PRAGMA locking_mode = EXCLUSIVE");
      database.run("BEGIN EXCLUSIVE");
    } catch (error) {
      database.close();
      if (!(error instanceof SQLiteError) || !(error.code ?? "").startsWith("SQLITE_BUSY")) throw error;
      throw new Error(
        `cannot use data folder "${folder}": another Stowage server is running on it; stop that one or choose another --data-dir`,
        { cause: error },
      );
    }
    return new FolderLock(database);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}
