import { type Digest, digestFromHex } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import { parseStrictJson } from "@stowage/oci/strict-json";
import type { Tag } from "@stowage/oci/tag";
import type { Identity } from "../auth/caller.ts";
import type { CollectUntagged, JudgedTag, Metadata } from "../metadata/metadata.ts";
import { breathe } from "./breathe.ts";
import type { Collector } from "./collect-garbage.ts";
import { type DeleteReason, TagJudge } from "./judge-tags.ts";
import { OneAtATime } from "./one-at-a-time.ts";
import type { CompiledPolicies, RepositoryPolicy } from "./policies.ts";
import type { Pulls } from "./pulls.ts";

/** Name of the document that the policies are. */
const DOCUMENT = "policies";

/** Rows of a page. */
const TAGS_PAGE = 500;
const REPOSITORIES_PAGE = 200;

/** Tags that one transaction deletes. */
const DELETES_BATCH = 100;

/** Tags that a report names. */
const NAMED_MAX = 1_000;

export interface DeletedTag {
  readonly repository: RepositoryName;
  readonly tag: Tag;
  readonly reason: DeleteReason | "its subject is gone";
}

export interface RetentionCounts {
  /** Repositories that a policy is for. */
  readonly repositories: number;
  readonly tagsKept: number;
  readonly tagsDeleted: number;
  /** 0 in a dry run. */
  readonly untaggedDeleted: number;
}

/** What a run did, or, for a dry run, would do. */
export interface RetentionReport extends RetentionCounts {
  readonly dryRun: boolean;
  /** Milliseconds for which the clock's jump keeps anything from being deleted; then nothing was. */
  readonly pausedMs: number;
  /** The same for each policy, in the order of the document. */
  readonly byPolicy: readonly RetentionCounts[];
  /** The first thousand tags that were deleted. */
  readonly deleted: readonly DeletedTag[];
}

/** What of the metadata retention needs. */
export type RetentionStore = Pick<Metadata, "documents" | "garbage" | "manifests" | "retention">;

export interface RetentionOptions {
  readonly metadata: RetentionStore;
  readonly collector: Collector;
  readonly pulls: Pulls;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number;
}

/** After so much work others have their turn, in milliseconds. */
const WORK_MS_MAX = 10;

/** Cosign's signatures, and fallback tags of referrers: `sha256-<hex>` with something behind it or not. */
const SUBJECT_TAG = /^(sha256|sha512)-([0-9a-f]{64})(?![0-9a-f])/;

/** Keeps the tags that the policies want and deletes the others. Every deletion can be undone for a while. */
export class Retention {
  readonly #metadata: RetentionStore;
  readonly #collector: Collector;
  readonly #pulls: Pulls;
  readonly #monotonic: () => number;
  readonly #runs = new OneAtATime("retention");
  #workingSince = 0;
  #compiled: { readonly json: string; readonly policies: CompiledPolicies } | null = null;

  constructor({ metadata, collector, pulls, monotonic }: RetentionOptions) {
    this.#metadata = metadata;
    this.#collector = collector;
    this.#pulls = pulls;
    this.#monotonic = monotonic;
  }

