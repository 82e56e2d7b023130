import { expect, test } from "bun:test";
import { diffJson } from "./json-diff.ts";

test.each([
  [{ a: 1 }, { a: 1 }, []],
  [{ a: 1, b: 2 }, { b: 2, a: 1 }, []],
  [{ a: 1 }, { a: 2 }, [{ path: "a", before: 1, after: 2 }]],
  [{ a: 1 }, {}, [{ path: "a", before: 1, after: undefined }]],
  [{}, { "x.y": null }, [{ path: '["x.y"]', before: undefined, after: null }]],
  [
    { l: [1, { d: 1 }] },
    { l: [1, { d: 2 }, 3] },
    [
      { path: "l[1].d", before: 1, after: 2 },
      { path: "l[2]", before: undefined, after: 3 },
    ],
  ],
  [{ a: [] }, { a: {} }, [{ path: "a", before: [], after: {} }]],
  [JSON.parse('{"__proto__": 1}'), {}, [{ path: "__proto__", before: 1, after: undefined }]],
])("diffJson of %j and %j", (before, after, differences) => {
  expect(diffJson(before, after)).toEqual(differences);
});
