import { expect, test } from "bun:test";
import { formatNextLink, PAGE_ENTRIES_MAX, requirePage } from "./pagination.ts";

test.each([
  ["", PAGE_ENTRIES_MAX],
  ["n=", PAGE_ENTRIES_MAX],
  ["n=0", 0],
  ["n=5", 5],
  ["n=99999999999999999999", PAGE_ENTRIES_MAX],
])("requirePage %j", (query, entriesMax) => {
  expect(requirePage(new URLSearchParams(query)).entriesMax).toBe(entriesMax);
});

test.each(["-1", "abc", "1.5", "1e3", "+1", "0x10", " 1"])("requirePage refuses n=%j", (n) => {
  expect(() => requirePage(new URLSearchParams({ n }))).toThrow(
    expect.objectContaining({ code: "PAGINATION_NUMBER_INVALID" }),
  );
});

test("formatNextLink is relative and escapes what the client said", () => {
  expect(formatNextLink("/v2/a/tags/list", { n: "1", last: 'x>"&' })).toBe(
    '</v2/a/tags/list?n=1&last=x%3E%22%26>; rel="next"',
  );
});
