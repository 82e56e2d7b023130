import type { RegistryClient } from "@stowage/client/registry-client";
import type { Repository } from "@stowage/client/repository";
import { parseDuration } from "@stowage/server/config/duration";
import { compileTagGlobs } from "@stowage/server/registry/tag-glob";
import { parse, type SemVer } from "semver";
import { type Arguments, UsageError } from "../arguments.ts";
import { formatSize } from "../byte-size.ts";
import { openClient } from "../client.ts";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { CommandError } from "../failure.ts";
import { requireRepositoryName } from "../image.ts";
import type { ListView } from "../output.ts";
import { type TagDetails, tagsOfManifests, tagsOfStowage } from "../tag-details.ts";

const SORTS = ["name", "semver", "pushed", "size"] as const;
type Sort = (typeof SORTS)[number];

/** Tags that are kept to be sorted. */
const TAGS_MAX = 1_000_000;

export const LS: Command = {
  about:
    "Lists the tags of a repository. When a tag was pushed only Stowage says; sizes and digests of other registries are read out of the manifests, one request a tag.",
  places: [{ name: "REPO", help: "for example localhost:5000/team/app", completes: "repository" }],
  options: {
    long: { value: null, short: "l", help: "with digest, size, platform and when it was pushed" },
    sort: {
      value: "KEY",
      choices: SORTS,
      help: "name, semver (oldest version first, other tags last), pushed or size (largest first; newest first)",
    },
    reverse: { value: null, short: "r", help: "the other way round" },
    include: { value: "GLOB", help: "only tags that match, e.g. 'v1.*'; may be repeated" },
    exclude: { value: "GLOB", help: "no tags that match; may be repeated" },
    since: { value: "TIME", help: "pushed since then: 24h, 7d, 2026-01-31" },
  },
  shared: ["output", "registry"],
  examples: [
    { line: "ls localhost:5000/team/app" },
    { line: "ls localhost:5000/team/app --long --sort pushed" },
    { line: "ls localhost:5000/team/app --include 'v*' --sort semver -q" },
    { line: "ls localhost:5000/team/app --since 24h --format '{{.name}} {{.pushedAt}}'" },
  ],
  run,
};

const LONG: ListView<TagDetails> = {
  id: ({ name }) => name,
  value: (tag) => tag,
  head: ["TAG", "DIGEST", "SIZE", "PLATFORM", "PUSHED"],
  cells: ({ name, digest, size, platform, pushedAt }) => [
    name,
    digest,
    size === null ? "-" : formatSize(size),
    platform ?? "-",
    pushedAt ?? "-",
  ],
};

async function run(call: Call): Promise<number> {
  const { args, output, signal, world } = call;
  const reference = requireRepositoryName(args.places[0] ?? "");
  const client = await openClient(call, [reference.registry]);
  const repository = client.repository(reference);
  const isWanted = filterOf(args);
  const sort = (args.get("sort") ?? "name") as Sort;
  const since = sinceOf(args, world.now());
  const needsTimes = since !== null || sort === "pushed";
  if (!args.has("long") && !needsTimes && sort !== "size") {
    const names = matching(repository.tags({ signal }), isWanted, (name) => name);
    const all =
      sort === "name" && !args.has("reverse") ? names : sorted(await collect(names), args, byName(sort));
    await output.list(all, { id: (name) => name, value: (name) => ({ name }) });
    return EXIT.ok;
  }
  const tags = await readDetails({ client, repository, isWanted, needsTimes, signal });
  const recent = tags.filter(
    ({ pushedAt }) => since === null || (pushedAt !== null && Date.parse(pushedAt) >= since),
  );
  const { cells: _, head: __, ...short } = LONG;
  await output.list(
    sorted(recent, args, byDetails(sort)),
    args.has("long") || output.isStructured ? LONG : short,
  );
  return EXIT.ok;
}

interface DetailsRequest {
  readonly client: RegistryClient;
  readonly repository: Repository;
  readonly isWanted: (tag: string) => boolean;
  readonly needsTimes: boolean;
  readonly signal: AbortSignal;
}

async function readDetails({
  client,
  repository,
  isWanted,
  needsTimes,
  signal,
}: DetailsRequest): Promise<readonly TagDetails[]> {
  const known = await tagsOfStowage(client, repository, { signal });
  if (known !== null) return known.filter(({ name }) => isWanted(name));
  const names = await collect(matching(repository.tags({ signal }), isWanted, (name) => name));
  if (needsTimes) {
    throw new CommandError(`ls: ${repository.registry} does not say when tags were pushed`, {
      hint: "tags can be sorted by name, semver or size all the same",
    });
  }
  return await collect(tagsOfManifests(repository, names, { signal }));
}

async function* matching<T>(
  entries: AsyncIterable<T>,
  isWanted: (name: string) => boolean,
  nameOf: (entry: T) => string,
): AsyncGenerator<T, void, void> {
  for await (const entry of entries) if (isWanted(nameOf(entry))) yield entry;
}

async function collect<T>(entries: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const entry of entries) {
    all.push(entry);
    if (all.length > TAGS_MAX) throw new CommandError(`ls: more than ${TAGS_MAX} tags`);
  }
  return all;
}

function sorted<T>(entries: readonly T[], args: Arguments, order: (a: T, b: T) => number): readonly T[] {
  const all = entries.toSorted(order);
  return args.has("reverse") ? all.toReversed() : all;
}

function byName(sort: Sort): (a: string, b: string) => number {
  if (sort !== "semver") return compareText;
  return (a, b) => {
    const [one, other] = [versionOf(a), versionOf(b)];
    if (one === null || other === null)
      return Number(one === null) - Number(other === null) || compareText(a, b);
    return one.compare(other) || compareText(a, b);
  };
}

/** Of tags such as `v1.2.3`, and of shorter ones: `1.25-alpine` counts as 1.25.0-alpine. Null: it is no version. */
function versionOf(tag: string): SemVer | null {
  const [, major, minor = "0", patch = "0", rest = ""] =
    /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?([-+][0-9A-Za-z.+-]+)?$/.exec(tag) ?? [];
  return major === undefined ? null : parse(`${major}.${minor}.${patch}${rest}`, { loose: true });
}

function byDetails(sort: Sort): (a: TagDetails, b: TagDetails) => number {
  const names = byName(sort);
  const order = (a: TagDetails, b: TagDetails): number => {
    if (sort === "size") return (b.size ?? 0) - (a.size ?? 0);
    return sort === "pushed" ? compareText(b.pushedAt ?? "", a.pushedAt ?? "") : 0;
  };
  return (a, b) => order(a, b) || names(a.name, b.name);
}

function compareText(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

/** @throws UsageError */
export function filterOf(args: Arguments): (name: string) => boolean {
  const globsOf = (option: string) => {
    const globs = args.all(option);
    try {
      return compileTagGlobs(globs);
    } catch (error) {
      throw new UsageError(`--${option}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const isIncluded = args.has("include") ? globsOf("include") : () => true;
  const isExcluded = globsOf("exclude");
  return (name) => isIncluded(name) && !isExcluded(name);
}

/** @throws UsageError */
function sinceOf(args: Arguments, now: number): number | null {
  const text = args.get("since");
  if (text === null) return null;
  const ms = parseDuration(text);
  const at = ms === null ? Date.parse(/^\d{4}-\d{2}-\d{2}(?:T|$)/.test(text) ? text : "") : now - ms;
  if (!Number.isNaN(at)) return at;
  throw new UsageError(`--since is "${text}"; wanted a time such as 24h, 7d or 2026-01-31T00:00:00Z`);
}
