import { expect, test } from "bun:test";
import fc from "fast-check";
import { requireReference } from "./reference.ts";
import { parseRepositoryName } from "./repository-name.ts";
import { parseTag } from "./tag.ts";

test.each([
  ["a", true],
  ["library/ubuntu", true],
  ["a/b/c/d/e", true],
  ["a.b_c__d-e---f", true],
  ["manifests/blobs/uploads/tags", true],
  ["a".repeat(255), true],
  ["a".repeat(256), false],
  ["UPPER", false],
  ["-a", false],
  ["a-", false],
  ["a___b", false],
  ["a..b", false],
  ["a._b", false],
  ["a//b", false],
  ["/a", false],
  ["a/", false],
  ["a/../b", false],
  ["a b", false],
  ["a\n", false],
  ["ä", false],
  ["", false],
])("parseRepositoryName %j is valid: %j", (text, valid) => {
  expect(parseRepositoryName(text) !== null).toBe(valid);
});

test("parseRepositoryName answers hostile text of any length at once", () => {
  expect(parseRepositoryName(`${"a-".repeat(127)}!`)).toBeNull();
  expect(parseRepositoryName("a-".repeat(1_000_000))).toBeNull();
});

test("parseRepositoryName never lets a path through", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const name = parseRepositoryName(text);
      return name === null || (!name.includes("..") && !name.startsWith("/") && !name.includes("\\"));
    }),
  );
});

test.each([
  ["latest", true],
  ["_x", true],
  ["1.0-rc_1", true],
  ["a".repeat(128), true],
  ["a".repeat(129), false],
  [".x", false],
  ["-x", false],
  ["a+b", false],
  ["a/b", false],
  ["a\n", false],
  ["", false],
])("parseTag %j is valid: %j", (text, valid) => {
  expect(parseTag(text) !== null).toBe(valid);
});

test("requireReference takes text with a colon for a digest and other text for a tag", () => {
  expect(() => requireReference("sha256:abcd")).toThrow(expect.objectContaining({ code: "DIGEST_INVALID" }));
  expect(() => requireReference(".x")).toThrow(expect.objectContaining({ code: "TAG_INVALID" }));
  expect(requireReference("v1").kind).toBe("tag");
  expect(requireReference(`sha256:${"a".repeat(64)}`).kind).toBe("digest");
});