  /** The policies in force, or null: nobody has set any. Asked at every push, so each text is compiled once. */
  async policies(): Promise<CompiledPolicies | null> {
    const json = await this.#metadata.documents.find(DOCUMENT);
    if (json === null) return null;
    if (this.#compiled?.json !== json) this.#compiled = { json, policies: await readPolicies(json) };
    return this.#compiled.policies;
  }

  /** @throws RegistryError REQUEST_INVALID with every problem of the document */
  async setPolicies(caller: Identity, document: unknown): Promise<CompiledPolicies> {
    const { parsePolicies } = await import("./policies.ts");
    const policies = parsePolicies(document);
    await this.#metadata.documents.put(DOCUMENT, JSON.stringify(policies.document), caller.name);
    return policies;
  }

  /**
   * Judges every repository that a policy is for, after a run that is under way. Stops between two steps when `signal`
   * says so or the policies are replaced.
   * @throws RegistryError TOOMANYREQUESTS when too many wait
   */
  async run(signal: AbortSignal, options: { readonly dryRun: boolean }): Promise<RetentionReport> {
    return await this.#runs.run(() => this.#run(signal, options));
  }

  async #run(signal: AbortSignal, options: { readonly dryRun: boolean }): Promise<RetentionReport> {
    await this.#pulls.flush();
    const policies = await this.policies();
    const dryRun = options.dryRun || policies?.dryRun === true;
    const pausedMs = await this.#collector.pausedMs();
    const byPolicy = (policies?.document.retention.policies ?? []).map(() => ({ ...NO_COUNTS }));
    const deleted: DeletedTag[] = [];
    const report = () => ({ dryRun, pausedMs, ...sumOf(byPolicy), byPolicy, deleted });
    if (policies === null || (pausedMs > 0 && !dryRun)) return report();
    const now = await this.#metadata.garbage.now();
    for await (const repository of this.#repositories()) {
      if (signal.aborted || !(await this.#areInForce(policies))) break;
      const policy = policies.policyOf(repository);
      const counts = byPolicy[policy?.at ?? -1];
      if (policy === null || counts === undefined) continue;
      counts.repositories += 1;
      for await (const judgement of this.#judge({ repository, policy, policies, dryRun, now }, signal)) {
        counts.tagsKept += judgement.kept;
        counts.tagsDeleted += judgement.deleted.length;
        deleted.push(...judgement.deleted.slice(0, NAMED_MAX - deleted.length));
      }
      const among = looseOf(policy);
      if (among === null || dryRun) continue;
      const untagged = { delayMs: policies.delayMs, among };
      counts.untaggedDeleted += await this.#collector.deleteUntagged(repository, untagged, signal);
    }
    return report();
  }

  async #areInForce(policies: CompiledPolicies): Promise<boolean> {
    return (await this.policies()) === policies;
  }

  /** Two passes over the tags of a repository: the first finds the newest, the second decides and deletes. */
  async *#judge(task: Task, signal: AbortSignal): AsyncGenerator<Judgement, void, void> {
    const { repository, policy, now } = task;
    if (policy.keepTags.length === 0 && !policy.deleteReferrers) return;
    const judge = new TagJudge(policy, now);
    for await (const page of this.#tags(repository, signal)) {
      for (const judged of page) {
        if (!SUBJECT_TAG.test(judged.tag)) judge.see(judged);
        await this.#breathe();
      }
    }
    for await (const page of this.#tags(repository, signal)) {
      const doomed: { readonly judged: JudgedTag; readonly reason: DeletedTag["reason"] }[] = [];
      for (const judged of page) {
        const reason = await this.#reasonToDelete(task, judge, judged);
        if (reason !== null) doomed.push({ judged, reason });
        await this.#breathe();
      }
      if (!(await this.#areInForce(task.policies))) return;
      const gone = task.dryRun
        ? null
        : await this.#delete(
            repository,
            doomed.map(({ judged }) => judged),
          );
      const deleted = doomed
        .filter(({ judged }) => gone === null || gone.has(judged.tag))
        .map(({ judged, reason }) => ({ repository, tag: judged.tag, reason }));
      yield { kept: page.length - deleted.length, deleted };
    }
  }

  async #reasonToDelete(
    { repository, policy, policies }: Task,
    judge: TagJudge,
    judged: JudgedTag,
  ): Promise<DeletedTag["reason"] | null> {
    const reason = SUBJECT_TAG.test(judged.tag)
      ? policy.deleteReferrers && (await this.#isSubjectGone(repository, judged.tag))
        ? "its subject is gone"
        : null
      : judge.reasonToDelete(judged);
    return reason === null || policies.isImmutable(repository, judged.tag) ? null : reason;
  }

  /** A signature lives as long as what it signs. */
  async #isSubjectGone(repository: RepositoryName, tag: Tag): Promise<boolean> {
    const digest = subjectOf(tag);
    if (digest === null) return false;
    return (await this.#metadata.manifests.find(repository, { kind: "digest", digest })) === null;
  }

  async #delete(repository: RepositoryName, tags: readonly JudgedTag[]): Promise<ReadonlySet<Tag>> {
    const gone = new Set<Tag>();
    for (let at = 0; at < tags.length; at += DELETES_BATCH) {
      const batch = tags.slice(at, at + DELETES_BATCH);
      for (const tag of await this.#metadata.retention.deleteTags(repository, batch)) gone.add(tag);
    }
    return gone;
  }

  async *#tags(
    repository: RepositoryName,
    signal: AbortSignal,
  ): AsyncGenerator<readonly JudgedTag[], void, void> {
    for (let after = ""; !signal.aborted;) {
      const page = await this.#metadata.retention.listTags(repository, { after, entriesMax: TAGS_PAGE });
      if (page.length > 0) yield page;
      if (page.length < TAGS_PAGE) return;
      after = page.at(-1)?.tag ?? "";
    }
  }

