import type { Digest } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Tag } from "@stowage/oci/tag";
import type { SetTag, SetTagResult } from "../metadata.ts";
import { markLoose } from "./deletions.ts";
import { withinQuotas } from "./quotas.ts";
import { findRepository } from "./repositories.ts";
import { all, first, now, type Unit } from "./statement.ts";

/** Sets a tag to a manifest that the repository has; one transaction, so neither can go away in between. */
export function* setTag(repository: RepositoryName, wanted: SetTag): Unit<SetTagResult> {
  const { tag, digest, immutable } = wanted;
  const id = yield* findRepository(repository);
  if (id === null) return { kind: "unknown" };
  const manifest = yield* first("SELECT 1 FROM manifests WHERE repository_id = ? AND digest = ?", id, digest);
  if (manifest === null) return { kind: "unknown" };
  const before = yield* findTag(id, tag);
  if (immutable && before !== null && before !== digest) return { kind: "immutable", tag, digest: before };
  yield* withinQuotas(repository, () => putTag(id, wanted));
  yield* all("UPDATE manifests SET loose_since = NULL WHERE repository_id = ? AND digest = ?", id, digest);
  return { kind: "set" };
}

/** Digest that the tag points at, or null. */
export function* findTag(repository: number, tag: Tag): Unit<Digest | null> {
  const row = yield* first<{ digest: Digest }>(
    "SELECT digest FROM tags WHERE repository_id = ? AND name = ?",
    repository,
    tag,
  );
  return row?.digest ?? null;
}

/** Points the tag at a manifest that is there. The one that loses it may be loose. */
export function* putTag(
  repository: number,
  { tag, digest, pushedBy }: Pick<SetTag, "tag" | "digest" | "pushedBy">,
): Unit<void> {
  const before = yield* findTag(repository, tag);
  yield* all(
    `INSERT INTO tags (repository_id, name, digest, pushed_at, pushed_by) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (repository_id, name) DO UPDATE SET digest = excluded.digest,
       pushed_at = excluded.pushed_at, pushed_by = excluded.pushed_by`,
    repository,
    tag,
    digest,
    yield* now(),
    pushedBy,
  );
  if (before !== null && before !== digest) yield* markLoose(repository, [before]);
}
