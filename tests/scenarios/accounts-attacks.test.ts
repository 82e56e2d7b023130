import { expect, test } from "bun:test";
import { compileGrants } from "@stowage/server/auth/grants";
import { parseRepositoryName } from "@stowage/oci/repository-name";
import { api } from "../support/api.ts";
import { basic, bearer, createAccount, PASSWORD, setRules, tokenFor } from "../support/sign-in.ts";
import { TestApp } from "../support/test-app.ts";

const ROOT = basic("root");

async function openApp(): Promise<TestApp> {
  const app = new TestApp({ auth: {} });
  await createAccount(app, "root", { isAdmin: true });
  await createAccount(app, "boss", { isAdmin: true });
  await createAccount(app, "alice");
  return app;
}

async function tokenOf(app: TestApp, name: string, extra: object = {}): Promise<string> {
  const made = await api(app, "POST", "/self/tokens", { ...basic(name), body: { label: "x", ...extra } });
  return String(made.body.secret);
}

test("an administrator's tokens and sessions are worth no more than the account is now", async () => {
  await using app = await openApp();
  const token = bearer(await tokenOf(app, "boss"));
  const made = await app.auth?.tokens.create({
    kind: "session",
    account: "boss",
    label: "",
    limit: null,
    expiresAt: null,
  });
  const session = { headers: { Cookie: `stowage=${made?.secret}` } };
  const registry = bearer(await tokenFor(app, basic("boss"), "repository:any/thing:pull"));
  expect((await api(app, "GET", "/users", token)).status).toBe(200);
  expect((await api(app, "PUT", "/users/boss", { ...ROOT, body: { isAdmin: false } })).status).toBe(200);
  for (const parts of [token, session, basic("boss")]) {
    expect((await api(app, "GET", "/users", parts)).status).toBe(403);
    expect((await api(app, "PUT", "/users/boss", { ...parts, body: { isAdmin: true } })).status).toBe(403);
  }
  expect((await app.request("GET", "/v2/any/thing/tags/list", registry)).status).toBe(403);
});

test("nobody raises themselves: no member beyond those that a route knows is taken", async () => {
  await using app = await openApp();
  const alice = basic("alice");
  const more = { isAdmin: true, kind: "robot", groups: ["g"], grants: [], passwordHash: "x", createdBy: "y" };
  const grants = [{ repositories: ["**"], may: ["admin"] }];
  const requests: readonly (readonly [string, string, ReturnType<typeof basic>, object])[] = [
    ["PUT", "/self/password", alice, { current: PASSWORD, new: "another password", isAdmin: true }],
    ["POST", "/self/tokens", alice, { label: "x", isAdmin: true }],
    ["POST", "/self/tokens", alice, { label: "x", account: "root" }],
    ["POST", "/self/tokens", alice, { label: "x", kind: "session" }],
    ["POST", "/self/tokens", alice, { label: "x", limit: grants, scopes: [] }],
    ["POST", "/users", ROOT, { name: "bob", ...more }],
    ["PUT", "/users/alice", ROOT, { name: "root" }],
    ["PUT", "/users/alice", ROOT, { passwordHash: "x" }],
    ["PUT", "/users/alice", ROOT, { grants }],
    ["PUT", "/users/alice", ROOT, { groups: ["admins"] }],
    ["PUT", "/users/alice", ROOT, { __proto__: null, constructor: {} }],
    ["POST", "/robots", ROOT, { name: "ci", isAdmin: true }],
    ["POST", "/robots", ROOT, { name: "ci", grants: [{ ...grants[0], more: 1 }] }],
    ["PUT", "/access", ROOT, { rules: [], admins: ["user:alice"] }],
    ["POST", "/keys/rotate", ROOT, { revokeAll: false, kid: "x" }],
  ];
  for (const [method, path, parts, body] of requests) {
    const { status, code } = await api(app, method, path, { ...parts, body });
    expect([method, path, body, status, code]).toEqual([method, path, body, 400, "REQUEST_INVALID"]);
  }
  expect((await api(app, "GET", "/users", ROOT)).body.users).toHaveLength(3);
  for (const path of [
    "/users/alice",
    "/users/%61lice",
    "/users/alice/",
    "/users//alice",
    "/self/../users/alice",
  ]) {
    const { status } = await api(app, "PUT", path, { ...alice, body: { isAdmin: true } });
    expect([path, status]).toEqual([path, path.includes("..") ? 404 : 403]);
  }
  expect((await api(app, "GET", "/users/alice", ROOT)).body.isAdmin).toBe(false);
});

