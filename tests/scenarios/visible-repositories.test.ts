import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { LOOKED_MAX, listVisible } from "@stowage/server/registry/visible-entries";
import { blobOf, imageOf } from "../support/content.ts";
import { Random } from "../support/random.ts";
import { basic, bearer, createAccount, setRules, tokenFor } from "../support/sign-in.ts";
import { type RequestParts, TestApp } from "../support/test-app.ts";

/** Repositories of the registry; the names of one in fifty match what `sparse` may see. */
const COUNT = 2_000;

const NAMES = Array.from({ length: COUNT }, (_, at) => {
  const number = String(at).padStart(5, "0");
  return at % 50 === 7 ? `r${number}/shown` : `r${number}/hidden`;
});
const SHOWN = NAMES.filter((name) => name.endsWith("/shown"));

let app: TestApp;

beforeAll(async () => {
  app = new TestApp({ auth: {} });
  await createAccount(app, "root", { isAdmin: true });
  for (const name of ["sparse", "nobody", "everything"]) await createAccount(app, name);
  await setRules(app, [
    ["user:sparse", "*/shown", "reader"],
    ["user:everything", "**", "reader"],
    ["anonymous", "r00007/* r01957/*", "reader"],
  ]);
  const image = imageOf([blobOf("a layer")]);
  await app.pushImage("first/app", "v1", image, basic("root"));
  for (const name of NAMES) {
    for (const { digest } of [image.config, ...image.layers]) {
      const mount = `/v2/${name}/blobs/uploads/?mount=${digest}&from=first/app`;
      await app.request("POST", mount, { isLocal: true });
    }
    await app.pushManifest(name, "v1", image, { isLocal: true });
  }
});

afterAll(async () => await app[Symbol.asyncDispose]());

interface Walked {
  readonly names: readonly string[];
  readonly pages: readonly number[];
}

/** Follows the links of a listing from its first page to its last. */
async function walk(path: string, parts: RequestParts): Promise<Walked> {
  const [names, pages] = [[] as string[], [] as number[]];
  for (let next: string | null = path; next !== null;) {
    const response: Response = await app.request("GET", next, parts);
    expect(response.status).toBe(200);
    const { repositories } = (await response.json()) as { repositories: (string | { name: string })[] };
    names.push(...repositories.map((one) => (typeof one === "string" ? one : one.name)));
    pages.push(repositories.length);
    next = /^<([^>]+)>; rel="next"$/.exec(response.headers.get("Link") ?? "")?.[1] ?? null;
  }
  return { names, pages };
}

describe.each([
  ["/v2/_catalog", SHOWN],
  ["/api/v1/repositories", SHOWN],
  ["/api/v1/repositories?order=desc", SHOWN.toReversed()],
  ["/api/v1/repositories?sort=size", SHOWN],
] as const)("%s", (path, shown) => {
  const paged = (n: number) => `${path}${path.includes("?") ? "&" : "?"}n=${n}`;

  test("shows what the caller may pull, in full pages, and a link only where more follows", async () => {
    for (const n of [1, 7, 20, 39, 40, 41]) {
      const { names, pages } = await walk(paged(n), basic("sparse"));
      expect(names).toEqual([...shown]);
      expect(pages.slice(0, -1).every((length) => length === n)).toBe(true);
      expect(pages).toHaveLength(Math.ceil(shown.length / n));
    }
  });

  test("shows an administrator, and who may pull everywhere, all of it", async () => {
    for (const name of ["root", "everything"]) {
      expect((await walk(paged(999), basic(name))).names.toSorted()).toEqual(["first/app", ...NAMES]);
    }
  });

  test("shows others what anybody may pull, and an access token no more than its limit", async () => {
    const { names } = await walk(paged(1), basic("nobody"));
    expect(names.toSorted()).toEqual(["r00007/shown", "r01957/shown"]);
    const limit = [{ repositories: ["r00057/**", "first/**"], may: ["pull"] }];
    const made = await app.auth?.tokens.create({
      kind: "personal",
      account: "sparse",
      label: "limited",
      limit,
      expiresAt: null,
    });
    expect((await walk(paged(10), bearer(made?.secret ?? ""))).names).toEqual(["r00057/shown"]);
  });

  test("shows anybody what anybody may pull", async () => {
    const names = [...["r00007/shown", "r01957/shown"]];
    const token = path.startsWith("/v2/") ? bearer(await tokenFor(app, {}, "registry:catalog:*")) : {};
    const walked = await walk(paged(1), token);
    expect(walked.names.toSorted()).toEqual(names);
    expect(walked.pages).toEqual([1, 1]);
  });

  test("takes a registry token with the scope of the catalog for its account, and none without", async () => {
    const token = bearer(await tokenFor(app, basic("sparse"), "registry:catalog:*"));
    expect((await walk(paged(100), token)).names).toEqual([...shown]);
    const without = bearer(await tokenFor(app, basic("sparse"), "repository:r00007/shown:pull"));
    expect((await app.request("GET", path, without)).status).toBe(401);
  });
});

