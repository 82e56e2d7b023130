import { describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HtpasswdFile } from "@stowage/server/auth/htpasswd";
import { api } from "../support/api.ts";
import { basic, bearer, createAccount, PASSWORD, setRules, tokenFor } from "../support/sign-in.ts";
import { TestApp } from "../support/test-app.ts";

const ROOT = basic("root");

async function openApp(): Promise<TestApp> {
  const app = new TestApp({ auth: {} });
  await createAccount(app, "root", { isAdmin: true });
  await createAccount(app, "alice");
  return app;
}

const whoami = async (app: TestApp, parts: ReturnType<typeof basic>) =>
  await api(app, "GET", "/whoami", parts);

describe("whoami", () => {
  test("says who asks, by what, and what rules may name them by", async () => {
    await using app = await openApp();
    await app.auth?.rules.set({ name: null }, { groups: { devs: ["user:alice"] }, rules: [] });
    expect((await whoami(app, basic("alice"))).body).toEqual({
      name: "alice",
      credential: { kind: "password", id: null },
      isAdmin: false,
      isLimited: false,
      principals: ["anonymous", "authenticated", "user:alice", "group:devs"],
      auth: true,
    });
    const token = await tokenFor(app, basic("alice"), "registry:catalog:*", "repository:x/y:pull");
    expect((await whoami(app, bearer(token))).body).toMatchObject({
      credential: { kind: "registry-token", id: expect.any(String) },
      isLimited: true,
      scopes: [],
    });
    expect((await api(app, "GET", "/whoami")).status).toBe(401);
  });

  test("without authentication says so", async () => {
    await using app = new TestApp();
    expect((await api(app, "GET", "/whoami")).body).toMatchObject({ name: null, isAdmin: true, auth: false });
  });
});

