import { Database } from "bun:sqlite";
import { chmod } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type BackupManifest, type BackupTarget, DATABASE_NAME, openTar, sha256Of } from "./archive.ts";
import { openFolder } from "./backup-folder.ts";
import { listBlobs, listQuarantined, openReadOnly, requireRegistry } from "./data-folder.ts";

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
 * @throws Error when there is no registry, or the target is something else than a backup
 */
export async function backup({ dataDir, target, now }: BackupOptions): Promise<BackupReport> {
  const folder = resolve(dataDir);
  requireRegistry(folder);
  await using to = await openTarget(target, folder);
  const path = join(to.working, DATABASE_NAME);
  {
    using source = openReadOnly(folder);
    // It writes to another file, which query_only would forbid as well.
    source.run("PRAGMA query_only = OFF");
    source.query("VACUUM INTO ?").run(path);
  }
  await chmod(path, 0o600);
  const findings: string[] = [];
  const kept = new Set<string>();
  let bytes = 0;
  {
    using copy = new Database(path, { readwrite: true, create: false, strict: true });
    const setQuarantined = (digest: string, at: number | null) =>
      copy.query("UPDATE blobs SET quarantined_at = ? WHERE digest = ?").run(at, digest);
    // What the registry lost since, an earlier backup may still have.
    for (const blob of listQuarantined(copy)) if (await to.hasSound(blob)) setQuarantined(blob.digest, null);
    for (const blob of listBlobs(copy)) {
      const problem = await to.addBlob(join(folder, blob.key), blob);
      if (problem === null) {
        kept.add(blob.key);
        bytes += blob.size;
        continue;
      }
      findings.push(`blob ${blob.digest}: ${problem}`);
      setQuarantined(blob.digest, now());
    }
    for (const table of LEFT_OUT) copy.run(`DELETE FROM ${table}`);
  }
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
}

async function openTarget(target: string, dataDir: string): Promise<BackupTarget> {
  if (target === "-") return await openTar(null);
  return target.endsWith(".tar")
    ? await openTar(resolve(target))
    : await openFolder(resolve(target), dataDir);
}
