import type { PageRequest } from "@stowage/oci/pagination";
import type { RepositoryName } from "@stowage/oci/repository-name";
import { all, first, now, type Unit } from "./statement.ts";

/** Row id of a repository, or null. */
export function* findRepository(name: RepositoryName): Unit<number | null> {
  const row = yield* first<{ id: number }>("SELECT id FROM repositories WHERE name = ?", name);
  return row?.id ?? null;
}

/** Row id of a repository, which is created by its first content. */
export function* requireRepository(name: RepositoryName): Unit<number> {
  const found = yield* findRepository(name);
  if (found !== null) return found;
  const rows = yield* all<{ id: number }>(
    "INSERT INTO repositories (name, created_at) VALUES (?, ?) RETURNING id",
    name,
    yield* now(),
  );
  const row = rows[0];
  if (row === undefined) throw new Error("INSERT INTO repositories returned no row");
  return row.id;
}

export function* listRepositories(page: PageRequest): Unit<readonly RepositoryName[]> {
  const rows = yield* all<{ name: RepositoryName }>(
    `SELECT name FROM repositories
      WHERE name > ? AND manifest_count > 0 AND deleted_at IS NULL
      ORDER BY name LIMIT ?`,
    page.after,
    page.entriesMax,
  );
  return rows.map((row) => row.name);
}