describe("users", () => {
  test("a user is made, shown, changed and deleted", async () => {
    await using app = await openApp();
    const made = await api(app, "POST", "/users", { ...ROOT, body: { name: "bob", password: PASSWORD } });
    expect([made.status, made.body]).toMatchObject([201, { name: "bob", createdBy: "root", password: null }]);
    expect(made.headers.get("Cache-Control")).toBe("no-store");
    expect((await whoami(app, basic("bob"))).status).toBe(200);
    const changed = await api(app, "PUT", "/users/bob", {
      ...ROOT,
      body: { isAdmin: true, description: "d" },
    });
    expect(changed.body).toMatchObject({ isAdmin: true, description: "d", isDisabled: false });
    expect((await api(app, "GET", "/users", basic("bob"))).status).toBe(200);
    await api(app, "PUT", "/users/bob", { ...ROOT, body: { isDisabled: true } });
    expect((await whoami(app, basic("bob"))).status).toBe(401);
    await api(app, "PUT", "/users/bob", {
      ...ROOT,
      body: { isDisabled: false, expiresAt: "2020-01-01T00:00:00Z" },
    });
    expect((await whoami(app, basic("bob"))).status).toBe(401);
    expect((await api(app, "DELETE", "/users/bob", ROOT)).status).toBe(204);
    expect((await api(app, "GET", "/users/bob", ROOT)).code).toBe("ACCOUNT_UNKNOWN");
    expect((await api(app, "DELETE", "/users/bob", ROOT)).status).toBe(404);
  });

  test("without a password one is made and told once", async () => {
    await using app = await openApp();
    const made = await api(app, "POST", "/users", { ...ROOT, body: { name: "bob" } });
    const password = String(made.body.password);
    expect(password).toHaveLength(24);
    expect((await whoami(app, basic("bob", password))).status).toBe(200);
    expect(JSON.stringify((await api(app, "GET", "/users/bob", ROOT)).body)).not.toContain(password);
    const set = await api(app, "PUT", "/users/bob/password", { ...ROOT, body: {} });
    expect((await whoami(app, basic("bob", password))).status).toBe(401);
    expect((await whoami(app, basic("bob", String(set.body.password)))).status).toBe(200);
  });

  test("lists go in pages, by name, each user once", async () => {
    await using app = await openApp();
    for (const name of ["c", "b", "a"]) await createAccount(app, name);
    const names: string[] = [];
    let pages = 0;
    for (let next: string | null = ""; next !== null;) {
      const more: string = next === "" ? "" : `&next=${next}`;
      const { body, headers } = await api(app, "GET", `/users?n=2${more}`, ROOT);
      names.push(...(body.users as { name: string }[]).map(({ name }) => name));
      next = body.next as string | null;
      expect(headers.has("Link")).toBe(next !== null);
      pages += 1;
    }
    expect([names, pages]).toEqual([["a", "alice", "b", "c", "root"], 3]);
  });

  test.each([
    "",
    "robot:ci",
    "oidc:x",
    "a:b",
    "../x",
    "a/b",
    "-x",
    ".x",
    "anonymous",
    "Authenticated",
    "OWNER",
    "a b",
    "ä",
    "a\n",
    "x".repeat(129),
  ])("the name %j is refused", async (name) => {
    await using app = await openApp();
    const { status, code } = await api(app, "POST", "/users", { ...ROOT, body: { name } });
    expect([status, code]).toEqual([400, "REQUEST_INVALID"]);
    const robot = await api(app, "POST", "/robots", { ...ROOT, body: { name } });
    expect(robot.status).toBe(400);
  });

  test.each(["a", "A.b_c@d+e-f", "x".repeat(128), "0"])("the name %j is taken once", async (name) => {
    await using app = await openApp();
    const create = async () =>
      await api(app, "POST", "/users", { ...ROOT, body: { name, password: PASSWORD } });
    expect((await create()).status).toBe(201);
    expect((await create()).code).toBe("CONFLICT");
    expect((await api(app, "GET", `/users/${encodeURIComponent(name)}`, ROOT)).body.name).toBe(name);
  });

  test("a password is at least 8 characters and at most 1024 bytes, wherever it is set", async () => {
    await using app = await openApp();
    for (const password of ["1234567", "ä".repeat(513), ""]) {
      const answers = [
        await api(app, "POST", "/users", { ...ROOT, body: { name: "bob", password } }),
        await api(app, "PUT", "/users/alice/password", { ...ROOT, body: { password } }),
        await api(app, "PUT", "/self/password", {
          ...basic("alice"),
          body: { current: PASSWORD, new: password },
        }),
      ];
      for (const { status, code } of answers) expect([status, code]).toEqual([400, "REQUEST_INVALID"]);
    }
    expect((await api(app, "GET", "/users/bob", ROOT)).status).toBe(404);
  });

  test("the last administrator can neither be demoted, disabled, ended nor deleted, but from the server itself", async () => {
    await using app = await openApp();
    const attempts = [{ isAdmin: false }, { isDisabled: true }, { expiresAt: "2099-01-01T00:00:00Z" }];
    for (const body of attempts) {
      const { status, code, message } = await api(app, "PUT", "/users/root", { ...ROOT, body });
      expect([status, code]).toEqual([409, "CONFLICT"]);
      expect(message).toContain("`stowage admin`");
    }
    expect((await api(app, "DELETE", "/users/root", ROOT)).status).toBe(409);
    const local = { isLocal: true, body: { isAdmin: false } };
    expect((await api(app, "PUT", "/users/root", local)).body.isAdmin).toBe(false);
    expect((await api(app, "GET", "/users", ROOT)).status).toBe(403);
  });

  test("of two administrators who demote each other at once, one stays", async () => {
    for (let round = 0; round < 20; round++) {
      await using app = await openApp();
      await createAccount(app, "boss", { isAdmin: true });
      const body = { isAdmin: false };
      const answers = await Promise.all([
        api(app, "PUT", "/users/boss", { ...ROOT, body }),
        round % 2 === 0
          ? api(app, "PUT", "/users/root", { ...basic("boss"), body })
          : api(app, "DELETE", "/users/root", basic("boss")),
      ]);
      const left = await app.metadata.accounts.list({ kinds: ["user"], after: "", entriesMax: 9 });
      expect(left.filter(({ isAdmin }) => isAdmin)).toHaveLength(1);
      expect(answers.filter(({ status }) => status < 300)).toHaveLength(1);
    }
  });

  test("names of the htpasswd file are not taken over, and their password is changed in the file", async () => {
    const folder = await mkdtemp(join(tmpdir(), "stowage-htpasswd-"));
    await using _ = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
    const path = join(folder, "htpasswd");
    await writeFile(path, `carol:${await Bun.password.hash(PASSWORD, { algorithm: "bcrypt", cost: 4 })}\n`);
    const log = { warn: () => undefined };
    const htpasswd = await HtpasswdFile.open(path, { log, monotonic: () => performance.now() });
    await using app = new TestApp({ auth: { htpasswd } });
    await createAccount(app, "root", { isAdmin: true });
    const taken = await api(app, "POST", "/users", { ...ROOT, body: { name: "carol" } });
    expect([taken.status, taken.message]).toEqual([409, expect.stringContaining("htpasswd")]);
    const change = { current: PASSWORD, new: "another password" };
    for (const answer of [
      await api(app, "PUT", "/self/password", { ...basic("carol"), body: change }),
      await api(app, "PUT", "/users/carol/password", { ...ROOT, body: {} }),
    ]) {
      expect([answer.status, answer.message]).toEqual([409, expect.stringContaining("htpasswd file")]);
    }
    expect((await api(app, "POST", "/self/tokens", { ...basic("carol"), body: { label: "x" } })).status).toBe(
      201,
    );
    const { body } = await api(app, "GET", "/users/carol/tokens", ROOT);
    const [{ id }] = body.tokens as [{ id: string }];
    expect((await api(app, "DELETE", `/users/carol/tokens/${id}`, ROOT)).status).toBe(204);
  });
});

