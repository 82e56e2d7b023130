import { expect, test } from "bun:test";
import { digestFromHex } from "@stowage/oci/digest";
import { parseRepositoryName } from "@stowage/oci/repository-name";
import { parseTag } from "@stowage/oci/tag";
import type { JudgedTag } from "../metadata/metadata.ts";
import { TagJudge } from "./judge-tags.ts";
import { parsePolicies } from "./policies.ts";

const HOUR_MS = 3_600_000;
const NOW = 1_000 * HOUR_MS;
const REPOSITORY = parseRepositoryName("prod/app");

/** A tag: name, hours since its push, hours since its pull. */
type Line = readonly [string, number, number | null];

function judgedTag([name, pushed, pulled]: Line): JudgedTag {
  const tag = parseTag(name);
  const digest = digestFromHex("sha256", "0".repeat(64));
  if (tag === null || digest === null) throw new Error(name);
  const at = (hours: number) => NOW - hours * HOUR_MS;
  return { tag, digest, pushedAt: at(pushed), pulledAt: pulled === null ? null : at(pulled) };
}

/** The tags that the rules keep. */
function kept(keepTags: readonly unknown[], lines: readonly Line[]): readonly string[] {
  const document = { retention: { policies: [{ repositories: ["prod/**"], keepTags }] } };
  const policy = REPOSITORY === null ? null : parsePolicies(document).policyOf(REPOSITORY);
  if (policy === null) throw new Error("no policy for the repository");
  const judge = new TagJudge(policy, NOW);
  const tags = lines.map(judgedTag);
  for (const judged of tags) judge.see(judged);
  return tags.filter((judged) => judge.reasonToDelete(judged) === null).map(({ tag }) => String(tag));
}

const LINES: readonly Line[] = [
  ["v1.0", 50, 2],
  ["v1.1", 40, null],
  ["v2.0", 30, 20],
  ["v2.1", 10, 30],
  ["dev", 1, null],
];

const CASES: readonly (readonly [string, readonly unknown[], readonly string[]])[] = [
  ["no rule keeps every tag", [], ["v1.0", "v1.1", "v2.0", "v2.1", "dev"]],
  ["patterns alone keep what they match", [{ patterns: ["^v1"] }], ["v1.0", "v1.1"]],
  ["patterns match anywhere", [{ patterns: ["1"] }], ["v1.0", "v1.1", "v2.1"]],
  ["no pattern matches every tag", [{ mostRecentlyPushedCount: 2 }], ["v2.1", "dev"]],
  ["the newest are counted among what matches", [{ patterns: ["^v"], mostRecentlyPushedCount: 1 }], ["v2.1"]],
  ["most recently pulled", [{ mostRecentlyPulledCount: 2 }], ["v1.0", "v2.0"]],
  [
    "what was never pulled comes last, the newest of it first",
    [{ mostRecentlyPulledCount: 4 }],
    ["v1.0", "v2.0", "v2.1", "dev"],
  ],
  ["pushed within", [{ pushedWithin: "30h" }], ["v2.0", "v2.1", "dev"]],
  ["pulled within, or too new to have been", [{ pulledWithin: "9h" }], ["v1.0", "dev"]],
  ["one reason is enough", [{ pushedWithin: "1h", mostRecentlyPulledCount: 1 }], ["v1.0", "dev"]],
  ["a count of 0 is no rule", [{ patterns: ["^v2"], mostRecentlyPushedCount: 0 }], ["v2.0", "v2.1"]],
  [
    "a tag belongs to the first rule that it matches",
    [{ patterns: ["^v1"], pushedWithin: "1h" }, { patterns: ["^v"] }],
    ["v2.0", "v2.1"],
  ],
  [
    "more is asked for than there is",
    [{ mostRecentlyPushedCount: 100 }],
    ["v1.0", "v1.1", "v2.0", "v2.1", "dev"],
  ],
];

for (const [name, keepTags, wanted] of CASES) {
  test(`TagJudge: ${name}`, () => {
    expect(kept(keepTags, LINES)).toEqual([...wanted]);
    expect(kept(keepTags, LINES.toReversed()).toSorted()).toEqual([...wanted].toSorted());
  });
}

test("TagJudge keeps exactly the newest of many, also of those that were pushed at once", () => {
  const lines = Array.from({ length: 1_000 }, (_, at): Line => [
    `t${String(at).padStart(4, "0")}`,
    at % 10,
    null,
  ]);
  const found = kept([{ mostRecentlyPushedCount: 37 }], lines);
  expect(found).toHaveLength(37);
  expect(found.every((tag) => tag.endsWith("0"))).toBe(true);
});

