import { expect, test } from "bun:test";
import { formatBearerChallenge, parseChallenges } from "./challenge.ts";

const read = (header: string) =>
  parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

test("parseChallenges reads what formatBearerChallenge writes", () => {
  const header = formatBearerChallenge({
    realm: "https://auth.example/token",
    service: 'a "quoted" \\ service',
    scopes: [{ type: "repository", name: "team/app", actions: ["pull", "push"] }],
    error: { code: "insufficient_scope", description: "too little" },
  });
  expect(read(header)).toEqual([
    [
      "bearer",
      {
        realm: "https://auth.example/token",
        service: 'a "quoted" \\ service',
        scope: "repository:team/app:pull,push",
        error: "insufficient_scope",
        error_description: "too little",
      },
    ],
  ]);
});

test.each<[string, unknown]>([
  ["Basic", [["basic", {}]]],
  ['Basic realm="x"', [["basic", { realm: "x" }]]],
  ["Basic realm=bare, charset=UTF-8", [["basic", { realm: "bare", charset: "UTF-8" }]]],
  ['BEARER Realm = "a, b" , Service="s"', [["bearer", { realm: "a, b", service: "s" }]]],
  [
    'Basic realm="b", Bearer realm="r",service="s"',
    [
      ["basic", { realm: "b" }],
      ["bearer", { realm: "r", service: "s" }],
    ],
  ],
  [
    'Negotiate, Bearer realm="r"',
    [
      ["negotiate", {}],
      ["bearer", { realm: "r" }],
    ],
  ],
  ["", []],
  [",,,", []],
  ['Bearer realm="not closed', [["bearer", {}]]],
])("parseChallenges reads %s", (header, wanted) => {
  expect(read(header) as unknown).toEqual(wanted);
});

test("parseChallenges reads no header that is too long", () => {
  expect(parseChallenges(`Bearer realm="${"x".repeat(20_000)}"`)).toEqual([]);
});
