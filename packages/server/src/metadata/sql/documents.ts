import { all, first, now, type Unit } from "./statement.ts";

export function* findDocument(name: string): Unit<string | null> {
  const row = yield* first<{ json: string }>("SELECT json FROM documents WHERE name = ?", name);
  return row?.json ?? null;
}

export function* putDocument(name: string, json: string, by: string | null): Unit<void> {
  yield* all(
    `INSERT INTO documents (name, json, updated_at, updated_by) VALUES (?, ?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET json = excluded.json, updated_at = excluded.updated_at,
       updated_by = excluded.updated_by`,
    name,
    json,
    yield* now(),
    by,
  );
}

export function* replaceDocument(
  { name, json, by }: { readonly name: string; readonly json: string; readonly by: string | null },
  before: string | null,
): Unit<boolean> {
  if ((yield* findDocument(name)) !== before) return false;
  yield* putDocument(name, json, by);
  return true;
}
