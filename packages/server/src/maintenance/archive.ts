import { createReadStream, createWriteStream } from "node:fs";
import { type FileHandle, mkdir, mkdtemp, open, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { pack, type Pack } from "tar-stream";
import { type StoredBlob, verifyFile } from "./data-folder.ts";

/** Name of the file that makes a backup a whole one; it is written last. */
export const MANIFEST_NAME = "backup.json";

/** Name of the metadata in a backup. */
export const DATABASE_NAME = "stowage.sqlite";

/** What a backup says of itself. */
export interface BackupManifest {
  readonly version: 1;
  /** ISO 8601. */
  readonly createdAt: string;
  /** SHA-256 of the database, in hex. */
  readonly database: string;
  readonly blobs: number;
  readonly bytes: number;
}

/** Where a backup is written to. */
export interface BackupTarget extends AsyncDisposable {
  /** A folder in which the metadata is made ready; gone when the target is disposed. */
  readonly working: string;
  /** Copies the blob and checks it on the way; why it cannot be copied, or null. */
  addBlob(path: string, blob: StoredBlob): Promise<string | null>;
  /** Whether an earlier backup left the blob here, with the right bytes. */
  hasSound(blob: StoredBlob): Promise<boolean>;
  /** Takes over the database file. */
  addDatabase(path: string): Promise<void>;
  /** Writes the manifest, after everything else is durable: now it is a backup. */
  finish(manifest: BackupManifest, blobs: ReadonlySet<string>): Promise<void>;
}

export async function sync(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function sha256Of(path: string): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const piece of Bun.file(path).stream()) hasher.update(piece);
  return hasher.digest("hex");
}

/** Writes a blob to `to` from what `verifyFile` reads; the file has its name only when it is complete. */
export async function copyBlob(from: string, to: string, blob: StoredBlob): Promise<string | null> {
  await mkdir(dirname(to), { recursive: true });
  const partial = `${to}.partial`;
  const handle = await open(partial, "w", 0o600);
  let problem: string | null;
  try {
    problem = await verifyFile(from, blob, (piece) => writeAll(handle, piece));
    if (problem === null) await handle.sync();
  } finally {
    await handle.close();
  }
  if (problem === null) await rename(partial, to);
  else await rm(partial, { force: true });
  return problem;
}

async function writeAll(handle: FileHandle, piece: Uint8Array): Promise<void> {
  for (let at = 0; at < piece.byteLength;) at += (await handle.write(piece, at)).bytesWritten;
}

/** A backup as one file; `path` null is standard output. */
export async function openTar(path: string | null): Promise<BackupTarget> {
  const archive = pack();
  const partial = path === null ? null : `${path}.partial`;
  const working = await mkdtemp(join(path === null ? tmpdir() : dirname(path), ".stowage-backup-"));
  const sink = partial === null ? process.stdout : createWriteStream(partial, { mode: 0o600 });
  const written = pipeline(archive, sink, { end: partial !== null });
  // Awaited with each entry and at the end; until then a failure must not count as unhandled.
  written.catch(() => null);
  archive.on("error", () => null);
  // Where nothing can be written any more, no entry ends.
  const add = (name: string, from: string, size: number) =>
    Promise.race([addFile(archive, { name, from, size }), written]);
  return {
    working,
    async addBlob(from, blob) {
      // A tar says the size first: what turns out to be wrong in the middle would spoil everything behind it.
      const problem = await verifyFile(from, blob);
      if (problem === null) await add(blob.key, from, blob.size);
      return problem;
    },
    hasSound: async () => false,
    async addDatabase(from) {
      await add(DATABASE_NAME, from, Bun.file(from).size);
    },
    async finish(manifest) {
      archive.entry({ name: MANIFEST_NAME }, `${JSON.stringify(manifest)}\n`);
      archive.finalize();
      await written;
      if (path === null || partial === null) return;
      await sync(partial);
      await rename(partial, path);
      await sync(dirname(path));
    },
    async [Symbol.asyncDispose]() {
      archive.destroy();
      await rm(working, { recursive: true, force: true });
      if (partial !== null) await rm(partial, { force: true });
    },
  };
}

interface ArchivedFile {
  readonly name: string;
  readonly from: string;
  /** Bytes. */
  readonly size: number;
}

function addFile(archive: Pack, { name, from, size }: ArchivedFile): Promise<void> {
  return new Promise((resolve, reject) => {
    const entry = archive.entry({ name, size, mode: 0o600 }, (error) => (error ? reject(error) : resolve()));
    createReadStream(from).on("error", reject).pipe(entry).on("error", reject);
  });
}

/** The manifest of a backup folder. @throws Error when there is none, or it is of another version */
export async function readManifest(folder: string): Promise<BackupManifest> {
  const text = await readFile(join(folder, MANIFEST_NAME), "utf8").catch(() => null);
  if (text === null)
    throw new Error(`"${folder}" has no ${MANIFEST_NAME}: it is no backup, or not a whole one`);
  return parseManifestText(text);
}

/** @throws Error when the text is not that of a backup which this Stowage can read */
export function parseManifestText(text: string): BackupManifest {
  const value = parseJson(text);
  const isManifest =
    typeof value === "object" &&
    value !== null &&
    "version" in value &&
    value.version === 1 &&
    ["database", "createdAt"].every((key) => typeof Reflect.get(value, key) === "string") &&
    ["blobs", "bytes"].every((key) => typeof Reflect.get(value, key) === "number");
  if (!isManifest)
    throw new Error(`${MANIFEST_NAME} is not of version 1; use the Stowage that wrote the backup`);
  return value as BackupManifest;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`the backup is damaged: ${MANIFEST_NAME} is not JSON`, { cause });
  }
}
