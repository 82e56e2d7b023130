import { manifestFrom, partsOf } from "@stowage/client/image-manifests";
import { entriesForPlatform, requirePlatform } from "@stowage/client/platform";
import { isObject } from "@stowage/oci/descriptor";
import { MEDIA_TYPE } from "@stowage/oci/media-type";
import { requireTag } from "@stowage/oci/reference";
import type { Repository } from "@stowage/client/repository";
import { type Arguments, type OptionSpecs, UsageError } from "../arguments.ts";
import { formatSize } from "../byte-size.ts";
import type { Call, Command, Entry, Group, Place } from "../command.ts";
import { ANNOTATION_OPTION, annotationsOf } from "../content/annotations.ts";
import {
  bringEntries,
  type IndexEntry,
  mergeEntries,
  platformTextOf,
  requireIndex,
} from "../content/index-entries.ts";
import { openImages, openInRegistry } from "../content/open-image.ts";
import { EXIT } from "../exit-codes.ts";
import { CommandError } from "../failure.ts";
import { cellOf } from "../table.ts";

const INDEX_PLACE: Place = { name: "INDEX", completes: "reference" };
const SOURCES_PLACE: Place = {
  name: "SRC",
  help: "images, or indexes with theirs",
  completes: "image",
  takesRest: true,
};

const TAG_OPTION: OptionSpecs = {
  tag: {
    value: "TAG",
    short: "t",
    help: "where the new index goes (default: the tag of INDEX); may be repeated",
  },
};

const SHARED_OPTIONS = ["registry", "output"] as const;

export const INDEX: Group = {
  about: "Makes and changes indexes: images for several platforms under one name.",
  commands: {
    create: entry("make an index of images", {
      about:
        "Makes an index of images and puts it under a tag. Images of other repositories are copied first; the platform of each is what its config says.",
      places: [INDEX_PLACE, SOURCES_PLACE],
      options: {
        annotation: ANNOTATION_OPTION,
        docker: { value: null, help: "a manifest list of docker instead of an OCI index" },
      },
      shared: SHARED_OPTIONS,
      examples: [
        {
          line: "index create localhost:5000/team/app:all localhost:5000/team/app:1.0 localhost:5000/team/app:1.1",
        },
      ],
      run: runCreate,
    }),
    append: entry("add images to an index", {
      about: "Adds images to an index. One that is there already is replaced; everything else in it stays.",
      places: [INDEX_PLACE, SOURCES_PLACE],
      options: TAG_OPTION,
      shared: SHARED_OPTIONS,
      examples: [{ line: "index append localhost:5000/team/multi:1.0 localhost:5000/team/app:1.0" }],
      run: runAppend,
    }),
    filter: entry("keep the images of some platforms", {
      about: "Makes an index with the images of some platforms only, and what attests them.",
      places: [INDEX_PLACE],
      options: {
        platform: { value: "OS/ARCH", help: "to keep, for example linux/arm64; may be repeated" },
        ...TAG_OPTION,
      },
      shared: SHARED_OPTIONS,
      examples: [{ line: "index filter localhost:5000/team/multi:1.0 --platform linux/amd64 -t amd64" }],
      run: runFilter,
    }),
    list: entry("print what is in an index", {
      about: "Prints the entries of an index.",
      places: [INDEX_PLACE],
      shared: SHARED_OPTIONS,
      examples: [{ line: "index list localhost:5000/team/multi:1.0" }],
      run: runList,
    }),
  },
  examples: [
    { line: "index list localhost:5000/team/multi:1.0" },
    { line: "index filter localhost:5000/team/multi:1.0 --platform linux/amd64 -t amd64" },
  ],
};

function entry(summary: string, command: Command): Entry {
  return { summary, load: async () => command };
}

