import { readFile, stat } from "node:fs/promises";
import { ClientError } from "@stowage/client/client-error";
import { copy } from "@stowage/client/copy";
import type { CopyResult } from "@stowage/client/copy-options";
import type { RegistryClient } from "@stowage/client/registry-client";
import type { Repository } from "@stowage/client/repository";
import { numberOf, UsageError } from "../arguments.ts";
import { openClient } from "../client.ts";
import { formatSize } from "../byte-size.ts";
import type { Call, Command } from "../command.ts";
import { chooseTags, parseSyncFile, type SyncFileEntry } from "../content/sync-file.ts";
import { EXIT } from "../exit-codes.ts";
import { openProgress, type Progress } from "../progress.ts";
import { readInput } from "../read-input.ts";

/** Largest file, in bytes. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;

/** Tags of one repository that are looked at. */
const TAGS_MAX = 1_000_000;

export const SYNC: Command = {
  about:
    "Brings repositories of a file up to date: every tag that is wanted and that the target does not have as the source has it. What the source has lost stays at the target. A tag that fails does not hold up the others; then the command ends with 10.",
  places: [],
  options: {
    file: {
      value: "FILE",
      short: "f",
      help: "a list (YAML) of source, target, tags and platforms; - is standard input",
    },
    "only-changed": {
      value: null,
      help: "ask for digests first, which registries do not count as pulls, and print only what was done",
    },
    "dry-run": { value: null, short: "n", help: "write nothing, say what would travel" },
    jobs: { value: "N", short: "j", help: "blobs that travel at once (default 4)" },
  },
  shared: ["registry", "output", "progress"],
  examples: [
    { line: "sync -f mirror.yml" },
    { line: "sync -f mirror.yml --only-changed" },
    { line: "sync -f mirror.yml --dry-run --format jsonl" },
  ],
  run: runSync,
};

interface Row {
  readonly source: string;
  readonly target: string;
  readonly tag: string;
  readonly digest: string | null;
  readonly outcome: "copied" | "unchanged" | "failed";
  readonly bytes: number;
  readonly error: string | null;
}

async function runSync(call: Call): Promise<number> {
  const entries = await readEntries(call);
  const registries = entries.flatMap(({ source, target }) => [source.registry, target.registry]);
  const client = await openClient(call, registries);
  using progress = openProgress(call);
  let failed = 0;
  async function* counted(): AsyncGenerator<Row, void, void> {
    for await (const row of rows(call, { entries, client, progress })) {
      if (row.error !== null) {
        failed += 1;
        call.warn(`error: ${row.error}`);
      }
      yield row;
    }
  }
  await call.output.list(counted(), {
    value: (row) => row,
    id: ({ target, tag }) => `${target}:${tag}`,
    head: ["TAG", "OUTCOME", "SENT", "TARGET"],
    cells: ({ tag, outcome, bytes, target }) => [tag === "" ? "-" : tag, outcome, formatSize(bytes), target],
  });
  return failed === 0 ? EXIT.ok : EXIT.partial;
}

interface Work {
  readonly entries: readonly SyncFileEntry[];
  readonly client: RegistryClient;
  readonly progress: Progress;
}

async function* rows(call: Call, work: Work): AsyncGenerator<Row, void, void> {
  const onlyChanged = call.args.has("only-changed");
  for (const entry of work.entries) {
    const pair = {
      source: work.client.repository(entry.source),
      target: work.client.repository(entry.target),
    };
    const tags = await attempt(call, () => wantedTags(call, pair, entry));
    if (tags instanceof ClientError) {
      yield failedRow(pair, "", tags);
      continue;
    }
    for (const tag of tags) {
      const result = await attempt(call, () =>
        copyTag(call, { ...pair, entry, tag, progress: work.progress }),
      );
      if (result instanceof ClientError) yield failedRow(pair, tag, result);
      else if (!onlyChanged || result.manifests > 0) yield doneRow(pair, tag, result);
    }
  }
}

interface Pair {
  readonly source: Repository;
  readonly target: Repository;
}

async function wantedTags(
  call: Call,
  { source, target }: Pair,
  entry: SyncFileEntry,
): Promise<readonly string[]> {
  const { signal } = call;
  const all: string[] = [];
  for await (const tag of source.tags({ signal })) {
    all.push(tag);
    if (all.length > TAGS_MAX)
      throw new ClientError("invalid", `${source.label} has more than ${TAGS_MAX} tags`);
  }
  const chosen = chooseTags(all, entry.tags);
  // With some platforms only, the target has another index than the source.
  if (!call.args.has("only-changed") || entry.platforms !== "all") return chosen;
  const changed: string[] = [];
  for (const tag of chosen) {
    const there = await target.headManifest(tag, { signal });
    const isSame = there !== null && (await source.headManifest(tag, { signal }))?.digest === there.digest;
    if (!isSame) changed.push(tag);
  }
  return changed;
}

interface TagCopy extends Pair {
  readonly entry: SyncFileEntry;
  readonly tag: string;
  readonly progress: Progress;
}

async function copyTag(
  { args, signal }: Call,
  { source, target, entry, tag, progress }: TagCopy,
): Promise<CopyResult> {
  return await copy(source, tag, target, {
    tags: [tag],
    platforms: entry.platforms,
    referrers: entry.referrers,
    jobs: numberOf(args, "jobs", { fallback: 4, min: 1, max: 64 }),
    dryRun: args.has("dry-run"),
    signal,
    onProgress: (event) => progress.onProgress(event),
    countsBytes: progress.countsBytes,
  });
}

/** One that fails does not hold up the others; a signal does. */
async function attempt<T>({ signal }: Call, work: () => Promise<T>): Promise<T | ClientError> {
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ClientError) return error;
    throw error;
  }
}

function doneRow({ source, target }: Pair, tag: string, { digest, bytes, manifests }: CopyResult): Row {
  const outcome = manifests === 0 ? "unchanged" : "copied";
  return { source: source.label, target: target.label, tag, digest, bytes, outcome, error: null };
}

function failedRow({ source, target }: Pair, tag: string, { message: error }: ClientError): Row {
  return {
    source: source.label,
    target: target.label,
    tag,
    digest: null,
    bytes: 0,
    outcome: "failed",
    error,
  };
}

async function readEntries({ args, world }: Call): Promise<readonly SyncFileEntry[]> {
  const path = args.get("file");
  if (path === null) throw new UsageError("--file is missing");
  if (path === "-") return parseSyncFile(await readInput(world.stdin, FILE_BYTES_MAX), "standard input");
  const found = await stat(path).catch((cause: unknown) => {
    throw new UsageError(`cannot read "${path}": ${cause instanceof Error ? cause.message : String(cause)}`);
  });
  if (found.size > FILE_BYTES_MAX) throw new UsageError(`"${path}" has more than ${FILE_BYTES_MAX} bytes`);
  return parseSyncFile(await readFile(path, "utf8"), path);
}
