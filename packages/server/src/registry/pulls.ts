import type { Digest } from "@stowage/oci/digest";
import type { Reference } from "@stowage/oci/reference";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Metadata, Pull } from "../metadata/metadata.ts";

/** Things whose pull is remembered until it is written down; beyond that the oldest are forgotten. */
const PULLS_MAX = 100_000;

/** Pulls that are written down in one transaction. */
const PULLS_BATCH = 500;

/** When tags and manifests were last pulled: kept in memory, written down now and then, so that a pull writes nothing. */
export class Pulls {
  readonly #metadata: Metadata;
  readonly #now: () => number;
  readonly #pending = new Map<string, Pull>();

  constructor(metadata: Metadata, now: () => number) {
    this.#metadata = metadata;
    this.#now = now;
  }

  /** A manifest went out; by its tag, the tag was used as well. */
  pulled(repository: RepositoryName, reference: Reference, digest: Digest): void {
    if (reference.kind === "tag") this.resolved(repository, reference);
    this.#note(`${digest} ${repository}`, repository, { kind: "digest", digest });
  }

  /** A tag was looked up: containerd asks with HEAD and then pulls by digest. */
  resolved(repository: RepositoryName, reference: Reference): void {
    if (reference.kind === "tag") this.#note(`${reference.tag} ${repository}`, repository, reference);
  }

  /** Writes down what came together. */
  async flush(): Promise<void> {
    const pulls = [...this.#pending.values()];
    this.#pending.clear();
    for (let at = 0; at < pulls.length; at += PULLS_BATCH) {
      await this.#metadata.retention.recordPulls(pulls.slice(at, at + PULLS_BATCH));
    }
  }

  #note(key: string, repository: RepositoryName, reference: Reference): void {
    this.#pending.set(key, { repository, reference, at: this.#now() });
    if (this.#pending.size <= PULLS_MAX) return;
    const oldest = this.#pending.keys().next();
    if (!oldest.done) this.#pending.delete(oldest.value);
  }
}
