import type { RegistryClient } from "@stowage/client/registry-client";
import type { Repository } from "@stowage/client/repository";
import type { Arguments } from "../arguments.ts";
import { formatSize } from "../byte-size.ts";
import { openClient } from "../client.ts";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { CommandError } from "../failure.ts";
import { requireRepositoryName } from "../image.ts";
import type { ListView } from "../output.ts";
import { TAG_SORTS, type TagDetails, type TagSort, tagsOfManifests, tagsOfStowage } from "../tag-details.ts";

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
      choices: TAG_SORTS,
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

const NAMES: ListView<string> = { id: (name) => name, value: (name) => ({ name }) };

async function run(call: Call): Promise<number> {
  const { args, output, signal, world } = call;
  const reference = requireRepositoryName(args.places[0] ?? "");
  const client = await openClient(call, [reference.registry]);
  const repository = client.repository(reference);
  const { isWanted, since } = await readFilter(args, world.now());
  const sort = (args.get("sort") ?? "name") as TagSort;
  const needsTimes = since !== null || sort === "pushed";
  if (!args.has("long") && !needsTimes && sort !== "size") {
    const names = matching(repository.tags({ signal }), isWanted);
    const isSorted = sort === "name" && !args.has("reverse");
    await output.list(isSorted ? names : await sortNames(names, args, sort), NAMES);
    return EXIT.ok;
  }
  const { byDetails } = await import("../tag-order.ts");
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

interface Filter {
  readonly isWanted: (tag: string) => boolean;
  /** Milliseconds of the day; null: whenever. */
  readonly since: number | null;
}

/** Loaded only when it is asked for: patterns and times take longer to load than a list to come. @throws UsageError */
async function readFilter(args: Arguments, now: number): Promise<Filter> {
  if (!["include", "exclude", "since"].some((option) => args.has(option))) {
    return { isWanted: () => true, since: null };
  }
  const { filterOf, sinceOf } = await import("../tag-filter.ts");
  return { isWanted: filterOf(args), since: sinceOf(args, now) };
}

async function sortNames(
  names: AsyncIterable<string>,
  args: Arguments,
  sort: TagSort,
): Promise<readonly string[]> {
  const { byName } = await import("../tag-order.ts");
  return sorted(await collect(names), args, byName(sort));
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
  const names = await collect(matching(repository.tags({ signal }), isWanted));
  if (needsTimes) {
    throw new CommandError(`ls: ${repository.registry} does not say when tags were pushed`, {
      hint: "tags can be sorted by name, semver or size all the same",
    });
  }
  return await collect(tagsOfManifests(repository, names, { signal }));
}

async function* matching(
  names: AsyncIterable<string>,
  isWanted: (name: string) => boolean,
): AsyncGenerator<string, void, void> {
  for await (const name of names) if (isWanted(name)) yield name;
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