async function runCreate(call: Call): Promise<number> {
  const [name = "", ...sources] = call.args.places;
  const { repository, reference } = await openInRegistry(call, name);
  if (reference.includes(":")) throw new UsageError(`"${name}" has a digest; wanted a tag`);
  const mediaType = call.args.has("docker") ? MEDIA_TYPE.dockerList : MEDIA_TYPE.ociIndex;
  const annotations = annotationsOf(call.args);
  const manifests = mergeEntries(await bring(call, sources, repository));
  const body = {
    schemaVersion: 2,
    mediaType,
    manifests,
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
  return await put(call, repository, { body, mediaType, tags: [reference] });
}

async function runAppend(call: Call): Promise<number> {
  const [name = "", ...sources] = call.args.places;
  const { repository, reference } = await openInRegistry(call, name);
  const { body, manifest, entries } = await requireIndex(call, repository, reference);
  const manifests = mergeEntries([...entries, ...(await bring(call, sources, repository))]);
  const tags = tagsOf(call.args, reference);
  return await put(call, repository, { body: { ...body, manifests }, mediaType: manifest.mediaType, tags });
}

async function runFilter(call: Call): Promise<number> {
  const { repository, reference } = await openInRegistry(call, call.args.places[0] ?? "");
  const platforms = call.args.all("platform").map(requirePlatform);
  if (platforms.length === 0) throw new UsageError("--platform is missing");
  const { body, manifest, entries } = await requireIndex(call, repository, reference);
  const { manifests: descriptors } = partsOf(manifest);
  const kept = new Set<unknown>(
    platforms.flatMap((platform) => entriesForPlatform(descriptors, platform)).map(({ digest }) => digest),
  );
  if (kept.size === 0) {
    const offered = entries.map(platformTextOf).filter((text) => text !== null && text !== "unknown/unknown");
    throw new CommandError(
      `no image of ${repository.label} is for these platforms; there are ${offered.join(", ")}`,
      {
        code: EXIT.notFound,
      },
    );
  }
  const manifests = entries.filter((one) => kept.has(one.digest) || kept.has(attestedBy(one)));
  const tags = tagsOf(call.args, reference);
  return await put(call, repository, { body: { ...body, manifests }, mediaType: manifest.mediaType, tags });
}

/** BuildKit's attestations say by an annotation which image they are about. */
function attestedBy({ annotations }: IndexEntry): unknown {
  return isObject(annotations) ? annotations["vnd.docker.reference.digest"] : undefined;
}

async function runList(call: Call): Promise<number> {
  const { repository, reference } = await openInRegistry(call, call.args.places[0] ?? "");
  const { entries } = await requireIndex(call, repository, reference);
  await call.output.list(entries, {
    value: (one) => one,
    id: ({ digest }) => cellOf(digest),
    head: ["PLATFORM", "TYPE", "SIZE", "DIGEST"],
    cells: (one) => [
      platformTextOf(one) ?? "-",
      cellOf(one.artifactType ?? one.mediaType),
      typeof one.size === "number" ? formatSize(one.size) : "-",
      cellOf(one.digest),
    ],
  });
  return EXIT.ok;
}

async function bring(
  call: Call,
  texts: readonly string[],
  target: Repository,
): Promise<readonly IndexEntry[]> {
  const sources = await openImages(call, texts);
  await using stack = new AsyncDisposableStack();
  for (const source of sources) stack.use(source);
  return await bringEntries(call, sources, target);
}

/** The tags that are said, else the one that the index has; none: it is found by its digest. */
function tagsOf(args: Arguments, reference: string): readonly string[] {
  const said = args.all("tag").map(requireTag);
  return said.length > 0 || reference.includes(":") ? said : [reference];
}

async function put(
  call: Call,
  repository: Repository,
  {
    body,
    mediaType,
    tags,
  }: { readonly body: unknown; readonly mediaType: string; readonly tags: readonly string[] },
): Promise<number> {
  const manifest = manifestFrom(body, mediaType);
  await repository.putManifest(manifest, { tags, signal: call.signal });
  const reference = `${repository.label}@${manifest.digest}`;
  call.output.print({
    value: {
      reference,
      digest: manifest.digest,
      mediaType,
      tags,
      manifests: partsOf(manifest).manifests.length,
    },
    text: () => `${reference}\n`,
    ids: () => [manifest.digest],
  });
  return EXIT.ok;
}
