import { expect, test } from "bun:test";
import { formatTokenScope, parseTokenScope, parseTokenScopes } from "./token-scope.ts";

test("parseTokenScope reads what clients send", () => {
  const table: readonly (readonly [string, string, string, readonly string[]])[] = [
    ["repository:team/app:pull", "repository", "team/app", ["pull"]],
    ["repository:team/app:pull,push", "repository", "team/app", ["pull", "push"]],
    ["repository:team/app:pull,pull,,push", "repository", "team/app", ["pull", "push"]],
    ["repository:localhost:5000/app:*", "repository", "localhost:5000/app", ["*"]],
    ["repository(plugin):app:pull", "repository", "app", ["pull"]],
    ["registry:catalog:*", "registry", "catalog", ["*"]],
    ["repository:app:", "repository", "app", []],
  ];
  for (const [text, type, name, actions] of table) {
    expect(parseTokenScope(text), text).toEqual({ type, name, actions });
  }
});

test("parseTokenScope refuses what is no scope", () => {
  const texts = [
    "",
    "repository",
    "repository:app",
    "repository::pull",
    ":app:pull",
    "Repo:app:pull",
    "repository:app:PULL",
  ];
  for (const text of [...texts, `repository:${"a".repeat(2_000)}:pull`])
    expect(parseTokenScope(text), text).toBeNull();
});

test("parseTokenScopes takes repeated parameters, spaces, and leaves out what is none", () => {
  const scopes = parseTokenScopes(["repository:a:pull repository:b:push", "junk", "", "repository:c:pull"]);
  expect(scopes.map(formatTokenScope)).toEqual([
    "repository:a:pull",
    "repository:b:push",
    "repository:c:pull",
  ]);
  expect(parseTokenScopes([Array.from({ length: 5_000 }, () => "repository:a:pull").join(" ")])).toHaveLength(
    100,
  );
});
