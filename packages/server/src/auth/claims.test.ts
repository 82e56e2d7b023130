import { expect, test } from "bun:test";
import { claimAt, compileClaimPattern, parseClaimPath } from "./claims.ts";

test.each<[string, readonly string[] | null]>([
  ["sub", ["sub"]],
  ["a.b.c", ["a", "b", "c"]],
  ["kubernetes\\.io.serviceaccount.name", ["kubernetes.io", "serviceaccount", "name"]],
  ["https://example\\.com/team", ["https://example.com/team"]],
  ["a\\\\.b", ["a\\", "b"]],
  ["", null],
  [".a", null],
  ["a.", null],
  ["a..b", null],
  ["a\\", null],
  ["a".repeat(256), null],
])("parseClaimPath: %s", (text, path) => {
  expect(parseClaimPath(text)).toEqual(path);
});

test("claimAt finds what the token says, and nothing that objects have by themselves", () => {
  const claims = JSON.parse('{"a":{"b":1},"list":[{"b":2}],"__proto__":{"evil":"yes"}}');
  expect(claimAt(claims, ["a", "b"])).toBe(1);
  expect(claimAt(claims, ["__proto__", "evil"])).toBe("yes");
  for (const path of [
    ["evil"],
    ["constructor"],
    ["constructor", "name"],
    ["toString"],
    ["list", "length"],
    ["list", "0"],
    ["a", "b", "c"],
    ["x", "y"],
  ]) {
    expect(claimAt(claims, path)).toBeUndefined();
  }
});

const CASES: readonly (readonly [
  pattern: string,
  matching: readonly unknown[],
  others: readonly unknown[],
])[] = [
  ["acme/app", ["acme/app"], ["acme/app2", "acme/ap", "Acme/app", "", "acme/app\n"]],
  ["acme/*", ["acme/app", "acme/"], ["acme", "acme/app/x", "xacme/app", "evil/acme/app", "acme/a:b"]],
  ["acme/**", ["acme/app", "acme/app/x", "acme/a:b"], ["acme", "xacme/app"]],
  [
    "repo:acme/*:ref:refs/heads/main",
    ["repo:acme/app:ref:refs/heads/main"],
    [
      "repo:acme/x:environment:y:ref:refs/heads/main",
      "repo:acme/app:ref:refs/heads/main2",
      "repo:acme/app:pull_request",
    ],
  ],
  [
    "refs/heads/release-*",
    ["refs/heads/release-1", "refs/heads/release-"],
    ["refs/heads/release-1/x", "refs/tags/release-1"],
  ],
  ["*", ["a", ""], ["a/b", "a:b", undefined, null, {}, []]],
  ["**", ["a", "", "a/b:c"], [undefined, null, {}]],
  ["a*b*c", ["abc", "axbxc", "abcbc"], ["ab", "abcd", "a/bc"]],
  ["a**b*c", ["a/bxc", "abc", "ab/bc"], ["ab/c"]],
  ["é*", ["éa", "é"], ["e"]],
  ["*😀", ["😀", "a😀"], ["\ud83d"]],
  ["true", [true, "true", ["x", true]], [false, 1, "True", { true: true }]],
  ["17", [17, "17"], [170, "17.0", 1]],
  ["1.5", [1.5], [1]],
  ["9007199254740992", ["9007199254740992"], [9007199254740992, 9007199254740993n]],
  ["a", ["a", ["b", "a"]], [["b"], [["a"]], { a: "a" }, [{ a: "a" }], "a".repeat(2)]],
  ["[a-z]+", ["[a-z]+"], ["abc"]],
  ["a?", ["a?"], ["ab"]],
];

for (const [pattern, matching, others] of CASES) {
  test(`compileClaimPattern: ${pattern}`, () => {
    const isMatch = compileClaimPattern(pattern);
    expect(matching.filter((value) => !isMatch(value))).toEqual([]);
    expect(others.filter((value) => isMatch(value))).toEqual([]);
  });
}

test("compileClaimPattern judges many stars without trying all their ways", () => {
  expect(compileClaimPattern(`${"*a**".repeat(120)}b`)("a".repeat(1_000))).toBe(false);
  expect(compileClaimPattern("**")("a".repeat(1_025))).toBe(false);
});
