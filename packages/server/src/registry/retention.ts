import { type Digest, parseDigest } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import { parseStrictJson } from "@stowage/oci/strict-json";
import type { Tag } from "@stowage/oci/tag";
import type { Caller } from "../auth/authorize.ts";
import type { JudgedTag, Metadata } from "../metadata/metadata.ts";
import type { Collector } from "./collect-garbage.ts";
import { type DeleteReason, TagJudge } from "./judge-tags.ts";
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

/** What a run did, or, for a dry run, would do. */
export interface RetentionReport {
  readonly dryRun: boolean;
  /** Repositories that a policy is for. */
  readonly repositories: number;
  readonly tagsKept: number;
  readonly tagsDeleted: number;
  /** 0 in a dry run. */
  readonly untaggedDeleted: number;
  /** The first thousand tags that were deleted. */
  readonly deleted: readonly DeletedTag[];
}

export interface RetentionOptions {
  readonly metadata: Metadata;
  readonly collector: Collector;
  readonly pulls: Pulls;
}

/** Cosign's signatures, and fallback tags of referrers: `sha256-<hex>` with something behind it or not. */
const SUBJECT_TAG = /^(sha256)-([0-9a-f]{64})(?:\..+)?$/;

/** Keeps the tags that the policies want and deletes the others. Every deletion can be undone for a while. */
export class Retention {
  readonly #metadata: Metadata;
  readonly #collector: Collector;
  readonly #pulls: Pulls;
  #compiled: { readonly json: string; readonly policies: CompiledPolicies } | null = null;

  constructor({ metadata, collector, pulls }: RetentionOptions) {
    this.#metadata = metadata;
    this.#collector = collector;
    this.#pulls = pulls;
  }

  /** The policies in force, or null: nobody has set any. Asked at every push, so each text is compiled once. */
  async policies(): Promise<CompiledPolicies | null> {
    const json = await this.#metadata.retention.findDocument(DOCUMENT);
    if (json === null) return null;
    if (this.#compiled?.json !== json) {
      const { parsePolicies } = await import("./policies.ts");
      const parsed = parseStrictJson(new TextEncoder().encode(json));
      this.#compiled = { json, policies: parsePolicies(parsed.ok ? parsed.value : null) };
    }
    return this.#compiled.policies;
  }

  /** @throws RegistryError REQUEST_INVALID with every problem of the document */
  async setPolicies(caller: Caller, document: unknown): Promise<CompiledPolicies> {
    const { parsePolicies } = await import("./policies.ts");
    const policies = parsePolicies(document);
    await this.#metadata.retention.putDocument(DOCUMENT, JSON.stringify(policies.document), caller.name);
    return policies;
  }

  /** Judges every repository that a policy is for. Stops between two steps when `signal` says so. */
  async run(signal: AbortSignal, options: { readonly dryRun: boolean }): Promise<RetentionReport> {
    await this.#pulls.flush();
    const policies = await this.policies();
    const dryRun = options.dryRun || policies?.dryRun === true;
    const now = await this.#metadata.garbage.now();
    const total = { repositories: 0, tagsKept: 0, tagsDeleted: 0, untaggedDeleted: 0 };
    const deleted: DeletedTag[] = [];
    if (policies === null) return { dryRun, ...total, deleted };
    for await (const repository of this.#repositories()) {
      if (signal.aborted) break;
      const policy = policies.policyOf(repository);
      if (policy === null) continue;
      total.repositories += 1;
      const task = { repository, policy, policies, dryRun, now };
      for await (const judgement of this.#judge(task, signal)) {
        total.tagsKept += judgement.kept;
        total.tagsDeleted += judgement.deleted.length;
        deleted.push(...judgement.deleted.slice(0, NAMED_MAX - deleted.length));
      }
      if (policy.deleteUntagged && !dryRun) {
        const untagged = { delayMs: policies.delayMs, keepReferrers: !policy.deleteReferrers };
        total.untaggedDeleted += await this.#collector.deleteUntagged(repository, untagged, signal);
      }
    }
    return { dryRun, ...total, deleted };
  }

  /** Two passes over the tags of a repository: the first finds the newest, the second decides and deletes. */
  async *#judge(task: Task, signal: AbortSignal): AsyncGenerator<Judgement, void, void> {
    const { repository, policy, now } = task;
    if (policy.keepTags.length === 0 && !policy.deleteReferrers) return;
    const judge = new TagJudge(policy, now);
    for await (const page of this.#tags(repository, signal))
      for (const judged of page) if (subjectOf(judged) === null) judge.see(judged);
    for await (const page of this.#tags(repository, signal)) {
      const doomed: { readonly judged: JudgedTag; readonly reason: DeletedTag["reason"] }[] = [];
      for (const judged of page) {
        const reason = await this.#reasonToDelete(task, judge, judged);
        if (reason !== null) doomed.push({ judged, reason });
      }
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
    if (policies.isImmutable(repository, judged.tag)) return null;
    const subject = subjectOf(judged);
    if (subject === null) return judge.reasonToDelete(judged);
    // A signature lives as long as what it signs.
    const found = await this.#metadata.manifests.find(repository, { kind: "digest", digest: subject });
    return found !== null || !policy.deleteReferrers ? null : "its subject is gone";
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
      // Others have their turn between two pages.
      await Bun.sleep(0);
    }
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

/** What a tag of that form belongs to, or null: it is judged like any other. */
function subjectOf({ tag }: JudgedTag): Digest | null {
  const [, algorithm = "", hex = ""] = SUBJECT_TAG.exec(tag) ?? [];
  return parseDigest(`${algorithm}:${hex}`);
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
