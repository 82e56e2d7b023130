import { RegistryError } from "@stowage/oci/errors";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Tag } from "@stowage/oci/tag";
import type { Deletion, Metadata } from "../metadata/metadata.ts";
import { breathe } from "./breathe.ts";

export type { Deletion };

/** Records that one read fetches: each may name a thousand manifests. */
const DELETIONS_READ_MAX = 50;

/** Repositories that one request deletes with a namespace; the answer says when more are left. */
const NAMESPACE_DELETIONS_MAX = 10_000;

/** Repositories of one page of a namespace. */
const NAMESPACE_PAGE = 200;

/** What was deleted, and until when that can be undone. */
export interface Deleted {
  readonly deletion: number;
  /** Milliseconds since 1970, or null when it cannot be undone. */
  readonly undoUntil: number | null;
}

export interface DeletedNamespace {
  readonly deletions: readonly number[];
  readonly undoUntil: number | null;
  /** Whether repositories are left because one request does not delete more. */
  readonly isPartial: boolean;
}

/** Deletions: what takes effect at once, and how it is undone while its content is kept. */
export class Deletions {
  readonly #metadata: Metadata;

  constructor(metadata: Metadata) {
    this.#metadata = metadata;
  }

  /** Newest first; `before` is the `next` of the page before. */
  async list(query: {
    readonly before: number | null;
    readonly entriesMax: number;
  }): Promise<{ readonly entries: readonly Deletion[]; readonly next: number | null }> {
    const found: Deletion[] = [];
    const wanted = query.entriesMax + 1;
    for (let before = query.before; found.length < wanted;) {
      const entriesMax = Math.min(DELETIONS_READ_MAX, wanted - found.length);
      const part = await this.#metadata.deletions.list({ before, entriesMax });
      found.push(...part);
      before = part.at(-1)?.id ?? null;
      if (part.length < entriesMax) break;
      await breathe();
    }
    const entries = found.slice(0, query.entriesMax);
    const next = found.length > entries.length ? (entries.at(-1)?.id ?? null) : null;
    return { entries, next };
  }

  /** @throws RegistryError DELETION_UNKNOWN */
  async require(id: number): Promise<Deletion> {
    const found = await this.#metadata.deletions.find(id);
    if (found === null) throw unknownDeletion(id);
    return found;
  }

  /** Until when the deletion can be undone. */
  async describe(deletion: number): Promise<Deleted> {
    const found = await this.#metadata.deletions.find(deletion);
    return { deletion, undoUntil: found?.undoUntil ?? null };
  }

  /**
   * Deletes a repository with everything in it.
   * @throws RegistryError NAME_UNKNOWN
   */
  async deleteRepository(repository: RepositoryName, by: string | null): Promise<Deleted> {
    const deletion = await this.#deleteRepository(repository, by);
    if (deletion === null) throw new RegistryError("NAME_UNKNOWN", { detail: { name: repository } });
    return await this.describe(deletion);
  }

  /** Deletes the repository called like the namespace and all below it, each with a record of its own. */
  async deleteNamespace(
    namespace: RepositoryName,
    by: string | null,
    signal: AbortSignal,
  ): Promise<DeletedNamespace> {
    const deletions: number[] = [];
    let isPartial = false;
    for await (const repository of listNamespace(this.#metadata, namespace)) {
      isPartial = deletions.length >= NAMESPACE_DELETIONS_MAX || signal.aborted;
      if (isPartial) break;
      const deletion = await this.#deleteRepository(repository, by);
      if (deletion !== null) deletions.push(deletion);
    }
    const [first] = deletions;
    const undoUntil = first === undefined ? null : (await this.describe(first)).undoUntil;
    return { deletions, undoUntil, isPartial };
  }

  async #deleteRepository(repository: RepositoryName, by: string | null): Promise<number | null> {
    return await this.#metadata.deletions.deleteRepository(repository, { name: by, reason: "request" });
  }

  /**
   * Brings back what the deletion took. The tags that point somewhere else by now stay there and are answered.
   * @throws RegistryError DELETION_UNKNOWN, or CONFLICT when something is in the way
   */
  async undo(id: number): Promise<readonly Tag[]> {
    const result = await this.#metadata.deletions.undo(id);
    switch (result.kind) {
      case "undone":
        return result.skipped;
      case "absent":
        throw unknownDeletion(id);
      case "name-taken":
        throw new RegistryError("CONFLICT", {
          message: `cannot undo deletion ${id}: a repository with its name exists again; delete or empty that one first`,
          detail: { deletion: id },
        });
      case "content-gone":
        throw new RegistryError("CONFLICT", {
          message: `cannot undo deletion ${id}: ${result.digest} was deleted in its own right since; undo that deletion first, or push the content again`,
          detail: { deletion: id, digest: result.digest },
        });
      default:
        return result satisfies never;
    }
  }

  /** Gives up the right to undo the deletion, so that its content is freed. @throws RegistryError DELETION_UNKNOWN */
  async purge(id: number): Promise<void> {
    if ((await this.#metadata.deletions.purge(id)) === 0) throw unknownDeletion(id);
  }

  /** Ends the undo time of every deletion; how many. */
  async purgeAll(): Promise<number> {
    return await this.#metadata.deletions.purge(null);
  }
}

/** The repository called like the namespace and all below it, in byte order. */
export async function* listNamespace(
  metadata: Metadata,
  namespace: RepositoryName,
): AsyncGenerator<RepositoryName, void, void> {
  if ((await metadata.inventory.repository(namespace)) !== null) yield namespace;
  const query = {
    prefix: `${namespace}/`,
    search: "",
    sort: "name",
    descending: false,
    until: null,
  } as const;
  for (let after: string | null = null; ;) {
    const page: readonly { readonly name: RepositoryName }[] = await metadata.inventory.repositories({
      ...query,
      after: after === null ? null : { value: 0, name: after },
      entriesMax: NAMESPACE_PAGE,
    });
    for (const { name } of page) yield name;
    after = page.at(-1)?.name ?? null;
    if (page.length < NAMESPACE_PAGE) return;
  }
}

function unknownDeletion(id: number): RegistryError {
  return new RegistryError("DELETION_UNKNOWN", {
    message: `deletion ${id} is not known, or cannot be undone any more`,
    detail: { deletion: id },
  });
}
