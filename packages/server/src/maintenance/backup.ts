import { Database } from "bun:sqlite";
import { mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import {
  type BackupManifest,
  type BackupTarget,
  copyBlob,
  DATABASE_NAME,
  MANIFEST_NAME,
  openTar,
  sha256Of,
  sync,
} from "./archive.ts";
import { listBlobs, openReadOnly } from "./data-folder.ts";

/** Tables that mean nothing in a backup: what is under way, and what was on its way out. */
const LEFT_OUT = ["uploads", "intents", "tombstones", "holds"];

export interface BackupOptions {
  readonly dataDir: string;
  /** A folder, a file that ends in `.tar`, or `-`: a tar to standard output. */
  readonly target: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export interface BackupReport extends BackupManifest {
  /** Blobs that could not be copied, and why. */
  readonly findings: readonly string[];
}

/**
 * Copies a registry while it runs: the metadata first, in one snapshot, then the blobs that it names. Whoever calls it
 * holds the objects (`POST /api/v1/holds`), so that none of them is deleted meanwhile. Each blob is compared with its
 * digest on the way; one that is damaged is left out, and out of sight in the copy.
 */
export async function backup({ dataDir, target, now }: BackupOptions): Promise<BackupReport> {
  await using to =
    target === "-" || target.endsWith(".tar") ? await openTar(tarPath(target)) : await openFolder(target);
  const working = await mkdtemp(
    join(target === "-" ? tmpdir() : dirname(resolve(target)), ".stowage-backup-"),
  );
  try {
    const path = join(working, DATABASE_NAME);
    const source = openReadOnly(dataDir);
    try {
      // It writes to another file, which query_only would forbid as well.
      source.run("PRAGMA query_only = OFF");
      source.query("VACUUM INTO ?").run(path);
    } finally {
      source.close();
    }
    const copy = new Database(path, { readwrite: true, create: false, strict: true });
    const findings: string[] = [];
    const kept = new Set<string>();
    let bytes = 0;
    for (const blob of listBlobs(copy)) {
      const problem = await to.addBlob(join(dataDir, blob.key), blob);
      if (problem === null) {
        kept.add(blob.key);
        bytes += blob.size;
        continue;
      }
      findings.push(`blob ${blob.digest}: ${problem}`);
      copy.query("UPDATE blobs SET quarantined_at = ? WHERE digest = ?").run(now(), blob.digest);
    }
    for (const table of LEFT_OUT) copy.run(`DELETE FROM ${table}`);
    copy.close();
    const manifest: BackupManifest = {
      version: 1,
      createdAt: new Date(now()).toISOString(),
      database: await sha256Of(path),
      blobs: kept.size,
      bytes,
    };
    await to.addDatabase(path);
    await to.finish(manifest, kept);
    return { ...manifest, findings };
  } finally {
    await rm(working, { recursive: true, force: true });
  }
}

function tarPath(target: string): string | null {
  return target === "-" ? null : target;
}

/** A backup as a folder. One that is there already is brought up to date: blobs never change, so they are kept. */
async function openFolder(folder: string): Promise<BackupTarget> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return {
    async addBlob(from, blob) {
      const to = join(folder, blob.key);
      const found = await stat(to).catch(() => null);
      return found?.size === blob.size ? null : await copyBlob(from, to, blob);
    },
    async addDatabase(from) {
      await sync(from);
      await rm(join(folder, MANIFEST_NAME), { force: true });
      await rename(from, join(folder, DATABASE_NAME));
    },
    async finish(manifest, blobs) {
      await removeOthers(folder, blobs);
      const path = join(folder, MANIFEST_NAME);
      await writeFile(`${path}.partial`, `${JSON.stringify(manifest)}\n`);
      await sync(`${path}.partial`);
      await rename(`${path}.partial`, path);
      await sync(folder);
    },
    async [Symbol.asyncDispose]() {
      // Files are opened one at a time and closed with it.
    },
  };
}

/** Blobs of an earlier backup that the registry does not have any more; what stays is made durable by its folder. */
async function removeOthers(folder: string, blobs: ReadonlySet<string>): Promise<void> {
  const top = join(folder, "blobs");
  const entries = await readdir(top, { recursive: true, withFileTypes: true }).catch(() => []);
  const folders = new Set<string>([top]);
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) folders.add(path);
    else if (!blobs.has(path.slice(folder.length + 1))) await rm(path);
  }
  if (entries.length > 0) for (const path of folders) await sync(path);
}
