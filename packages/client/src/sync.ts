import { ClientError } from "./client-error.ts";
import type { ContentSource, ContentTarget } from "./content.ts";
import { copy } from "./copy.ts";
import type { CopyOptions, CopyResult } from "./copy-options.ts";

/** Tags of one entry that are looked at. */
const TAGS_MAX = 100_000;

/** A repository that another one follows. */
export interface SyncEntry {
  readonly source: ContentSource;
  readonly target: ContentTarget;
  /** Whether a tag of the source is wanted; all by default. */
  readonly isWanted?: ((tag: string) => boolean) | undefined;
  readonly platforms?: CopyOptions["platforms"];
  readonly referrers?: boolean | undefined;
}

export interface SyncOptions extends Pick<
  CopyOptions,
  "jobs" | "dryRun" | "signal" | "onProgress" | "countsBytes"
> {
  /** Told after each tag. */
  readonly onTag?: ((result: SyncResult) => void) | undefined;
}

export interface SyncResult {
  readonly entry: SyncEntry;
  readonly tag: string;
  /** What was done, or why it could not be. */
  readonly outcome: CopyResult | ClientError;
}

/**
 * Brings every wanted tag of every entry to where it belongs, one after another. A tag that fails does not hold up the others.
 * Tags that the source has lost are left alone. @throws what aborts the signal, and nothing else
 */
export async function sync(
  entries: readonly SyncEntry[],
  options: SyncOptions = {},
): Promise<readonly SyncResult[]> {
  const results: SyncResult[] = [];
  for (const entry of entries) {
    for (const tag of await wantedTags(entry, options, results)) {
      const outcome = await attempt(
        () => copy(entry.source, tag, entry.target, { ...options, ...wishesOf(entry), tags: [tag] }),
        options,
      );
      const result = { entry, tag, outcome };
      results.push(result);
      options.onTag?.(result);
    }
  }
  return results;
}

async function wantedTags(
  entry: SyncEntry,
  options: SyncOptions,
  results: SyncResult[],
): Promise<readonly string[]> {
  const { isWanted = () => true, source } = entry;
  const tags = await attempt(async () => {
    const found: string[] = [];
    for await (const tag of source.tags(options)) {
      if (isWanted(tag)) found.push(tag);
      if (found.length > TAGS_MAX)
        throw new ClientError("invalid", `${source.label} has more than ${TAGS_MAX} tags that are wanted`);
    }
    return found;
  }, options);
  if (!(tags instanceof ClientError)) return tags;
  const result = { entry, tag: "", outcome: tags };
  results.push(result);
  options.onTag?.(result);
  return [];
}

async function attempt<T>(work: () => Promise<T>, { signal }: SyncOptions): Promise<T | ClientError> {
  try {
    return await work();
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof ClientError) return error;
    throw error;
  }
}

function wishesOf({ platforms, referrers }: SyncEntry): Pick<CopyOptions, "platforms" | "referrers"> {
  return { platforms, referrers };
}
