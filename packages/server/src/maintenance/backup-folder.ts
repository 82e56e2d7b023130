import { Database, SQLiteError } from "bun:sqlite";
import { existsSync } from "node:fs";
import { mkdir, readdir, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { type BackupTarget, copyBlob, DATABASE_NAME, MANIFEST_NAME, sync } from "./archive.ts";
import { entriesOf, isInside, verifyFile } from "./data-folder.ts";

/** Marks a folder as one of backups, from the first moment on, and keeps a second backup out. */
const LOCK_NAME = "backup.lock";

/** Where the metadata is made ready. Inside the folder, which may be a filesystem of its own. */
const WORKING_NAME = "backup.tmp";

/**
 * A backup as a folder. One that is there already is brought up to date: blobs never change, so they are kept.
 * @throws Error when the folder is used for something else, or by another backup
 */
export async function openFolder(folder: string, dataDir: string): Promise<BackupTarget> {
  const made = await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    await requireBackupFolder(folder, dataDir);
  } catch (error) {
    if (made !== undefined) await rm(made, { recursive: true });
    throw error;
  }
  const lock = takeLock(folder);
  const working = join(folder, WORKING_NAME);
  await rm(working, { recursive: true, force: true });
  await mkdir(working, { mode: 0o700 });
  return {
    working,
    async addBlob(from, blob) {
      const to = join(folder, blob.key);
      const found = await stat(to).catch(() => null);
      return found?.size === blob.size ? null : await copyBlob(from, to, blob);
    },
    hasSound: async (blob) => (await verifyFile(join(folder, blob.key), blob)) === null,
    async addDatabase(from) {
      await sync(from);
      await rm(join(folder, MANIFEST_NAME), { force: true });
      await rename(from, join(folder, DATABASE_NAME));
    },
    async finish(manifest, blobs) {
      await removeOthers(folder, blobs);
      const path = join(folder, MANIFEST_NAME);
      await writeFile(`${path}.partial`, `${JSON.stringify(manifest)}\n`, { mode: 0o600 });
      await sync(`${path}.partial`);
      await rename(`${path}.partial`, path);
      await sync(folder);
    },
    async [Symbol.asyncDispose]() {
      await rm(working, { recursive: true, force: true });
      lock.close();
    },
  };
}

/** What is in the folder gets replaced and removed, so it must be a backup, or nothing. */
async function requireBackupFolder(folder: string, dataDir: string): Promise<void> {
  const [target, source] = [await realpath(folder), await realpath(dataDir)];
  if (isInside(target, source) || isInside(source, target)) {
    throw new Error(`cannot back up to "${folder}": it is the data folder, or one lies in the other`);
  }
  const isBackup = [LOCK_NAME, MANIFEST_NAME].some((name) => existsSync(join(folder, name)));
  if (existsSync(join(folder, "stowage.lock")) || (!isBackup && (await entriesOf(folder)).length > 0)) {
    throw new Error(
      `cannot back up to "${folder}": it is not empty and holds no backup; wanted a new folder, or one of an earlier backup`,
    );
  }
}

/** Of two backups at once each would remove what only the other one needs. The system frees it with the process. */
function takeLock(folder: string): Database {
  const database = new Database(join(folder, LOCK_NAME), { create: true, strict: true });
  try {
    database.run("PRAGMA locking_mode = EXCLUSIVE");
    database.run("BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database.close();
    if (!(error instanceof SQLiteError) || !(error.code ?? "").startsWith("SQLITE_BUSY")) throw error;
    throw new Error(`cannot back up to "${folder}": another backup to it is under way`, { cause: error });
  }
}

/** Blobs of an earlier backup that the registry does not have any more; what stays is made durable by its folder. */
async function removeOthers(folder: string, blobs: ReadonlySet<string>): Promise<void> {
  const top = join(folder, "blobs");
  if (!existsSync(top)) return;
  const folders = new Set<string>([top]);
  for (const entry of await readdir(top, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) folders.add(path);
    else if (!blobs.has(relative(folder, path))) await rm(path);
  }
  for (const path of folders) await sync(path);
}
