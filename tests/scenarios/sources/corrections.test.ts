import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { WORKSPACE } from "../../support/registry-process.ts";

const text = await Bun.file(join(WORKSPACE, "docs", "sources.md")).text();

interface Section {
  readonly title: string;
  /** The file of its tests, from docs/. */
  readonly file: string;
  readonly rows: readonly (readonly string[])[];
}

const SECTIONS: readonly Section[] = text
  .split(/^## /m)
  .slice(1)
  .map((section) => ({
    title: section.slice(0, section.indexOf("\n")),
    file: /^.*Tests: \[[a-z-]+\]\((\S+)\)/m.exec(section)?.[1] ?? "",
    rows: section
      .split("\n")
      .filter((line) => line.startsWith("|"))
      .slice(2)
      .map((line) =>
        line
          .split("|")
          .slice(1, -1)
          .map((cell) => cell.trim()),
      ),
  }));

test("docs/sources.md has a section for each file of tests, and each file a section", async () => {
  const named = SECTIONS.map(({ file }) => basename(file));
  const files = await readdir(import.meta.dir);
  expect(named.toSorted()).toEqual(files.filter((name) => name !== basename(import.meta.path)).toSorted());
});

test.each(SECTIONS.map((section) => [section.title, section] as const))(
  "every correction of %s says what is shown and what is answered, and names a test that is there",
  async (_title, { file, rows }) => {
    const source = await Bun.file(join(WORKSPACE, "docs", file)).text();
    const names = [...source.matchAll(/\btest(?:\.each\([\s\S]*?\))?\(\s*"([^"]+)"/g)].map(
      ([, name]) => name,
    );
    expect(rows.length).toBeGreaterThan(4);
    for (const [shown = "", answered = "", , reference = ""] of rows) {
      expect([shown, answered].includes("")).toBe(false);
      const wanted = /^`([^`]{10,})`$/.exec(reference)?.[1] ?? "a name in backticks";
      const found = names.filter((name) => name?.includes(wanted)).length;
      expect([shown, wanted, found]).toEqual([shown, wanted, 1]);
    }
  },
);
