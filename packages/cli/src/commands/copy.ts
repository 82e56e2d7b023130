import { ClientError } from "@stowage/client/client-error";
import { copy } from "@stowage/client/copy";
import type { CopyResult } from "@stowage/client/copy-options";
import { type ImageReference, requireImageReference, targetOf } from "@stowage/client/image-reference";
import { parseTransport } from "@stowage/client/node/transport";
import { requirePlatform } from "@stowage/client/platform";
import type { Repository } from "@stowage/client/repository";
import { numberOf, UsageError } from "../arguments.ts";
import { formatSize } from "../byte-size.ts";
import { openClient } from "../client.ts";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { CommandError, describeFailure } from "../failure.ts";
import { nameOf } from "../image.ts";
import { openProgress, type Progress } from "../progress.ts";

const JOBS_MAX = 64;

export const COPY: Command = {
  about:
    "Copies an image with everything that belongs to it, between repositories and registries. Blobs go through memory piece by piece, a few at once; what is there already stays, and within one registry nothing moves at all. All platforms are copied unless some are named. The last line is what the copy is called.\n\n`stowage pull` and `stowage push` copy to and from files and folders.",
  places: [
    { name: "SRC", help: "image, or a repository with --all-tags", completes: "reference" },
    { name: "DST", help: "where to; without a tag it keeps that of SRC", completes: "reference" },
  ],
  options: {
    "all-tags": { value: null, short: "a", help: "every tag of the repository" },
    jobs: { value: "N", short: "j", help: "blobs that travel at once (default 4)" },
    "no-clobber": { value: null, short: "n", help: "leave tags alone that are there already" },
    platform: { value: "OS/ARCH", help: "only this platform of an index; may be repeated" },
    referrers: { value: null, help: "with signatures, SBOMs and whatever else refers to it" },
    "dry-run": { value: null, help: "say what would be copied" },
  },
  shared: ["output", "progress", "registry"],
  examples: [
    { line: "copy localhost:5000/team/app:1.0 localhost:5000/mirror/app:1.0" },
    { line: "copy -a localhost:5000/team/app localhost:5000/mirror/all -j 8" },
    { line: "cp localhost:5000/team/app:1.0 localhost:5000/mirror/app --referrers --platform linux/amd64" },
    { line: "copy alpine:3.22 localhost:5000/mirror/alpine", untested: "it needs Docker Hub" },
  ],
  run,
};

/** One image of the run. */
interface Job {
  readonly source: string;
  /** Null: the copy has no tag. */
  readonly tag: string | null;
}

async function run(call: Call): Promise<number> {
  const { args } = call;
  const [from = "", to = ""] = args.places;
  requireRegistries(from, to);
  const [source, target] = [requireImageReference(from), requireImageReference(to)];
  if (target.digest !== null)
    throw new UsageError(`"${to}" has a digest; the copy has the one of its source`);
  const isAll = args.has("all-tags");
  if (isAll && (source.tag ?? source.digest ?? target.tag) !== null) {
    throw new UsageError("--all-tags wants two repositories without tag and digest");
  }
  const client = await openClient(call, [source.registry, target.registry]);
  const way: Way = { source, target, from: client.repository(source), to: client.repository(target) };
  using progress = openProgress(call);
  return isAll ? await copyAll(call, way, progress) : await copyOne(call, way, progress);
}

/** `oci:DIR` reads like an image of Docker Hub. @throws UsageError */
function requireRegistries(from: string, to: string): void {
  if (parseTransport(from) !== null)
    throw new UsageError(`"${from}" is a file or folder; wanted \`stowage push\``);
  if (parseTransport(to) !== null)
    throw new UsageError(`"${to}" is a file or folder; wanted \`stowage pull\``);
}

interface Way {
  readonly source: ImageReference;
  readonly target: ImageReference;
  readonly from: Repository;
  readonly to: Repository;
}

async function copyOne(call: Call, way: Way, progress: Progress): Promise<number> {
  const { source, target } = way;
  const wanted = targetOf(source) ?? "latest";
  const tag = target.tag ?? source.tag ?? (source.digest === null ? wanted : null);
  const done = await copyJob(call, way, { job: { source: wanted, tag }, progress });
  if (done !== null) await call.output.list([done], VIEW);
  return EXIT.ok;
}

async function copyAll(call: Call, way: Way, progress: Progress): Promise<number> {
  let failed = 0;
  let count = 0;
  async function* copies(): AsyncGenerator<Copied, void, void> {
    for await (const tag of way.from.tags({ signal: call.signal })) {
      count++;
      try {
        const done = await copyJob(call, way, { job: { source: tag, tag }, progress });
        if (done !== null) yield done;
      } catch (error) {
        call.signal.throwIfAborted();
        if (!(error instanceof ClientError)) throw error;
        failed++;
        call.world.stderr.write(describeFailure(error, call.name).text);
      }
    }
  }
  await call.output.list(copies(), VIEW);
  if (failed === 0) return EXIT.ok;
  throw new CommandError(`${failed} of ${count} tags were not copied`, { code: EXIT.partial });
}

interface Copied {
  readonly source: string;
  readonly target: string;
  readonly reference: string;
  readonly result: CopyResult;
}

const VIEW = {
  id: ({ reference }: Copied) => reference,
  value: ({ source, target, reference, result }: Copied) => ({ source, target, reference, ...result }),
};

/** Null: it was left alone. */
async function copyJob(
  call: Call,
  { source, target, from, to }: Way,
  { job, progress }: { readonly job: Job; readonly progress: Progress },
): Promise<Copied | null> {
  const { args, signal, say } = call;
  const name = nameOf(target, job.tag ?? job.source);
  if (args.has("no-clobber") && job.tag !== null && (await to.headManifest(job.tag, { signal })) !== null) {
    say(`${name} is there already`);
    return null;
  }
  const platforms = args.all("platform").flatMap((text) => text.split(",").map(requirePlatform));
  const isDry = args.has("dry-run");
  const result = await copy(from, job.source, to, {
    tags: job.tag === null ? [] : [job.tag],
    platforms: platforms.length === 0 ? "all" : platforms,
    referrers: args.has("referrers"),
    jobs: numberOf(args, "jobs", { fallback: 4, min: 1, max: JOBS_MAX }),
    dryRun: isDry,
    signal,
    onProgress: (event) => progress.onProgress(event),
    countsBytes: progress.countsBytes,
  });
  if (result.manifests === 0) say(`${name} is there already`);
  else
    say(`${isDry ? "would copy" : "copied"} ${nameOf(source, job.source)} to ${name}: ${describe(result)}`);
  return {
    source: nameOf(source, job.source),
    target: name,
    reference: nameOf(target, result.digest),
    result,
  };
}

function describe({ blobs, bytes, manifests }: CopyResult): string {
  const { copied, mounted, existed, skipped } = blobs;
  const parts = [
    `${manifests} ${manifests === 1 ? "manifest" : "manifests"}`,
    ...(copied > 0 ? [`${copied} ${copied === 1 ? "blob" : "blobs"} (${formatSize(bytes)})`] : []),
    ...(mounted > 0 ? [`${mounted} mounted`] : []),
    ...(existed > 0 ? [`${existed} there already`] : []),
    ...(skipped > 0 ? [`${skipped} not distributable`] : []),
  ];
  return parts.join(", ");
}
