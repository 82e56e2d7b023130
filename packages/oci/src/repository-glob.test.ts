import { expect, test } from "bun:test";
import { compileRepositoryGlob } from "./repository-glob.ts";

const CASES: readonly (readonly [glob: string, matching: readonly string[], others: readonly string[]])[] = [
  ["prod/app", ["prod/app"], ["prod/app2", "prod", "prod/app/x"]],
  ["prod/*", ["prod/app"], ["prod", "prod/app/x", "xprod/app"]],
  ["prod/**", ["prod", "prod/app", "prod/app/x"], ["prods", "x/prod"]],
  ["**", ["a", "a/b/c"], []],
  ["*", ["a"], ["a/b"]],
  ["**/app", ["app", "a/app", "a/b/app"], ["xapp", "app/x"]],
  ["a/**/b", ["a/b", "a/x/b", "a/x/y/b", "a/b/b"], ["a", "a/bb", "ab"]],
  ["**/a/**/b/**", ["a/b", "x/a/y/b/z", "a/a/b"], ["b/a", "a"]],
  ["team-?/*-prod*", ["team-1/x-prod", "team-a/-prod-2"], ["team-/x-prod", "team-1/xprod"]],
  ["a*b*c", ["abc", "axbxc", "abcbc"], ["ab", "abcd"]],
];

for (const [glob, matching, others] of CASES) {
  test(`compileRepositoryGlob: ${glob}`, () => {
    const matches = compileRepositoryGlob(glob);
    expect(matching.filter((name) => matches?.(name) !== true)).toEqual([]);
    expect(others.filter((name) => matches?.(name) !== false)).toEqual([]);
  });
}

test("compileRepositoryGlob refuses what no name can match or means something else than it seems to", () => {
  const refused = [
    "",
    "/a",
    "a/",
    "a//b",
    "A",
    "{a,b}",
    "[ab]",
    "!a",
    "prod**",
    "a/**b",
    "***",
    "a".repeat(513),
  ];
  expect(refused.filter((glob) => compileRepositoryGlob(glob) !== null)).toEqual([]);
});

test("a glob with many stars is matched in as many steps as glob times name have characters", () => {
  const name = `${"a".repeat(254)}c`;
  expect(compileRepositoryGlob(`${"*a".repeat(200)}*b`)?.(name)).toBe(false);
  expect(compileRepositoryGlob(`${"**/a/".repeat(100)}b`)?.(`${"a/".repeat(127)}c`)).toBe(false);
});