  /** Patterns take their time: others have their turn in between, also in the middle of a page. */
  async #breathe(): Promise<void> {
    if (this.#monotonic() - this.#workingSince < WORK_MS_MAX) return;
    await breathe();
    this.#workingSince = this.#monotonic();
  }

  async *#repositories(): AsyncGenerator<RepositoryName, void, void> {
    for (let after = ""; ;) {
      const page = await this.#metadata.manifests.listRepositories({ after, entriesMax: REPOSITORIES_PAGE });
      yield* page;
      if (page.length < REPOSITORIES_PAGE) return;
      after = page.at(-1) ?? "";
    }
  }
}

/** The manifest that a tag of that form belongs to; null for sha512, of whose digest a tag has room for one half. */
function subjectOf(tag: Tag): Digest | null {
  const [, algorithm, hex = ""] = SUBJECT_TAG.exec(tag) ?? [];
  return algorithm === "sha256" ? digestFromHex("sha256", hex) : null;
}

/** Which manifests without a tag the policy deletes. */
function looseOf({ deleteUntagged, deleteReferrers }: RepositoryPolicy): CollectUntagged["among"] | null {
  if (deleteUntagged) return deleteReferrers ? "all" : "without-subject";
  return deleteReferrers ? "referrers" : null;
}

/** @throws Error when the stored document is not one of this release: then nobody may push, rather than too much go */
async function readPolicies(json: string): Promise<CompiledPolicies> {
  const { parsePolicies } = await import("./policies.ts");
  const parsed = parseStrictJson(new TextEncoder().encode(json));
  try {
    return parsePolicies(parsed.ok ? parsed.value : null);
  } catch (cause) {
    throw new Error("the stored policies cannot be read; set them again with PUT /api/v1/policies", {
      cause,
    });
  }
}

const NO_COUNTS: RetentionCounts = { repositories: 0, tagsKept: 0, tagsDeleted: 0, untaggedDeleted: 0 };

function sumOf(counts: readonly RetentionCounts[]): RetentionCounts {
  return counts.reduce(
    (sum, each) => ({
      repositories: sum.repositories + each.repositories,
      tagsKept: sum.tagsKept + each.tagsKept,
      tagsDeleted: sum.tagsDeleted + each.tagsDeleted,
      untaggedDeleted: sum.untaggedDeleted + each.untaggedDeleted,
    }),
    NO_COUNTS,
  );
}

interface Task {
  readonly repository: RepositoryName;
  readonly policy: RepositoryPolicy;
  readonly policies: CompiledPolicies;
  readonly dryRun: boolean;
  readonly now: number;
}

interface Judgement {
  readonly kept: number;
  readonly deleted: readonly DeletedTag[];
}
