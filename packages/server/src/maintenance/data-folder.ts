import { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
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

export function databasePathOf(folder: string): string {
  return join(folder, "stowage.sqlite");
}

/**
 * A second connection to the metadata that cannot change it, whether or not a server runs. The caller closes it.
 * @throws Error when there is no registry in the folder
 */
export function openReadOnly(folder: string): Database {
  const path = databasePathOf(folder);
  if (!existsSync(path))
    throw new Error(`"${folder}" has no stowage.sqlite; wanted the --data-dir of a registry`);
  // SQLite cannot read a log that it may not touch, so the file is opened for writing and writing is switched off.
  const database = new Database(path, { readwrite: true, create: false, strict: true });
  database.run("PRAGMA busy_timeout = 5000");
  database.run("PRAGMA query_only = ON");
  return database;
}

/** Blobs whose bytes should be there. */
export function listBlobs(database: Database): readonly StoredBlob[] {
  return database
    .query<StoredBlob, []>(
      "SELECT digest, size, storage_key AS key FROM blobs WHERE quarantined_at IS NULL ORDER BY storage_key",
    )
    .all();
}

/** Takes each piece of a file, for a copy. */
export type TakePiece = (piece: Uint8Array) => Promise<void>;

/** Why the file is not the blob, or null when it is. Every piece is handed to `take` on the way. */
export async function verifyFile(path: string, blob: StoredBlob, take?: TakePiece): Promise<string | null> {
  const file = await open(path, "r").catch(() => null);
  if (file === null) return "its file is missing";
  try {
    const hasher = new Bun.CryptoHasher(algorithmOf(blob.digest));
    const buffer = new Uint8Array(PIECE_BYTES);
    let bytes = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, PIECE_BYTES, bytes);
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

/** `12.3 MiB` */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
