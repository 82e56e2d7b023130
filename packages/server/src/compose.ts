import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Administration } from "./auth/administration.ts";
import { type Auth, createAuth, createDirectory } from "./auth/auth.ts";
import { authorize } from "./auth/authorize.ts";
import { createFirstAdmin } from "./auth/first-admin.ts";
import { HtpasswdFile } from "./auth/htpasswd.ts";
import { syncDirectory } from "./blobstore/filesystem/files.ts";
import { FilesystemBlobStore } from "./blobstore/filesystem/filesystem-blob-store.ts";
import type { AuthSettings } from "./config/auth-settings.ts";
import type { RateLimitSettings, Settings } from "./config/settings.ts";
import { LoginThrottle } from "./http/login-throttle.ts";
import { type App, createApp } from "./http/app.ts";
import { RateLimits } from "./http/rate-limits.ts";
import { AUDIT_KEEP_MS, startExpiringAudit, startWritingAudit } from "./jobs/audit.ts";
import { startKeepingTokens } from "./jobs/tokens.ts";
import { startCollecting, startSweeping } from "./jobs/collect.ts";
import { startNotingPulls, startRetaining } from "./jobs/retention.ts";
import { startScrubbing } from "./jobs/scrub.ts";
import { DURATIONS_DEFAULT, type Metadata } from "./metadata/metadata.ts";
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
    started.use(startExpiringAudit({ audit, keepMs: AUDIT_KEEP_MS, log }));
  }
  const auth = settings.auth === null ? null : await composeAuth(settings.auth, metadata, options);
  let firstPassword: string | null = null;
  if (auth !== null && options.background) {
    started.use(startKeepingTokens({ uses: auth.uses, tokens: metadata.tokens, log }));
    if (settings.auth?.hasAccounts === true) {
      firstPassword = await createFirstAdmin(metadata.accounts, auth.passwords);
    }
  }
  const { readOnly, publicUrl, trustedProxies } = settings;
  const limits = composeLimits(settings.limits);
  const app = createApp({
    registry,
    administration: composeAdministration(auth, metadata),
    auth,
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

/** Without authentication accounts can be prepared for it. */
function composeAdministration(auth: Auth | null, metadata: Metadata): Administration {
  const options = {
    metadata,
    htpasswd: null,
    passwordChecksMax: passwordChecksMax(),
    now: Date.now,
    monotonic: () => performance.now(),
  };
  const { accounts, tokens } = metadata;
  return new Administration({ directory: auth ?? createDirectory(options), accounts, tokens, now: Date.now });
}

/** A check takes a core, and others want one as well. */
function passwordChecksMax(): number {
  return Math.max(1, Math.floor(navigator.hardwareConcurrency / 2));
}

/** Ways in, and what they lead to. @throws Error when a file of it cannot be used */
async function composeAuth(
  settings: AuthSettings,
  metadata: Metadata,
  { log }: ComposeOptions,
): Promise<Auth> {
  const monotonic = () => performance.now();
  const { htpasswdFile, service, tokenMs } = settings;
  return createAuth({
    metadata,
    service,
    tokenSeconds: Math.floor(tokenMs / 1_000),
    htpasswd: htpasswdFile === null ? null : await HtpasswdFile.open(htpasswdFile, { log, monotonic }),
    external: null,
    workloads: null,
    gate: new LoginThrottle({ monotonic, wakeAfter, seed: randomSeed() }),
    passwordChecksMax: passwordChecksMax(),
    now: Date.now,
    monotonic,
  });
}

function composeLimits(rules: RateLimitSettings): RateLimits | null {
  if (Object.values(rules).every((rate) => rate === null)) return null;
  return new RateLimits({ rules, monotonic: () => performance.now(), wakeAfter, seed: randomSeed() });
}

function wakeAfter(ms: number, wake: () => void): () => void {
  const timer = setTimeout(wake, ms);
  return () => clearTimeout(timer);
}

/** What attackers cannot know of a table of counts. */
function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}
