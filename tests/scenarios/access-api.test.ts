import { describe, expect, test } from "bun:test";
import { api } from "../support/api.ts";
import { basic, bearer, createAccount, tokenFor } from "../support/sign-in.ts";
import { TestApp } from "../support/test-app.ts";

const ROOT = basic("root");

async function openApp(): Promise<TestApp> {
  const app = new TestApp({ auth: {} });
  await createAccount(app, "root", { isAdmin: true });
  await createAccount(app, "alice");
  return app;
}

describe("access", () => {
  const rule = (who: string, repositories: string, may: string) => ({
    who: [who],
    repositories: [repositories],
    may: [may],
  });

  test("rules are set as a whole, and hold at once", async () => {
    await using app = await openApp();
    const alice = basic("alice");
    const pull = async () => (await app.request("GET", "/v2/team/a/tags/list", alice)).status;
    expect(await pull()).toBe(403);
    const body = { rules: [rule("user:alice", "team/**", "reader")] };
    const set = await api(app, "PUT", "/access", { ...ROOT, body });
    expect([set.status, set.body]).toEqual([200, { groups: {}, ...body }]);
    expect(await pull()).toBe(404);
    expect((await api(app, "GET", "/access", ROOT)).body).toEqual(set.body);
  });

  test("with If-Match an update of somebody else is not lost", async () => {
    await using app = await openApp();
    const put = async (mark: string, who: string) =>
      await api(app, "PUT", "/access", {
        headers: { ...ROOT.headers, "If-Match": mark },
        body: { rules: [rule(who, "a", "pull")] },
      });
    const first = (await api(app, "GET", "/access", ROOT)).headers.get("ETag") ?? "";
    expect(first).toMatch(/^"[0-9a-f]{32}"$/);
    const answers = await Promise.all([put(first, "user:a"), put(first, "user:b"), put(first, "user:c")]);
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409]);
    const now = await api(app, "GET", "/access", ROOT);
    const won = answers.find(({ status }) => status === 200);
    expect([now.body, now.headers.get("ETag")]).toEqual([won?.body ?? {}, won?.headers.get("ETag") ?? ""]);
    expect((await put(now.headers.get("ETag") ?? "", "user:d")).status).toBe(200);
    expect((await put('"nonsense"', "user:e")).status).toBe(409);
  });

  test("check says whether, and which rules say so", async () => {
    await using app = await openApp();
    const grants = [{ repositories: ["bin/*"], may: ["push"] }];
    await createAccount(app, "robot:ci", { grants });
    await createAccount(app, "gone", { expiresAt: 5 });
    const rules = [
      rule("group:devs", "team/**", "writer"),
      rule("user:alice", "team/app", "delete"),
      rule("anonymous", "public/**", "reader"),
    ];
    await api(app, "PUT", "/access", { ...ROOT, body: { groups: { devs: ["user:alice"] }, rules } });
    const check = async (who: string, action: string, repository: string) => {
      const query = new URLSearchParams({ who, action, ...(repository === "" ? {} : { repository }) });
      return (await api(app, "GET", `/access/check?${query}`, ROOT)).body;
    };
    const [devs, alice, anybody] = rules;
    const table: readonly (readonly [string, string, string, boolean, readonly unknown[]])[] = [
      ["user:alice", "push", "team/app", true, [devs]],
      ["user:alice", "pull", "team/app", true, [alice, devs]],
      ["user:alice", "delete", "team/other", false, []],
      ["user:alice", "pull", "public/x", true, [anybody]],
      ["anonymous", "pull", "public/x", true, [anybody]],
      ["authenticated", "pull", "public/x", true, [anybody]],
      ["anonymous", "push", "public/x", false, []],
      ["group:devs", "push", "team/x", true, [devs]],
      ["robot:ci", "push", "bin/x", true, []],
      ["robot:ci", "push", "bin/x/y", false, []],
      ["user:root", "admin", "any/thing", true, []],
      ["user:root", "admin", "", true, []],
      ["user:gone", "pull", "public/x", false, []],
      ["user:nobody", "pull", "public/x", false, []],
      ["user:robot:ci", "push", "bin/x", false, []],
      ["robot:nobody", "pull", "public/x", false, []],
      ["certificate:x", "pull", "public/x", true, [anybody]],
    ];
    for (const [who, action, repository, allowed, given] of table) {
      const answer = await check(who, action, repository);
      expect([who, repository, answer.allowed, answer.rules]).toEqual([who, repository, allowed, given]);
    }
    expect((await check("user:alice", "delete", "team/other")).why).toContain("group:devs");
    expect((await check("user:nobody", "pull", "a")).why).toContain("no account");
    for (const query of [
      "who=alice&action=pull",
      "who=user:alice&action=base",
      "action=pull",
      "who=user:a&action=pull&repository=A",
    ])
      expect((await api(app, "GET", `/access/check?${query}`, ROOT)).status).toBe(400);
  });

  test("a document of slow globs is refused, one of ten thousand names is not", async () => {
    await using app = await openApp();
    const many = (count: number, glob: (at: number) => string) =>
      Array.from({ length: Math.ceil(count / 100) }, (_, part) => ({
        who: ["anonymous"],
        repositories: Array.from({ length: 100 }, (_unused, at) => glob(part * 100 + at)),
        may: ["pull"],
      }));
    const set = async (rules: readonly unknown[]) =>
      await api(app, "PUT", "/access", { ...ROOT, body: { rules } });
    expect((await set(many(6_000, (at) => `n${at}`))).status).toBe(200);
    expect((await set(many(5_000, (at) => `n${at}/**`))).status).toBe(200);
    expect((await set(many(500, (at) => `*${at}`))).status).toBe(200);
    expect((await set(many(600, (at) => `*${at}`))).message).toContain("wanted at most 500 such globs");
    expect((await set(many(100, (at) => `*${"a".repeat(100)}${at}`))).message).toContain(
      "of 8192 characters",
    );
    expect((await set(many(20_000, (at) => `n${at}`))).code).toBe("SIZE_INVALID");
  });
});

describe("keys", () => {
  test("are listed without what is secret, and rotate", async () => {
    await using app = await openApp();
    const token = bearer(await tokenFor(app, basic("alice")));
    const before = await api(app, "GET", "/keys", ROOT);
    expect(Object.keys((before.body.keys as object[])[0] ?? {})).toEqual([
      "kid",
      "createdAt",
      "signsUntil",
      "verifiesUntil",
    ]);
    expect((await api(app, "POST", "/keys/rotate", { ...ROOT, body: {} })).body.keys).toHaveLength(2);
    expect((await api(app, "GET", "/whoami", token)).status).toBe(200);
    const after = await api(app, "POST", "/keys/rotate", { ...ROOT, body: { revokeAll: true } });
    expect(after.body.keys).toHaveLength(1);
    expect((await api(app, "GET", "/whoami", token)).status).toBe(401);
  });
});