describe("self", () => {
  test("a new password needs the current one, and ends what was signed in by it", async () => {
    await using app = await openApp();
    const alice = basic("alice");
    const login = await app.request("GET", "/token?offline_token=true&service=stowage", alice);
    const { refresh_token } = (await login.json()) as { refresh_token: string };
    const wrong = { current: "not the password", new: "another password" };
    expect(await api(app, "PUT", "/self/password", { ...alice, body: wrong })).toMatchObject({
      status: 403,
      message: "the current password is not right",
    });
    const right = { current: PASSWORD, new: "another password" };
    expect((await api(app, "PUT", "/self/password", { ...alice, body: right })).status).toBe(204);
    expect((await whoami(app, alice)).status).toBe(401);
    expect((await whoami(app, basic("alice", "another password"))).status).toBe(200);
    const refresh = await app.request("POST", "/token", {
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ grant_type: "refresh_token", refresh_token }).toString(),
    });
    expect(refresh.status).toBe(401);
  });

  test("an access token in place of the current password does not do, not even one's own", async () => {
    await using app = await openApp();
    const made = await api(app, "POST", "/self/tokens", { ...basic("alice"), body: { label: "x" } });
    const change = { current: made.body.secret, new: "another password" };
    expect((await api(app, "PUT", "/self/password", { ...basic("alice"), body: change })).status).toBe(403);
  });

  test("a token is told once, listed without its secret, and revoked by its owner alone", async () => {
    await using app = await openApp();
    await setRules(app, [["user:alice", "team/**", "writer"]]);
    const limit = [{ repositories: ["team/a"], may: ["pull"] }];
    const wish = { label: "laptop", expiresIn: 3_600, limit };
    const made = await api(app, "POST", "/self/tokens", { ...basic("alice"), body: wish });
    expect([made.status, made.body]).toMatchObject([201, { kind: "personal", label: "laptop", limit }]);
    const secret = String(made.body.secret);
    const token = basic("alice", secret);
    expect((await app.request("GET", "/v2/team/a/tags/list", token)).status).toBe(404);
    expect((await app.request("GET", "/v2/team/b/tags/list", token)).status).toBe(403);
    const listed = await api(app, "GET", "/self/tokens", basic("alice"));
    expect(listed.body.tokens).toMatchObject([{ id: made.body.id, limit }]);
    expect(JSON.stringify(listed.body)).not.toContain(secret.slice(-43));
    const path = `/self/tokens/${String(made.body.id)}`;
    expect((await api(app, "DELETE", path, ROOT)).code).toBe("TOKEN_UNKNOWN");
    expect((await api(app, "DELETE", path, basic("alice"))).status).toBe(204);
    expect((await app.request("GET", "/v2/team/a/tags/list", token)).status).toBe(401);
  });

  test("it shows docker logins and sessions, and ends them", async () => {
    await using app = await openApp();
    const login = await app.request(
      "GET",
      "/token?offline_token=true&service=stowage&client_id=docker",
      basic("alice"),
    );
    expect(login.status).toBe(200);
    const made = await app.auth?.tokens.create({
      kind: "session",
      account: "alice",
      label: "Firefox",
      limit: null,
      expiresAt: Date.now() + 60_000,
    });
    const session = { headers: { Cookie: `stowage=${made?.secret}` } };
    const listed = (await api(app, "GET", "/self/tokens", session)).body.tokens as {
      id: string;
      kind: string;
    }[];
    expect(listed.map(({ kind }) => kind).toSorted()).toEqual(["refresh", "session"]);
    for (const { id } of listed) {
      expect((await api(app, "DELETE", `/self/tokens/${id}`, basic("alice"))).status).toBe(204);
    }
    expect((await api(app, "GET", "/self/tokens", session)).status).toBe(401);
  });

  test("an account has at most a hundred tokens", async () => {
    await using app = await openApp();
    const create = async () =>
      await api(app, "POST", "/self/tokens", { ...basic("alice"), body: { label: "x" } });
    // Once signed in the password is remembered; otherwise so many sign-ins at once are too many.
    expect((await whoami(app, basic("alice"))).status).toBe(200);
    const answers = await Promise.all(Array.from({ length: 103 }, create));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(100);
    expect(answers.filter(({ code }) => code === "CONFLICT")).toHaveLength(3);
  });

  test.each([
    { label: "" },
    { label: "x".repeat(101) },
    { label: "a\u0007b" },
    { label: "ä" },
    {},
    { label: "x", expiresIn: 0 },
    { label: "x", expiresIn: 1.5 },
    { label: "x", limit: [{ repositories: ["***"], may: ["pull"] }] },
    { label: "x", limit: [{ repositories: ["a"], may: ["everything"] }] },
    { label: "x", limit: Array.from({ length: 21 }, () => ({ repositories: ["a"], may: ["pull"] })) },
    { label: "x", limit: [{ repositories: Array.from({ length: 51 }, (_, at) => `*${at}`), may: ["pull"] }] },
    { label: "x", kind: "session" },
    { label: "x", account: "root" },
  ])("a token such as %j is refused", async (body) => {
    await using app = await openApp();
    expect((await api(app, "POST", "/self/tokens", { ...basic("alice"), body })).code).toBe(
      "REQUEST_INVALID",
    );
  });

  test("a limit of nothing is a token that may nothing", async () => {
    await using app = await openApp();
    await setRules(app, [["user:alice", "**", "maintainer"]]);
    const made = await api(app, "POST", "/self/tokens", {
      ...basic("alice"),
      body: { label: "x", limit: [] },
    });
    const token = bearer(String(made.body.secret));
    expect((await app.request("GET", "/v2/a/tags/list", token)).status).toBe(403);
    expect((await whoami(app, token)).status).toBe(200);
  });
});

