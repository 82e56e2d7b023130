import { Database } from "bun:sqlite";
import { readdirSync } from "node:fs";
import { cp } from "node:fs/promises";
import { join } from "node:path";

/** Kinds of paths whose system calls are counted by themselves. */
export const AREAS = ["database", "file", "folder", "root"] as const;
export type Area = (typeof AREAS)[number];

/** The paths of a data folder as they are now. */
export function areasOfFolder(dataDir: string): Readonly<Record<Area, readonly string[]>> {
  const blobs = ["sha256", "sha512"].map((algorithm) => join("blobs", algorithm));
  return {
    database: ["stowage.sqlite", "stowage.lock"].flatMap((name) =>
      ["", "-wal", "-journal"].map((suffix) => join(dataDir, name + suffix)),
    ),
    file: objectsOf(dataDir).map((key) => join(dataDir, key)),
    folder: ["blobs", "uploads", ...blobs, join("blobs", "sha256", "00")].map((name) => join(dataDir, name)),
    root: [dataDir],
  };
}

/** Copies a data folder as a crash left it, without the socket that nobody listens on any more. */
export async function copyDataFolder(from: string, to: string): Promise<void> {
  await cp(from, to, { recursive: true, filter: (path) => !path.endsWith(".sock") });
}

/** Files of which the database knows nothing, so that nobody will ever delete them. The registry must not run. */
export function findUnaccounted(dataDir: string): readonly string[] {
  using database = new Database(join(dataDir, "stowage.sqlite"), { readwrite: true, strict: true });
  const known = new Set(
    database
      .query<{ storage_key: string }, []>(
        `SELECT storage_key FROM blobs UNION SELECT storage_key FROM intents
         UNION SELECT storage_key FROM tombstones UNION SELECT 'uploads/' || id FROM uploads`,
      )
      .all()
      .map((row) => row.storage_key),
  );
  return objectsOf(dataDir)
    .filter((key) => !known.has(key))
    .map((key) => `nobody will ever delete ${key}`);
}

/** Storage keys of every file of the blob store. */
function objectsOf(dataDir: string): readonly string[] {
  return ["uploads", "blobs"].flatMap((folder) =>
    readdirSync(join(dataDir, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(dataDir.length + 1)),
  );
}
