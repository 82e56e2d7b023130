import { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { type FileHandle, open, readdir } from "node:fs/promises";
import { join, sep } from "node:path";
import { algorithmOf, type Digest, digestFromHex } from "@stowage/oci/digest";

/** Bytes that are read or written at once. */
const PIECE_BYTES = 1024 * 1024;

/** A blob as its row describes it. */
export interface StoredBlob {
  readonly digest: Digest;
  readonly size: number;
  /** Path below the data folder. */
  readonly key: string;
}

/** What the root of a filesystem may have of its own, and what so counts as empty. */
const LOST_AND_FOUND = "lost+found";

/** Errors that say something about this process or machine, and nothing about one file. */
const MACHINE_ERRORS = ["EMFILE", "ENFILE", "ENOMEM"];

/** Names in a folder, apart from what its filesystem keeps there. */
export async function entriesOf(folder: string): Promise<readonly string[]> {
  return (await readdir(folder)).filter((name) => name !== LOST_AND_FOUND);
}

/** Whether `path` is `folder` or lies in it; both absolute. */
export function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : `${folder}${sep}`);
}

export function databasePathOf(folder: string): string {
  return join(folder, "stowage.sqlite");
}

/** @throws Error when there is no registry in the folder */
export function requireRegistry(folder: string): void {
  if (existsSync(databasePathOf(folder))) return;
  throw new Error(`"${folder}" has no stowage.sqlite; wanted the --data-dir of a registry`);
}

/**
 * A second connection to the metadata that cannot change it, whether or not a server runs. The caller closes it.
 * @throws Error when there is no registry in the folder
 */
export function openReadOnly(folder: string): Database {
  requireRegistry(folder);
  // SQLite cannot read a log that it may not touch, so the file is opened for writing and writing is switched off.
  const database = new Database(databasePathOf(folder), { readwrite: true, create: false, strict: true });
  database.run("PRAGMA busy_timeout = 5000");
  database.run("PRAGMA query_only = ON");
  return database;
}

/** Blobs whose bytes should be there. */
export function listBlobs(database: Database): readonly StoredBlob[] {
  return database.query<StoredBlob, []>(`${SELECT_BLOBS} WHERE quarantined_at IS NULL ORDER BY key`).all();
}

/** Blobs whose bytes were damaged and did not come back yet. */
export function listQuarantined(database: Database): readonly StoredBlob[] {
  return database
    .query<StoredBlob, []>(`${SELECT_BLOBS} WHERE quarantined_at IS NOT NULL ORDER BY key`)
    .all();
}

const SELECT_BLOBS = "SELECT digest, size, storage_key AS key FROM blobs";

/** Takes each piece of a file, for a copy. */
export type TakePiece = (piece: Uint8Array) => Promise<void>;

/**
 * Why the file is not the blob, or null when it is. Every piece is handed to `take` on the way, whose errors fly.
 * @throws Error when the machine has no more files or memory to give, which says nothing about the file
 */
export async function verifyFile(path: string, blob: StoredBlob, take?: TakePiece): Promise<string | null> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    return describeFailure(error);
  }
  try {
    const hasher = new Bun.CryptoHasher(algorithmOf(blob.digest));
    const buffer = new Uint8Array(PIECE_BYTES);
    let bytes = 0;
    for (;;) {
      const bytesRead = await readAt(file, buffer, bytes);
      if (typeof bytesRead === "string") return bytesRead;
      if (bytesRead === 0) break;
      bytes += bytesRead;
      const piece = buffer.subarray(0, bytesRead);
      hasher.update(piece);
      await take?.(piece);
    }
    if (bytes !== blob.size) return `its file has ${bytes} bytes; wanted ${blob.size}`;
    const digest = digestFromHex(algorithmOf(blob.digest), hasher.digest("hex"));
    return digest === blob.digest ? null : "its bytes have another digest";
  } finally {
    await file.close();
  }
}

/** Bytes that were read, or why they cannot be. */
async function readAt(file: FileHandle, buffer: Uint8Array, at: number): Promise<number | string> {
  try {
    return (await file.read(buffer, 0, PIECE_BYTES, at)).bytesRead;
  } catch (error) {
    return describeFailure(error);
  }
}

function describeFailure(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "" || MACHINE_ERRORS.includes(code)) throw error;
  return code === "ENOENT" ? "its file is missing" : `its file cannot be read (${code})`;
}

/** `12.3 MiB` */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