test("a token makes no token, whatever it is and whatever it is limited to", async () => {
  await using app = await openApp();
  const grants = [{ repositories: ["team/**"], may: ["pull"] }];
  await createAccount(app, "robot:ci", { grants });
  const robot = await app.auth?.tokens.create({
    kind: "personal",
    account: "robot:ci",
    label: "",
    limit: null,
    expiresAt: null,
  });
  for (const parts of [
    bearer(await tokenOf(app, "alice")),
    basic("alice", await tokenOf(app, "alice", { limit: grants })),
    bearer(await tokenOf(app, "root", { limit: grants })),
    bearer(await tokenOf(app, "root", { limit: [{ repositories: ["**"], may: ["admin"] }] })),
    bearer(await tokenFor(app, ROOT, "repository:team/a:*")),
    bearer(robot?.secret ?? ""),
  ]) {
    for (const [method, path, body] of [
      ["POST", "/self/tokens", { label: "y" }],
      ["PUT", "/self/password", { current: PASSWORD, new: "another password" }],
      ["GET", "/self/tokens", undefined],
    ] as const) {
      const answer = await api(app, method, path, { ...parts, ...(body === undefined ? {} : { body }) });
      expect([path, answer.status]).toEqual([path, 403]);
    }
  }
});

test("a robot may be called like a user, and is another account all the same", async () => {
  await using app = await openApp();
  expect((await api(app, "POST", "/robots", { ...ROOT, body: { name: "root" } })).status).toBe(201);
  const made = await api(app, "POST", "/robots/root/tokens", { ...ROOT, body: {} });
  const robot = basic("root", String(made.body.secret));
  expect((await api(app, "GET", "/whoami", robot)).body).toMatchObject({
    name: "robot:root",
    isAdmin: false,
    principals: ["anonymous", "authenticated", "robot:root"],
  });
  expect((await api(app, "GET", "/users", robot)).status).toBe(403);
});

test("who may not administer learns nothing of accounts: the answers are the same for each name", async () => {
  await using app = await openApp();
  for (const parts of [{}, basic("alice"), bearer(await tokenOf(app, "alice"))]) {
    const answers = await Promise.all(
      ["root", "nobody", "a b", "robot:ci", "%00"].map(async (name) => {
        const { status, body } = await api(app, "GET", `/users/${encodeURIComponent(name)}`, parts);
        return JSON.stringify([status, body]);
      }),
    );
    expect(new Set(answers).size).toBe(1);
  }
});

test("no secret is in an answer but the one that makes it, in an error, or in the log", async () => {
  await using app = await openApp();
  const secrets = [PASSWORD, "a-password-that-is-set", "x-short", await tokenOf(app, "alice")];
  const [, set = "", , token = ""] = secrets;
  const answers = [
    await api(app, "POST", "/users", { ...ROOT, body: { name: "bob", password: set } }),
    await api(app, "POST", "/users", { ...ROOT, body: { name: "bob", password: set } }),
    await api(app, "POST", "/users", { ...ROOT, body: { name: "b:b", password: set } }),
    await api(app, "POST", "/users", { ...ROOT, body: { name: "carl", password: set, more: 1 } }),
    await api(app, "PUT", "/users/bob/password", { ...ROOT, body: { password: "x-short" } }),
    await api(app, "PUT", "/users/bob/password", { ...ROOT, body: { password: [set] } }),
    await api(app, "PUT", "/users/bob/password", { ...ROOT, body: `{"password":"${set}"` }),
    await api(app, "PUT", "/users/nobody/password", { ...ROOT, body: { password: set } }),
    await api(app, "PUT", "/self/password", { ...basic("alice"), body: { current: set, new: set } }),
    await api(app, "PUT", "/self/password", { ...basic("alice"), body: { current: token, new: set } }),
    await api(app, "GET", "/whoami", bearer(token)),
    await api(app, "GET", "/users", ROOT),
    await api(app, "GET", "/users/alice/tokens", ROOT),
    await api(app, "GET", "/self/tokens", basic("alice")),
    await api(app, "GET", "/keys", ROOT),
    await api(app, "GET", "/whoami", basic("alice", "a-password-that-is-set")),
  ];
  const said = JSON.stringify(answers.map(({ body, headers }) => [body, [...headers]]));
  for (const secret of [...secrets, token.slice(-43), "$argon2id$", "$2b$", '"d":']) {
    expect([secret, said.includes(secret), app.log.includes(secret)]).toEqual([secret, false, false]);
  }
});