describe("robots", () => {
  const grants = [{ repositories: ["team/**"], may: ["push"] }];

  test("a robot signs in with its tokens and nothing else, and may what it was given", async () => {
    await using app = await openApp();
    const made = await api(app, "POST", "/robots", { ...ROOT, body: { name: "ci", grants } });
    expect([made.status, made.body]).toMatchObject([201, { name: "ci", account: "robot:ci", grants }]);
    for (const password of [PASSWORD, "", "ci"]) {
      expect((await whoami(app, basic("robot:ci", password))).status).toBe(401);
    }
    const token = await api(app, "POST", "/robots/ci/tokens", { ...ROOT, body: { label: "one" } });
    const parts = basic("whatever", String(token.body.secret));
    expect((await whoami(app, parts)).body).toMatchObject({ name: "robot:ci", isAdmin: false });
    expect((await app.request("POST", "/v2/team/x/blobs/uploads/", parts)).status).toBe(202);
    expect((await app.request("POST", "/v2/other/x/blobs/uploads/", parts)).status).toBe(403);
    await api(app, "PUT", "/robots/ci", { ...ROOT, body: { grants: [] } });
    expect((await app.request("POST", "/v2/team/x/blobs/uploads/", parts)).status).toBe(403);
    await api(app, "PUT", "/robots/ci", { ...ROOT, body: { grants, isDisabled: true } });
    expect((await whoami(app, parts)).status).toBe(401);
    expect((await api(app, "DELETE", "/robots/ci", ROOT)).status).toBe(204);
    expect((await whoami(app, parts)).status).toBe(401);
    await api(app, "POST", "/robots", { ...ROOT, body: { name: "ci", grants } });
    expect((await whoami(app, parts)).status).toBe(401);
  });

  test("a rotated token ends at once, or after the overlap", async () => {
    await using app = await openApp();
    await api(app, "POST", "/robots", { ...ROOT, body: { name: "ci", grants } });
    const secretOf = async (path: string, body: unknown) =>
      bearer(String((await api(app, "POST", path, { ...ROOT, body })).body.secret));
    const first = await secretOf("/robots/ci/tokens", {});
    const second = await secretOf("/robots/ci/rotate", { overlap: 60, label: "second" });
    expect([(await whoami(app, first)).status, (await whoami(app, second)).status]).toEqual([200, 200]);
    app.clockAhead += 61_000;
    expect([(await whoami(app, first)).status, (await whoami(app, second)).status]).toEqual([401, 200]);
    const third = await secretOf("/robots/ci/rotate", {});
    expect([(await whoami(app, second)).status, (await whoami(app, third)).status]).toEqual([401, 200]);
  });

  test("robots, users and their tokens are kept apart", async () => {
    await using app = await openApp();
    await api(app, "POST", "/robots", { ...ROOT, body: { name: "alice", grants } });
    const token = await api(app, "POST", "/robots/alice/tokens", { ...ROOT, body: {} });
    const id = String(token.body.id);
    const table: readonly (readonly [string, string, number])[] = [
      ["GET", "/users/robot:alice", 400],
      ["DELETE", "/users/robot%3Aalice", 400],
      ["PUT", "/users/robot:alice/password", 400],
      ["DELETE", `/users/alice/tokens/${id}`, 404],
      ["GET", "/robots/root", 404],
      ["GET", "/robots/root/tokens", 404],
      ["DELETE", "/robots/root", 404],
      ["DELETE", `/self/tokens/${id}`, 404],
      ["GET", "/robots/..%2Fusers", 400],
    ];
    for (const [method, path, status] of table) {
      const body = method === "PUT" ? { body: {} } : {};
      expect([path, (await api(app, method, path, { ...ROOT, ...body })).status]).toEqual([path, status]);
    }
    expect((await api(app, "GET", "/users", ROOT)).body.users).toHaveLength(2);
    expect((await api(app, "GET", "/robots", ROOT)).body.robots).toMatchObject([{ name: "alice" }]);
    expect((await whoami(app, bearer(String(token.body.secret)))).body.name).toBe("robot:alice");
  });
});

test("without authentication accounts, robots and rules are prepared, and hold once it is switched on", async () => {
  await using open = new TestApp();
  expect(
    (await api(open, "POST", "/users", { body: { name: "root", password: PASSWORD, isAdmin: true } })).status,
  ).toBe(201);
  expect((await api(open, "POST", "/robots", { body: { name: "ci" } })).status).toBe(201);
  expect((await api(open, "POST", "/robots/ci/tokens", { body: {} })).status).toBe(201);
  const rules = [{ who: ["anonymous"], repositories: ["**"], may: ["pull"] }];
  expect((await api(open, "PUT", "/access", { body: { rules } })).status).toBe(200);
  expect((await api(open, "GET", "/access/check?who=user:root&action=push&repository=a")).body.allowed).toBe(
    true,
  );
  expect((await api(open, "GET", "/keys")).body).toEqual({ keys: [] });
  expect((await api(open, "GET", "/self/tokens")).status).toBe(403);
});
