import type { Digest } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Tag } from "@stowage/oci/tag";
import type { Durations, JudgedTag, Pull } from "../metadata.ts";
import { deleteTag } from "./deletions.ts";
import { all, first, type Unit } from "./statement.ts";

interface JudgedRow {
  name: Tag;
  digest: Digest;
  pushed_at: number;
  pulled_at: number | null;
}

export function* listJudgedTags(
  repository: RepositoryName,
  after: string,
  entriesMax: number,
): Unit<readonly JudgedTag[]> {
  const rows = yield* all<JudgedRow>(
    `SELECT t.name, t.digest, t.pushed_at, t.pulled_at
       FROM repositories r JOIN tags t ON t.repository_id = r.id
      WHERE r.name = ? AND t.name > ? ORDER BY t.name LIMIT ?`,
    repository,
    after,
    entriesMax,
  );
  return rows.map((row) => ({
    tag: row.name,
    digest: row.digest,
    pushedAt: row.pushed_at,
    pulledAt: row.pulled_at,
  }));
}

/** Deletes those of the tags that are still as they were judged; which. */
export function* deleteJudgedTags(
  repository: RepositoryName,
  tags: readonly JudgedTag[],
  durations: Durations,
): Unit<readonly Tag[]> {
  const deleted: Tag[] = [];
  for (const { tag, digest, pushedAt } of tags) {
    const same = yield* first(
      `SELECT 1 FROM tags WHERE repository_id = (SELECT id FROM repositories WHERE name = ?)
          AND name = ? AND digest = ? AND pushed_at = ?`,
      repository,
      tag,
      digest,
      pushedAt,
    );
    if (same === null) continue;
    yield* deleteTag(repository, tag, { name: null, reason: "retention" }, durations);
    deleted.push(tag);
  }
  return deleted;
}

export function* recordPulls(pulls: readonly Pull[]): Unit<void> {
  for (const { repository, reference, at } of pulls) {
    if (reference.kind === "tag") {
      yield* all(
        `UPDATE tags SET pulled_at = ?
          WHERE repository_id = (SELECT id FROM repositories WHERE name = ?) AND name = ?
            AND (pulled_at IS NULL OR pulled_at < ?)`,
        at,
        repository,
        reference.tag,
        at,
      );
      continue;
    }
    yield* all(
      `INSERT INTO manifest_pulls (repository_id, digest, pulled_at)
         SELECT m.repository_id, m.digest, ? FROM repositories r
           JOIN manifests m ON m.repository_id = r.id AND m.digest = ? WHERE r.name = ?
       ON CONFLICT (repository_id, digest) DO UPDATE SET pulled_at = excluded.pulled_at
         WHERE excluded.pulled_at > manifest_pulls.pulled_at`,
      at,
      reference.digest,
      repository,
    );
  }
}