test("documents of 64 KiB are answered, and none of them keeps a request waiting", async () => {
  await using app = await openApp();
  const name = parseRepositoryName(`${"a/".repeat(120)}b`);
  if (name === null) throw new Error("no name");
  // The slowest that the limits let through: each glob fails as late as it can.
  const globs = Array.from({ length: 500 }, () => "**/*a*a*a*a*c/c");
  const grants = compileGrants([{ repositories: globs, may: ["pull"] }]);
  const startedAt = performance.now();
  expect(grants.allows("pull", name)).toBe(false);
  // Not a measurement: it fails when a limit is gone.
  expect(performance.now() - startedAt).toBeLessThan(1_000);
  const long = "x".repeat(63 * 1024);
  for (const [method, path, body] of [
    ["POST", "/users", { name: long }],
    ["POST", "/users", { name: "a", description: long }],
    ["POST", "/users", { name: "a", password: long }],
    ["POST", "/self/tokens", { label: long }],
    ["POST", "/robots", { name: "a", grants: [{ repositories: [long], may: ["pull"] }] }],
    ["POST", "/robots", { name: "a", grants: Array.from({ length: 3_000 }, () => []) }],
    ["PUT", "/access", { rules: Array.from({ length: 10_000 }, () => null) }],
    ["PUT", "/access", { groups: { [long]: [] } }],
    ["PUT", "/access", { rules: [{ who: [`user:${long}`], repositories: ["a"], may: ["pull"] }] }],
    ["PUT", "/self/password", { current: long, new: "another password" }],
  ] as const) {
    const { status, message } = await api(app, method, path, { ...ROOT, body });
    expect([path, status === 400 || status === 403]).toEqual([path, true]);
    expect(message.length).toBeLessThan(4_096);
  }
});

test("a registry that is read-only lets people and administrators end what leaked", async () => {
  await using app = new TestApp({ auth: {}, readOnly: true });
  await createAccount(app, "root", { isAdmin: true });
  await createAccount(app, "alice");
  const made = await api(app, "POST", "/self/tokens", { ...basic("alice"), body: { label: "x" } });
  expect(made.status).toBe(201);
  expect((await api(app, "DELETE", `/self/tokens/${String(made.body.id)}`, basic("alice"))).status).toBe(204);
  expect((await api(app, "PUT", "/users/alice", { ...ROOT, body: { isDisabled: true } })).status).toBe(200);
  expect((await api(app, "PUT", "/access", { ...ROOT, body: { rules: [] } })).status).toBe(200);
  expect((await api(app, "POST", "/keys/rotate", { ...ROOT, body: { revokeAll: true } })).status).toBe(200);
  expect((await api(app, "POST", "/repositories", { ...ROOT, body: { name: "a" } })).status).toBe(405);
});

test("rules that name a principal many times are compiled once each", async () => {
  await using app = await openApp();
  const who = Array.from({ length: 900 }, (_, at) => `user:u${at}`);
  const rule = { who, repositories: Array.from({ length: 100 }, (_, at) => `a${at}`), may: ["pull"] };
  const { status } = await api(app, "PUT", "/access", { ...ROOT, body: { rules: [rule, rule, rule, rule] } });
  expect(status).toBe(200);
  await setRules(app, [["user:alice user:alice", "team/**", "reader"]]);
  expect((await app.request("GET", "/v2/team/a/tags/list", basic("alice"))).status).toBe(404);
});
