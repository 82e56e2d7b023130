import { expect, test } from "bun:test";
import fc from "fast-check";
import { JSON_DEPTH_MAX, parseStrictJson } from "./strict-json.ts";

const parse = (text: string) => parseStrictJson(new TextEncoder().encode(text));

test.each([
  ['{"a":1,"b":{"a":2}}', null],
  ['[{"a":1},{"a":1}]', null],
  ['{"a":"\\"a\\":1","b":"{"}', null],
  ['{"a":1,"a":2}', "twice"],
  ['{"digest":1,"Digest":2}', "twice"],
  ['{"digest":1,"\\u0064igest":2}', "twice"],
  ['{"keys":1,"\u212Aeys":2}', "twice"],
  ['{"size":1,"\u017Fize":2}', "twice"],
  ['{"a" :1,"a"\n:2}', "twice"],
  ["\uFEFF{}", "byte order mark"],
  ["{} x", "not valid JSON"],
  ["{}{}", "not valid JSON"],
  ["{", "not valid JSON"],
  ['"', "not valid JSON"],
  ['{"a\\', "not valid JSON"],
  ["", "not valid JSON"],
  ["[".repeat(JSON_DEPTH_MAX + 1), "nested deeper"],
  ["[".repeat(1_000_000), "nested deeper"],
  [`[${"{},".repeat(1_000_000)}{}]`, "objects, lists and keys"],
  [`{${Array.from({ length: 300_000 }, (_, at) => `"${at}":1`).join(",")}}`, "objects, lists and keys"],
])("parseStrictJson row %#", (text, problem) => {
  const result = parse(text);
  if (problem === null) expect(result.ok).toBe(true);
  else expect(result).toEqual({ ok: false, problem: expect.stringContaining(problem) });
});

test("parseStrictJson refuses bytes that are not UTF-8", () => {
  expect(parseStrictJson(Uint8Array.of(0x22, 0xff, 0x22)).ok).toBe(false);
  expect(parseStrictJson(Uint8Array.of(0x22, 0xc0, 0x80, 0x22)).ok).toBe(false);
});

test("parseStrictJson gives what JSON.parse gives, for every value whose keys differ", () => {
  const key = fc.stringMatching(/^[a-z]{1,6}$/);
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie("value")),
      fc.dictionary(key, tie("value"), { noNullPrototype: true }),
    ),
  }));
  fc.assert(
    fc.property(value, (json) => {
      const result = parse(JSON.stringify(json, null, 1));
      expect(result).toEqual({ ok: true, value: JSON.parse(JSON.stringify(json)) });
    }),
  );
});

test("parseStrictJson never throws, whatever the bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => typeof parseStrictJson(bytes).ok === "boolean"),
  );
  const syntax = fc.string({ unit: fc.constantFrom(...'{}[]":,\\u0aA \n') });
  fc.assert(fc.property(syntax, (text) => typeof parse(text).ok === "boolean"));
});
