import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { allowEverybody } from "./auth/authorize.ts";
import { syncDirectory } from "./blobstore/filesystem/files.ts";
import { FilesystemBlobStore } from "./blobstore/filesystem/filesystem-blob-store.ts";
import type { Settings } from "./config/settings.ts";
import { type App, createApp } from "./http/app.ts";
import { startCollecting, startSweeping } from "./jobs/collect.ts";
import { startNotingPulls, startRetaining } from "./jobs/retention.ts";
import { startScrubbing } from "./jobs/scrub.ts";
import { DURATIONS_DEFAULT } from "./metadata/metadata.ts";
import { SqliteMetadata } from "./metadata/sqlite/sqlite-metadata.ts";
import { FolderLock } from "./metadata/sqlite/folder-lock.ts";
import type { Log } from "./observe/log.ts";
import { createRegistry } from "./registry/registry.ts";

export interface System extends AsyncDisposable {
  readonly app: App;
}

export interface ComposeOptions {
  readonly settings: Settings;
  readonly log: Log;
  readonly isDraining: () => boolean;
  /** The metadata cannot be trusted any more: the process must end without answering. */
  readonly onFatal: (error: unknown) => void;
  /** Collect, sweep and scrub by itself. A command that uses the registry for a moment does without. */
  readonly background: boolean;
}

/**
 * Puts the registry together; the only place that constructs backends. The caller disposes it.
 * @throws Error when the data folder is in use, belongs to a newer Stowage, or is not one filesystem
 */
export async function compose(options: ComposeOptions): Promise<System> {
  const { settings, log, isDraining, onFatal } = options;
  const { dataDir } = settings;
  await using started = new AsyncDisposableStack();
  await mkdir(dataDir, { recursive: true });
  started.use(FolderLock.take(dataDir));
  const store = started.use(await FilesystemBlobStore.open(dataDir));
  const { garbage } = settings;
  const durations = {
    ...DURATIONS_DEFAULT,
    leaseMs: garbage.leaseMs,
    tombstoneGraceMs: garbage.graceMs,
    undoMs: garbage.undoMs,
  };
  const metadata = started.use(
    new SqliteMetadata(join(dataDir, "stowage.sqlite"), { now: Date.now, onFatal, durations }),
  );
  // SQLite lets a failed sync of this folder pass when it makes its log.
  await syncDirectory(dataDir);
  const rules = {
    manifests: { allowSparse: settings.allowSparse },
    collector: garbage,
    scrub: settings.scrub,
  };
  const registry = createRegistry({
    metadata,
    store,
    rules,
    now: Date.now,
    monotonic: () => performance.now(),
  });
  if (options.background) {
    started.use(startCollecting({ collector: registry.collector, intervalMs: garbage.intervalMs, log }));
    started.use(startSweeping({ collector: registry.collector, log }));
    started.use(startScrubbing({ scrubber: registry.scrubber, log }));
    const { retention, pulls } = registry;
    if (!settings.readOnly) {
      started.use(startRetaining({ retention, intervalMs: settings.retentionIntervalMs, log }));
    }
    started.use(startNotingPulls({ pulls, log }));
  }
  const app = createApp({
    registry,
    authorize: allowEverybody,
    log,
    readOnly: settings.readOnly,
    isDraining,
  });
  const running = started.move();
  return { app, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
