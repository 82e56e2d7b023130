import type { Digest } from "@stowage/oci/digest";
import type { Reference } from "@stowage/oci/reference";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Tag } from "@stowage/oci/tag";
import type { Metadata, Pull } from "../metadata/metadata.ts";

/** Things whose pull is remembered until it is written down; beyond that the oldest are forgotten. */
const PULLS_MAX = 100_000;

/** Pulls that one transaction writes down. */
const PULLS_BATCH = 250;

/** What of the metadata pulls need. */
export type PullStore = Pick<Metadata, "garbage" | "retention">;

interface RepositoryPulls {
  readonly tags: Map<Tag, number>;
  readonly manifests: Map<Digest, number>;
}

/** When tags and manifests were last pulled: kept in memory, written down now and then, so that a pull writes nothing. */
export class Pulls {
  readonly #metadata: PullStore;
  readonly #now: () => number;
  /** By repository and name, so that noting a pull makes no new text and no new object. */
  #pending = new Map<RepositoryName, RepositoryPulls>();
  #size = 0;

  constructor(metadata: PullStore, now: () => number) {
    this.#metadata = metadata;
    this.#now = now;
  }

  /** A manifest went out; by its tag, the tag was used as well. */
  pulled(repository: RepositoryName, reference: Reference, digest: Digest): void {
    const at = this.#now();
    const { tags, manifests } = this.#of(repository);
    this.#note(manifests, digest, at);
    if (reference.kind === "tag") this.#note(tags, reference.tag, at);
  }

  /** A tag was looked up: containerd asks with HEAD and then pulls by digest. */
  resolved(repository: RepositoryName, reference: Reference): void {
    if (reference.kind === "tag") this.#note(this.#of(repository).tags, reference.tag, this.#now());
  }

  /** Writes down what came together, in short transactions. What could not be written is tried again the next time. */
  async flush(): Promise<void> {
    if (this.#size === 0) return;
    const pending = this.#pending;
    this.#pending = new Map();
    this.#size = 0;
    // Times are told by the store's clock.
    const ahead = (await this.#metadata.garbage.now()) - this.#now();
    const pulls = [...pullsIn(pending)].map((pull) => ({ ...pull, at: pull.at + ahead }));
    for (let at = 0; at < pulls.length; at += PULLS_BATCH) {
      try {
        await this.#metadata.retention.recordPulls(pulls.slice(at, at + PULLS_BATCH));
      } catch (error) {
        this.#putBack(pulls.slice(at), ahead);
        throw error;
      }
    }
  }

  #of(repository: RepositoryName): RepositoryPulls {
    const known = this.#pending.get(repository);
    if (known !== undefined) return known;
    const empty = { tags: new Map<Tag, number>(), manifests: new Map<Digest, number>() };
    this.#pending.set(repository, empty);
    return empty;
  }

  #note<Name>(times: Map<Name, number>, name: Name, at: number): void {
    const before = times.size;
    times.set(name, at);
    this.#size += times.size - before;
    if (this.#size > PULLS_MAX) this.#forgetOldest();
  }

  /** Of the repository that was pulled from first. */
  #forgetOldest(): void {
    for (const [repository, { tags, manifests }] of this.#pending) {
      for (const times of [manifests, tags]) {
        const oldest = times.keys().next();
        if (oldest.done) continue;
        (times as Map<unknown, number>).delete(oldest.value);
        this.#size -= 1;
        return;
      }
      this.#pending.delete(repository);
    }
  }

  #putBack(pulls: readonly Pull[], ahead: number): void {
    for (const { repository, reference, at } of pulls) {
      const { tags, manifests } = this.#of(repository);
      const later = (known: number | undefined) => Math.max(known ?? 0, at - ahead);
      if (reference.kind === "tag") this.#note(tags, reference.tag, later(tags.get(reference.tag)));
      else this.#note(manifests, reference.digest, later(manifests.get(reference.digest)));
    }
  }
}

function* pullsIn(pending: ReadonlyMap<RepositoryName, RepositoryPulls>): Generator<Pull, void, void> {
  for (const [repository, { tags, manifests }] of pending) {
    for (const [tag, at] of tags) yield { repository, reference: { kind: "tag", tag }, at };
    for (const [digest, at] of manifests) yield { repository, reference: { kind: "digest", digest }, at };
  }
}
