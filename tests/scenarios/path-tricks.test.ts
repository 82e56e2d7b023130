import { expect, test } from "bun:test";
import { basic, createAccount, setRules } from "../support/sign-in.ts";
import { TestApp } from "../support/test-app.ts";

/** Other spellings of a path of the management API, by which it may be taken for one that others may use. */
function spellingsOf(tail: string): readonly string[] {
  const root = "/api/v1";
  return [
    ...["", "/", "//", "?x", "#x", ";x", "%00", "%2f", "/-/", "/-/tags/x"].map(
      (end) => `${root}${tail}${end}`,
    ),
    ...["/", "/.", "/self/..", "/self/%2e%2e", "/whoami/..", "/repositories", "/repositories/.."].map(
      (start) => `${root}${start}${tail}`,
    ),
    ...["%2e%2e", "a/-/..", "a/-/../..", "a/..%2f..", "a/-/tags/..", "a/-/manifests/.."].map(
      (start) => `${root}/repositories/${start}${tail}`,
    ),
    `${root}${tail.toUpperCase()}`,
    `/API/v1${tail}`,
    `/v2/..${root}${tail}`,
    `${root}%2f${tail.slice(1)}`,
    `${root}/%${tail.charCodeAt(1).toString(16)}${tail.slice(2)}`,
  ];
}

/** What only administrators see. */
const SECRETS = /"(?:users|robots|quotas|entries|rules|keys|collectable|accounts|policies)":/;

test("no spelling of an address lets somebody administer who may do everything else", async () => {
  await using app = new TestApp({ auth: {} });
  await createAccount(app, "root", { isAdmin: true });
  await createAccount(app, "keeper");
  await setRules(app, [["user:keeper", "**", "maintainer"]]);
  const document = (await (await app.request("GET", "/api/v1/openapi.json", basic("root"))).json()) as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
  const wrong: string[] = [];
  let asked = 0;
  for (const [template, methods] of Object.entries(document.paths)) {
    if (/\/(?:repositories|whoami|self|openapi)/.test(template)) continue;
    const tail = template.slice("/api/v1".length).replace(/\{[^}]+\}/g, "x");
    const tried = new Set([
      ...Object.keys(methods).map((name) => name.toUpperCase()),
      "HEAD",
      "GET",
      "PATCH",
    ]);
    for (const path of spellingsOf(tail)) {
      for (const method of tried) {
        const json = { "Content-Type": "application/json" };
        const withBody = { headers: { ...basic("keeper").headers, ...json }, body: "{}" };
        const hasBody = method === "PUT" || method === "POST";
        const response = await app.request(method, path, hasBody ? withBody : basic("keeper"));
        asked += 1;
        const isRefused = response.status >= 400 && response.status < 500;
        const isHarmless = path.includes("/repositories") && !SECRETS.test(await response.text());
        if (!isRefused && !isHarmless) wrong.push(`${method} ${path} is ${response.status}`);
      }
    }
  }
  expect(wrong).toEqual([]);
  expect(asked).toBeGreaterThan(3_000);
});