test("_catalog asks who it is before it answers, so that clients show what they keep only when they are asked", async () => {
  const response = await app.request("GET", "/v2/_catalog");
  expect(response.status).toBe(401);
  expect(response.headers.get("WWW-Authenticate")).toEndWith(',scope="registry:catalog:*"');
  expect((await app.request("GET", "/api/v1/repositories")).status).toBe(200);
});

test("_catalog goes on behind any name, also one that is hidden or not there", async () => {
  for (const last of [
    "r00057/shown",
    "r00057/hidden",
    "r00058/hidden",
    "r00057/shown0",
    "zzz",
    "",
    "%",
    "R",
  ]) {
    const path = `/v2/_catalog?n=3&last=${encodeURIComponent(last)}`;
    const response = await app.request("GET", path, basic("sparse"));
    const { repositories } = (await response.json()) as { repositories: string[] };
    expect([last, repositories]).toEqual([last, SHOWN.filter((name) => name > last).slice(0, 3)]);
  }
});

test("what is looked for is found among what the caller may pull, whatever its case", async () => {
  const table: readonly (readonly [query: string, matches: (name: string) => boolean])[] = [
    ["prefix=r000", (name) => name.startsWith("r000")],
    ["search=57%2FSHOWN", (name) => name.includes("57/shown")],
    ["search=hidden", () => false],
    ["prefix=r00058", () => false],
    ["prefix=r&search=9", (name) => name.includes("9")],
  ];
  for (const [query, matches] of table) {
    const { names } = await walk(`/api/v1/repositories?n=3&${query}`, basic("sparse"));
    expect([query, names]).toEqual([query, SHOWN.filter(matches)]);
  }
});

test("_catalog begins to look at a repository that the caller sees, or at the beginning, and nowhere between", async () => {
  const asked: string[] = [];
  const list = app.registry.listRepositories;
  const watched = Object.assign(app.registry, {
    listRepositories: async (page: Parameters<typeof list>[0]) => {
      asked.push(page.after);
      return await list(page);
    },
  });
  // The second name is one that the rules would show, if it were there.
  for (const last of ["r00057/shown", "r00058/shown", "r00058/hidden", "r00057/zzz"]) {
    await app.request("GET", `/v2/_catalog?n=1&last=${last}`, basic("sparse"));
  }
  Object.assign(watched, { listRepositories: list });
  expect(asked).toEqual(["r00057/shown", "", "", ""]);
});

test("_catalog with n=0 is empty and has no link, as it has for an administrator", async () => {
  const response = await app.request("GET", "/v2/_catalog?n=0", basic("sparse"));
  expect([await response.json(), response.headers.get("Link")]).toEqual([{ repositories: [] }, null]);
});

test("a cursor or position that was made up leads nowhere, and one of the registry does not tell names", async () => {
  const made = Buffer.from(JSON.stringify(["repositories name asc", 0, 0, "r01000/hidden"])).toString(
    "base64url",
  );
  const response = await app.request("GET", `/api/v1/repositories?next=${made}`, basic("sparse"));
  expect(response.status).toBe(400);
  const page = await app.request("GET", "/api/v1/repositories?n=1", basic("sparse"));
  const { next } = (await page.json()) as { next: string };
  expect(Buffer.from(next, "base64url").toString("latin1")).not.toMatch(/r0|hidden|shown/);
  const ignored = await app.request("GET", `/v2/_catalog?n=1&position=${made}`, basic("sparse"));
  expect(await ignored.json()).toEqual({ repositories: ["r00007/shown"] });
});

test("listVisible stops after LOOKED_MAX entries, and goes on where it stopped", async () => {
  const random = new Random(7);
  const all = Array.from({ length: 3 * LOOKED_MAX + 17 }, (_, at) => at);
  const visible = new Set(all.filter(() => random.below(5_000) === 0));
  const read = async (after: number | null, max: number) =>
    all.slice(after === null ? 0 : after + 1, (after === null ? 0 : after + 1) + max);
  const found: number[] = [];
  let requests = 0;
  for (let after: number | null = null; ;) {
    const looking = { read, positionOf: (at: number) => at, isVisible: (at: number) => visible.has(at) };
    const page: Awaited<ReturnType<typeof listVisible<number, number>>> = await listVisible({
      ...looking,
      after,
      entriesMax: 1_000,
    });
    found.push(...page.entries);
    requests += 1;
    after = page.next;
    if (after === null) break;
  }
  expect(found).toEqual([...visible]);
  expect(requests).toBe(4);
});

test("what a caller may not see is not counted in what they are told", async () => {
  await setRules(app, [["user:sparse", "r00007/* r01957/*", "reader"]]);
  const { names, pages } = await walk("/v2/_catalog?n=1", basic("sparse"));
  expect([names, pages]).toEqual([
    ["r00007/shown", "r01957/shown"],
    [1, 1],
  ]);
});

test("how much a deletion frees is told only to who may pull everything: it says what hidden repositories have", async () => {
  const ask = async (account: string) => {
    const response = await app.request("GET", "/api/v1/repositories/r00007/shown", basic(account));
    const { exclusiveBlobs, exclusiveBytes } = (await response.json()) as Record<string, unknown>;
    return [response.status, exclusiveBlobs, exclusiveBytes];
  };
  expect(await ask("sparse")).toEqual([200, null, null]);
  expect(await ask("root")).toEqual([200, 0, 0]);
});
