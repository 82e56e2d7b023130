/** Most results that are kept. */
const ENTRIES_MAX = 4_096;

/** Results with more bytes than this are not kept, so that the cache stays below 64 MiB in the worst case. */
const CACHED_BYTES_MAX = 16 * 1024;

/**
 * Results of reads, until the next commit. That is always right, because every write to the database goes through
 * the one connection of this process (FolderLock keeps others away); and it is worth it, because pulls come in
 * crowds that ask for the same tag, manifest and blobs. The oldest result goes first.
 */
export class ReadCache {
  readonly #results = new Map<string, unknown>();

  /** The kept result, or what `read` gives; results of more than CACHED_BYTES_MAX bytes are not kept. */
  get<T>(key: string, read: () => T, bytesOf: (result: T) => number): T {
    const kept = this.#results.get(key);
    if (kept !== undefined) return kept as T;
    const result = read();
    if (result !== undefined && bytesOf(result) <= CACHED_BYTES_MAX) {
      if (this.#results.size >= ENTRIES_MAX) this.#dropOldest();
      this.#results.set(key, result);
    }
    return result;
  }

  /** After a commit. */
  clear(): void {
    if (this.#results.size > 0) this.#results.clear();
  }

  #dropOldest(): void {
    const oldest = this.#results.keys().next();
    if (!oldest.done) this.#results.delete(oldest.value);
  }
}
