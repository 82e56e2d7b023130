import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { authorize } from "./auth/authorize.ts";
import { createFirstAdmin } from "./auth/first-admin.ts";
import { syncDirectory } from "./blobstore/filesystem/files.ts";
import { FilesystemBlobStore } from "./blobstore/filesystem/filesystem-blob-store.ts";
import type { BlobStore } from "./blobstore/blob-store.ts";
import { MemoryBlobStore } from "./blobstore/memory.ts";
import { composeAuth, composeLimits } from "./compose-auth.ts";
import type { Settings } from "./config/settings.ts";
import { type App, createApp } from "./http/app.ts";
import { startExpiringAudit, startWritingAudit } from "./jobs/audit.ts";
import { startKeepingTokens } from "./jobs/tokens.ts";
import { startCollecting, startSweeping } from "./jobs/collect.ts";
import { startNotingPulls, startRetaining } from "./jobs/retention.ts";
import { startScrubbing } from "./jobs/scrub.ts";
import { type Durations, DURATIONS_DEFAULT } from "./metadata/metadata.ts";
import { SqliteMetadata } from "./metadata/sqlite/sqlite-metadata.ts";
import { FolderLock } from "./metadata/sqlite/folder-lock.ts";
import type { Log } from "./observe/log.ts";
import { createRegistry } from "./registry/registry.ts";

export interface System extends AsyncDisposable {
  readonly app: App;
  /** Password of the administrator that was just made, to be told once; null: there was one. */
  readonly firstPassword: string | null;
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
  await using started = new AsyncDisposableStack();
  const { metadata, store } = settings.ephemeral
    ? openMemory(settings, { started, onFatal })
    : await openFolder(settings, { started, onFatal });
  const { garbage } = settings;
  const rules = {
    manifests: { allowSparse: settings.allowSparse, schema1: settings.schema1 },
    collector: garbage,
    scrub: settings.scrub,
  };
  const registry = createRegistry({
    metadata,
    store,
    rules,
    log,
    now: Date.now,
    monotonic: () => performance.now(),
  });
  const { audit } = registry;
  started.use(startWritingAudit({ audit, log }));
  if (options.background) {
    started.use(startCollecting({ collector: registry.collector, intervalMs: garbage.intervalMs, log }));
    started.use(startSweeping({ collector: registry.collector, log }));
    started.use(startScrubbing({ scrubber: registry.scrubber, log }));
    const { retention, pulls } = registry;
    if (!settings.readOnly) {
      started.use(startRetaining({ retention, intervalMs: settings.retentionIntervalMs, log }));
    }
    started.use(startNotingPulls({ pulls, log }));
    started.use(startExpiringAudit({ audit, keepMs: settings.auditKeepMs, log }));
  }
  const { readOnly, publicUrl, trustedProxies } = settings;
  const { auth, login, administration } = await composeAuth(settings.auth, { metadata, log, publicUrl });
  let firstPassword: string | null = null;
  if (auth !== null && options.background) {
    started.use(startKeepingTokens({ uses: auth.uses, tokens: metadata.tokens, log }));
    if (settings.auth?.hasAccounts === true) {
      firstPassword = await createFirstAdmin(metadata.accounts, auth.passwords);
    }
  }
  const limits = composeLimits(settings.limits);
  const app = createApp({
    registry,
    administration,
    auth,
    login,
    authorize,
    log,
    readOnly,
    limits,
    publicUrl,
    trustedProxies,
    isDraining,
  });
  const running = started.move();
  return { app, firstPassword, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

interface Stores {
  readonly metadata: SqliteMetadata;
  readonly store: BlobStore;
}

interface Opening {
  /** Takes over what is opened. */
  readonly started: AsyncDisposableStack;
  readonly onFatal: (error: unknown) => void;
}

async function openFolder(settings: Settings, { started, onFatal }: Opening): Promise<Stores> {
  const { dataDir } = settings;
  await mkdir(dataDir, { recursive: true });
  started.use(FolderLock.take(dataDir));
  const store = started.use(await FilesystemBlobStore.open(dataDir));
  const database = join(dataDir, "stowage.sqlite");
  const durations = durationsOf(settings);
  const metadata = started.use(new SqliteMetadata(database, { now: Date.now, onFatal, durations }));
  await keepPrivate(database);
  // SQLite lets a failed sync of this folder pass when it makes its log.
  await syncDirectory(dataDir);
  return { metadata, store };
}

/** `--ephemeral`: nothing outlives the process. */
function openMemory(settings: Settings, { started, onFatal }: Opening): Stores {
  const store = started.use(new MemoryBlobStore());
  const durations = durationsOf(settings);
  const metadata = started.use(new SqliteMetadata(":memory:", { now: Date.now, onFatal, durations }));
  return { metadata, store };
}

function durationsOf({ garbage }: Settings): Durations {
  return {
    ...DURATIONS_DEFAULT,
    leaseMs: garbage.leaseMs,
    tombstoneGraceMs: garbage.graceMs,
    undoMs: garbage.undoMs,
  };
}

/** A folder of before there were accounts may let others read what now holds keys and hashes of passwords. */
async function keepPrivate(database: string): Promise<void> {
  for (const path of [database, `${database}-wal`, `${database}-shm`]) {
    await chmod(path, 0o600).catch((error: unknown) => {
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    });
  }
}