const REFUSED: readonly (readonly [string, unknown])[] = [
  ["no object", []],
  ["an unknown key", { retentions: {} }],
  [
    "an unknown key in a rule",
    { retention: { policies: [{ repositories: ["a"], keepTags: [{ pattern: ["a"] }] }] } },
  ],
  ["no repositories", { retention: { policies: [{ repositories: [] }] } }],
  ["a glob with braces", { retention: { policies: [{ repositories: ["{a,b}{c,d}"] }] } }],
  ["a pattern that is none", { immutableTags: [{ repositories: ["**"], patterns: ["("] }] }],
  ["a look-ahead, which RE2 has not", { immutableTags: [{ repositories: ["**"], patterns: ["(?=a)"] }] }],
  ["a long pattern", { immutableTags: [{ repositories: ["**"], patterns: ["a".repeat(513)] }] }],
  ["a glob whose ** has company", { retention: { policies: [{ repositories: ["prod**"] }] } }],
  ["more policies than 100", { retention: { policies: Array(101).fill({ repositories: ["a"] }) } }],
  ["more patterns than 100", { immutableTags: [{ repositories: ["a"], patterns: Array(101).fill("a") }] }],
  ["a very long pattern", { immutableTags: [{ repositories: ["a"], patterns: ["(a+)+$".repeat(20_000)] }] }],
  [
    "a pattern that becomes a huge machine",
    { immutableTags: [{ repositories: ["a"], patterns: ["[a-z]{1000}".repeat(6)] }] },
  ],
  [
    "patterns that are too much together",
    { immutableTags: [{ repositories: ["a"], patterns: Array(100).fill("a{90}") }] },
  ],
  ["a time without a unit", { retention: { delay: "24" } }],
  [
    "a count below zero",
    { retention: { policies: [{ repositories: ["a"], keepTags: [{ mostRecentlyPushedCount: -1 }] }] } },
  ],
];

for (const [name, document] of REFUSED) {
  test(`parsePolicies refuses ${name}`, () => {
    expect(() => parsePolicies(document)).toThrow("invalid policies");
  });
}

test("parsePolicies reads zot's own example", () => {
  const policies = parsePolicies({
    retention: {
      dryRun: false,
      delay: "24h",
      policies: [
        {
          repositories: ["infra/*", "tmp/**"],
          deleteReferrers: false,
          deleteUntagged: true,
          keepTags: [{ patterns: ["v2.*", ".*-prod"], mostRecentlyPushedCount: 10, pulledWithin: "720h" }],
        },
        { repositories: ["**"], keepTags: [{ patterns: [".*"] }] },
      ],
    },
  });
  const of = (name: string) => {
    const repository = parseRepositoryName(name);
    return repository === null ? null : policies.policyOf(repository)?.keepTags[0]?.pulledWithinMs;
  };
  expect(of("infra/a")).toBe(720 * HOUR_MS);
  expect(of("infra/a/b")).toBeNull();
  expect(of("tmp/a/b")).toBe(720 * HOUR_MS);
});

test("a pattern that would keep another engine busy for years is answered at once", () => {
  const policies = parsePolicies({ immutableTags: [{ repositories: ["**"], patterns: ["^(a+)+$"] }] });
  const tag = parseTag(`${"a".repeat(127)}b`);
  if (tag === null || REPOSITORY === null) throw new Error("no tag");
  expect(policies.isImmutable(REPOSITORY, tag)).toBe(false);
});

test("parsePolicies names every problem, and where it is", () => {
  const document = {
    retention: { policies: [{ repositories: ["a"], keepTags: [{ patterns: ["ok", "(", "(?=a)"] }] }] },
    immutableTags: [{ repositories: ["b"], patterns: ["["] }],
  };
  const refusal = () => parsePolicies(document);
  expect(refusal).toThrow('retention.policies.0.keepTags.0.patterns.1: "(" is no regular expression of RE2');
  expect(refusal).toThrow("retention.policies.0.keepTags.0.patterns.2:");
  expect(refusal).toThrow("immutableTags.0.patterns.0:");
  const misspelt = { retention: { policies: [{ repositories: ["A"], keepTag: [] }] } };
  expect(() => parsePolicies(misspelt)).toThrow(
    "retention.policies.0.repositories.0: wanted a repository name",
  );
  expect(() => parsePolicies(misspelt)).toThrow('"keepTag"');
});

test("a document as large as the API takes it is compiled or refused without trying all of it", () => {
  const patterns = Array.from({ length: 100 }, () => "(?:a?){1000}c".repeat(39));
  const immutableTags = Array.from({ length: 100 }, () => ({ repositories: ["**"], patterns }));
  expect(() => parsePolicies({ immutableTags })).toThrow(
    "immutableTags.0.patterns.0: up to here all patterns",
  );
});
