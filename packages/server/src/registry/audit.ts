import type {
  AuditDetail,
  AuditEntry,
  AuditFilter,
  Metadata,
  StoredAuditEntry,
} from "../metadata/metadata.ts";
import { type AuditActor, AUDIT_KINDS, type AuditDeed, NOBODY, toEntry } from "./audit-entry.ts";
import { breathe } from "./breathe.ts";
import { Refusals } from "./refusals.ts";

export type { AuditDeed, AuditDetail, AuditFilter, StoredAuditEntry };

/** Entries that wait to be written; of more, refusals go first. */
const QUEUE_MAX = 10_000;

/** Entries that one transaction writes, and that are written without waiting for the rest of the second. */
const BATCH_MAX = 256;

/** Entries that one read looks at, so that it is short. */
const SCANNED_MAX = 10_000;

/** Entries that are kept, of changes and of refusals: a million together. */
const CHANGES_MAX = 800_000;
const REFUSALS_MAX = 200_000;

/** Entries that one transaction deletes. */
const EXPIRED_MAX = 500;

/** What of a log the audit trail needs. */
export interface AuditLog {
  info(message: string, fields: Readonly<Record<string, string | number | boolean | null>>): void;
  warn(message: string, fields: Readonly<Record<string, string | number | boolean | null>>): void;
}

/** What of the metadata the audit trail needs. */
export type AuditStore = Pick<Metadata, "audit" | "garbage">;

export interface AuditOptions {
  readonly metadata: AuditStore;
  readonly log: AuditLog;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Who did what, from where, with which credential: one line in the log at once, one row soon after. */
export class Audit {
  readonly #options: AuditOptions;
  readonly #refusals = new Refusals();
  #queue: AuditEntry[] = [];
  #dropped = 0;
  #flushing: Promise<void> | null = null;

  constructor(options: AuditOptions) {
    this.#options = options;
  }

  /** Whether something that was done waits to be written, and not only refusals. */
  get hasChanges(): boolean {
    return this.#queue.some(({ isRefusal }) => !isRefusal);
  }

  /** Takes note: it is in the log now, and in the store soon if the store can write. Never throws. */
  record(actor: AuditActor, deed: AuditDeed): void {
    const entry = toEntry(actor, deed, this.#options.now());
    const isFirst = !entry.isRefusal || this.#gather(entry);
    if (!isFirst) return;
    this.#say(entry);
    if (AUDIT_KINDS[entry.action] !== "pull") this.#put(entry);
    // Only now and then, or a store that cannot write would be asked, and that be logged, for each entry.
    if (this.#queue.length > 0 && this.#queue.length % BATCH_MAX === 0) void this.#flushSoon();
  }

  /** The same for what changes who may do what: it is durable when this resolves, or this throws. */
  async recordNow(actor: AuditActor, deed: AuditDeed): Promise<void> {
    const entry = toEntry(actor, deed, this.#options.now());
    this.#say(entry);
    await this.#write([entry]);
  }

  /**
   * Writes what has come together, `isLast` with what is still being gathered. What could not be written is tried again
   * the next time.
   */
  async flush({ isLast = false }: { readonly isLast?: boolean } = {}): Promise<void> {
    if (this.#flushing !== null) await this.#flushing.catch(() => undefined);
    for (const entry of this.#refusals.end(isLast ? Number.POSITIVE_INFINITY : this.#options.now())) {
      this.#say(entry);
      this.#put(entry);
    }
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = null;
    });
    await this.#flushing;
  }

  /** Newest first; `before` is the `next` of the page before. */
  async list(
    filter: AuditFilter,
    page: { readonly before: number | null; readonly entriesMax: number },
  ): Promise<{ readonly entries: readonly StoredAuditEntry[]; readonly next: number | null }> {
    const entries: StoredAuditEntry[] = [];
    for (let before = page.before; ;) {
      const entriesMax = page.entriesMax - entries.length;
      const scannedMax = SCANNED_MAX;
      const part = await this.#options.metadata.audit.list({ ...filter, before, entriesMax, scannedMax });
      entries.push(...part.entries);
      before = part.next;
      if (before === null || entries.length >= page.entriesMax) return { entries, next: before };
      await breathe();
    }
  }

  /** Forgets what is older than `keepMs`, and the oldest of too many, in short transactions; how many. */
  async expire(keepMs: number, signal: AbortSignal): Promise<number> {
    const { audit, garbage } = this.#options.metadata;
    const before = (await garbage.now()) - keepMs;
    const limits = { before, changesMax: CHANGES_MAX, refusalsMax: REFUSALS_MAX, max: EXPIRED_MAX };
    let expired = 0;
    while (!signal.aborted) {
      const deleted = await audit.expire(limits);
      expired += deleted;
      if (deleted < EXPIRED_MAX) break;
      await breathe();
    }
    return expired;
  }

  /** Whether the refusal is the first of its kind in this minute; the others become one entry at its end. */
  #gather(entry: AuditEntry): boolean {
    for (const gathered of this.#refusals.end(entry.at)) {
      this.#say(gathered);
      this.#put(gathered);
    }
    return this.#refusals.isFirst(entry);
  }

  #say({ at: _, detail, isRefusal: _isRefusal, ...fields }: AuditEntry): void {
    this.#options.log.info("audit", { ...fields, ...detail });
  }

  #put(entry: AuditEntry): void {
    if (this.#queue.length >= QUEUE_MAX) {
      this.#dropped += 1;
      const refusal = this.#queue.findIndex(({ isRefusal }) => isRefusal);
      if (refusal === -1) return;
      this.#queue.splice(refusal, 1);
    }
    this.#queue.push(entry);
  }

  async #flushSoon(): Promise<void> {
    await this.flush().catch((error: unknown) =>
      this.#options.log.warn("audit entries could not be written; it is tried again", {
        error: error instanceof Error ? error.message : String(error),
      }),
    );
  }

  async #flush(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, BATCH_MAX);
      const dropped = this.#dropped;
      const gap = dropped === 0 ? [] : [droppedEntry(dropped, this.#options.now())];
      try {
        await this.#write([...batch, ...gap]);
        this.#dropped -= dropped;
      } catch (error) {
        this.#putBack(batch);
        throw error;
      }
    }
  }

  async #write(entries: readonly AuditEntry[]): Promise<void> {
    const { metadata, now } = this.#options;
    // Times are told by the store's clock.
    const ahead = (await metadata.garbage.now()) - now();
    await metadata.audit.append(entries.map((entry) => ({ ...entry, at: entry.at + ahead })));
  }

  #putBack(batch: readonly AuditEntry[]): void {
    const later = this.#queue;
    this.#queue = [...batch];
    for (const entry of later) this.#put(entry);
  }
}

function droppedEntry(dropped: number, at: number): AuditEntry {
  return toEntry(NOBODY, { action: "audit.dropped", status: 503, detail: { dropped } }, at);
}
