import { expect, test } from "bun:test";
import fc from "fast-check";
import { algorithmOf, hexOf, parseDigest } from "./digest.ts";

const HEX64 = "0123456789abcdef".repeat(4);

test.each([
  [`sha256:${HEX64}`, true],
  [`sha512:${HEX64}${HEX64}`, true],
  [`sha256:${HEX64.toUpperCase()}`, false],
  [`sha256:${HEX64.slice(1)}`, false],
  [`sha256:${HEX64}0`, false],
  [`sha512:${HEX64}`, false],
  [`md5:${HEX64.slice(32)}`, false],
  [`SHA256:${HEX64}`, false],
  [`sha256:${HEX64}\n`, false],
  [`sha256:${HEX64.slice(2)}/.`, false],
  ["sha256:", false],
  ["", false],
])("parseDigest %j is valid: %j", (text, valid) => {
  expect(parseDigest(text) !== null).toBe(valid);
});

test("parseDigest splits into algorithm and hex without loss", () => {
  const hex = fc.stringMatching(/^[0-9a-f]{64}$/);
  fc.assert(
    fc.property(hex, (text) => {
      const digest = parseDigest(`sha256:${text}`);
      return digest !== null && algorithmOf(digest) === "sha256" && hexOf(digest) === text;
    }),
  );
});
