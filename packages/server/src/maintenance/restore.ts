import { Database } from "bun:sqlite";
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { copyFile, mkdir, readdir, rename, rm } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { extract } from "tar-stream";
import {
  type BackupManifest,
  copyBlob,
  DATABASE_NAME,
  MANIFEST_NAME,
  parseManifestText,
  readManifest,
  sha256Of,
  sync,
} from "./archive.ts";
import { databasePathOf, entriesOf, listBlobs, type StoredBlob, verifyFile } from "./data-folder.ts";

/** Longest backup.json, in bytes. */
const MANIFEST_BYTES_MAX = 64 * 1024;

/** A blob of a registry's folder: nothing else may come out of an archive. */
const BLOB_NAME = /^blobs\/sha(?:256|512)\/[0-9a-f]{2}\/[0-9a-f]{64,128}\.[0-9a-f]{32}$/;

export interface RestoreOptions {
  /** A folder, a file that ends in `.tar`, or `-`: a tar from standard input. */
  readonly source: string;
  readonly dataDir: string;
}

/**
 * Makes a data folder of a backup. Every blob is compared with its digest on the way, and the metadata gets its name
 * last, so that a restore that fails leaves no registry; what it made is removed.
 * @throws Error when the folder is in use, or the backup is not whole
 */
export async function restore(options: RestoreOptions): Promise<BackupManifest> {
  const { source } = options;
  const dataDir = resolve(options.dataDir);
  const isNew = !existsSync(dataDir);
  if (!isNew && (await entriesOf(dataDir)).length > 0)
    throw new Error(`"${dataDir}" is not empty; wanted a new --data-dir`);
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  try {
    const isTar = source === "-" || source.endsWith(".tar");
    const manifest = isTar ? await unpack(source, dataDir) : await copyFolder(source, dataDir);
    await syncFolders(dataDir);
    const restoring = join(dataDir, `${DATABASE_NAME}.restoring`);
    await sync(restoring);
    await rename(restoring, databasePathOf(dataDir));
    await sync(dataDir);
    return manifest;
  } catch (error) {
    for (const name of await entriesOf(dataDir))
      await rm(join(dataDir, name), { recursive: true, force: true });
    if (isNew) await rm(dataDir, { recursive: true, force: true });
    throw error;
  }
}

async function copyFolder(source: string, dataDir: string): Promise<BackupManifest> {
  const manifest = await readManifest(source);
  const restoring = join(dataDir, `${DATABASE_NAME}.restoring`);
  await copyFile(join(source, DATABASE_NAME), restoring);
  await requireDatabase(restoring, manifest);
  for (const blob of blobsOf(restoring)) {
    const problem = await copyBlob(join(source, blob.key), join(dataDir, blob.key), blob);
    if (problem !== null) throw new Error(`the backup is damaged: blob ${blob.digest}: ${problem}`);
  }
  return manifest;
}

/** Unpacks what a backup consists of, and nothing else: an archive may come from anywhere. */
async function unpack(source: string, dataDir: string): Promise<BackupManifest> {
  const restoring = join(dataDir, `${DATABASE_NAME}.restoring`);
  let manifestText: string | null = null;
  const archive = extract();
  const input = source === "-" ? process.stdin : createReadStream(source);
  const reading = pipeline(input, archive);
  reading.catch(() => null);
  for await (const entry of archive) {
    const { name, type, size } = entry.header;
    if (type !== "file") throw new Error(`the archive has a ${type} "${name}"; wanted files only`);
    if (name === MANIFEST_NAME && (size ?? 0) <= MANIFEST_BYTES_MAX) manifestText = await text(entry);
    else if (name === DATABASE_NAME)
      await pipeline(entry, createWriteStream(restoring, { mode: 0o600, flags: "wx" }));
    else if (BLOB_NAME.test(name)) {
      const path = join(dataDir, name);
      await mkdir(dirname(path), { recursive: true });
      await pipeline(entry, createWriteStream(path, { mode: 0o600, flags: "wx" }));
      await sync(path);
    } else throw new Error(`the archive has "${name}", which belongs to no backup`);
  }
  await reading;
  if (manifestText === null)
    throw new Error(`the archive has no ${MANIFEST_NAME}: it is no backup, or not a whole one`);
  const manifest = parseManifestText(manifestText);
  if (!existsSync(restoring)) throw new Error(`the archive has no ${DATABASE_NAME}`);
  await requireDatabase(restoring, manifest);
  await requireBlobs(dataDir, blobsOf(restoring));
  return manifest;
}

async function requireBlobs(dataDir: string, blobs: readonly StoredBlob[]): Promise<void> {
  for (const blob of blobs) {
    const problem = await verifyFile(join(dataDir, blob.key), blob);
    if (problem !== null) throw new Error(`the backup is damaged: blob ${blob.digest}: ${problem}`);
  }
  const wanted = new Set(blobs.map(({ key }) => key));
  const entries = await readdir(join(dataDir, "blobs"), { recursive: true, withFileTypes: true }).catch(
    () => [],
  );
  for (const entry of entries) {
    const name = relative(dataDir, join(entry.parentPath, entry.name));
    if (entry.isFile() && !wanted.has(name))
      throw new Error(`the archive has "${name}", which its metadata does not name`);
  }
}

async function requireDatabase(path: string, manifest: BackupManifest): Promise<void> {
  if ((await sha256Of(path)) === manifest.database) return;
  throw new Error("the backup is damaged: its metadata is not what backup.json says");
}

function blobsOf(path: string): readonly StoredBlob[] {
  const database = new Database(path, { readonly: true, strict: true });
  try {
    const blobs = listBlobs(database);
    const stranger = blobs.find(({ key }) => !BLOB_NAME.test(key));
    if (stranger !== undefined)
      throw new Error(`the backup's metadata names "${stranger.key}", which is no blob`);
    return blobs;
  } finally {
    database.close();
  }
}

async function syncFolders(dataDir: string): Promise<void> {
  const entries = await readdir(dataDir, { recursive: true, withFileTypes: true });
  for (const entry of entries) if (entry.isDirectory()) await sync(join(entry.parentPath, entry.name));
}
