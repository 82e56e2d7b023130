import { expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HtpasswdFile } from "@stowage/server/auth/htpasswd";
import { api } from "../support/api.ts";
import { blobOf, imageOf } from "../support/content.ts";
import {
  basic,
  bearer,
  createAccount,
  PASSWORD,
  setRules,
  type TokenAnswer,
  tokenFor,
} from "../support/sign-in.ts";
import { type RequestParts, TestApp } from "../support/test-app.ts";

/** What somebody signs in with is worth what the account may at that moment, and ends with what it was got for. */

const IMAGE = imageOf([blobOf("a layer")]);
const SCOPES: readonly string[] = ["repository:team/app:pull,push,delete", "registry:catalog:*"];

async function openApp(): Promise<TestApp> {
  const app = new TestApp({ auth: {} });
  await createAccount(app, "root", { isAdmin: true });
  await createAccount(app, "boss", { isAdmin: true });
  await createAccount(app, "alice");
  await createAccount(app, "robot:ci", { grants: [{ repositories: ["team/**"], may: ["maintainer"] }] });
  await setRules(app, [["user:alice", "team/**", "maintainer"]]);
  for (const repository of ["team/app", "other/app"]) {
    await app.pushImage(repository, "v1", IMAGE, { isLocal: true });
  }
  return app;
}

async function openFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "stowage-permissions-"));
  return { path, [Symbol.asyncDispose]: async () => await rm(path, { recursive: true }) };
}

interface Wish {
  readonly kind?: "personal" | "session" | "refresh";
  readonly limit?: readonly (readonly [repositories: string, may: string])[];
  readonly expiresAt?: number;
}

async function made(app: TestApp, account: string, { kind = "personal", limit, expiresAt }: Wish = {}) {
  const token = await app.auth?.tokens.create({
    kind,
    account,
    label: "test",
    limit: limit?.map(([repositories, may]) => ({ repositories: [repositories], may: [may] })) ?? null,
    expiresAt: expiresAt ?? null,
  });
  return { id: token?.token.id ?? "", secret: token?.secret ?? "" };
}

const cookie = (secret: string): RequestParts => ({ headers: { Cookie: `stowage=${secret}` } });

async function post(app: TestApp, form: Readonly<Record<string, string>>): Promise<Response> {
  const headers = { "Content-Type": "application/x-www-form-urlencoded" };
  return await app.request("POST", "/token", { headers, body: new URLSearchParams(form).toString() });
}

/** Statuses of everything that can be asked: pull, push, delete, catalog, and the management API. */
async function statusesOf(app: TestApp, parts: RequestParts): Promise<Readonly<Record<string, number>>> {
  const json = { ...parts.headers, "Content-Type": "application/json" };
  const asked: readonly (readonly [string, string, RequestParts?])[] = [
    ["GET", "/v2/"],
    ["GET", "/v2/_catalog"],
    ["HEAD", "/v2/team/app/manifests/v1"],
    ["GET", `/v2/team/app/blobs/${IMAGE.config.digest}`],
    ["POST", "/v2/team/app/blobs/uploads/"],
    ["PUT", `/v2/team/app/tags/v2?digest=${IMAGE.manifest.digest}`],
    ["DELETE", "/v2/team/app/tags/v2"],
    ["GET", "/api/v1/whoami"],
    ["GET", "/api/v1/repositories"],
    ["GET", "/api/v1/repositories/team/app"],
    ["PUT", "/api/v1/repositories/team/app/-/tags/v3", { headers: json, body: "{}" }],
    ["DELETE", "/api/v1/repositories/team/app/-/tags/none"],
    ["GET", "/api/v1/users"],
    ["GET", "/api/v1/audit"],
    ["POST", "/api/v1/self/tokens", { headers: json, body: "{}" }],
  ];
  const statuses: Record<string, number> = {};
  for (const [method, path, more] of asked) {
    statuses[`${method} ${path}`] = (await app.request(method, path, { ...parts, ...more })).status;
  }
  return statuses;
}

async function expectOver(app: TestApp, parts: RequestParts): Promise<void> {
  const others = Object.entries(await statusesOf(app, parts)).filter(([, status]) => status !== 401);
  expect(others).toEqual([]);
}

async function expectGood(app: TestApp, parts: RequestParts): Promise<void> {
  const refused = Object.entries(await statusesOf(app, parts)).filter(([, status]) => status === 401);
  expect(refused).toEqual([]);
}

/** Everything that alice can sign in with, each under its name; sessions do not count on `/v2/`. */
async function credentialsOf(app: TestApp): Promise<readonly (readonly [string, RequestParts])[]> {
  const personal = await made(app, "alice");
  const refresh = await made(app, "alice", { kind: "refresh" });
  const scope = SCOPES.join(" ");
  const renewed = await post(app, { grant_type: "refresh_token", refresh_token: refresh.secret, scope });
  const ofPersonal = bearer(await tokenFor(app, basic("alice", personal.secret), ...SCOPES));
  return [
    ["password", basic("alice")],
    ["access token as password", basic("alice", personal.secret)],
    ["access token", bearer(personal.secret)],
    ["registry token by password", bearer(await tokenFor(app, basic("alice"), ...SCOPES))],
    ["registry token by access token", ofPersonal],
    ["registry token by refresh token", bearer(((await renewed.json()) as TokenAnswer).token)],
  ];
}

const ENDINGS: readonly (readonly [string, (app: TestApp) => Promise<unknown>])[] = [
  ["the account is disabled", (app) => app.metadata.accounts.update("alice", { isDisabled: true })],
  ["the account is deleted", (app) => app.metadata.accounts.remove("alice")],
  ["the account has ended", (app) => app.metadata.accounts.update("alice", { expiresAt: 1 })],
];

for (const [name, end] of ENDINGS) {
  test(`when ${name}, nothing of it works anywhere`, async () => {
    await using app = await openApp();
    const credentials = await credentialsOf(app);
    const session = await made(app, "alice", { kind: "session" });
    const refresh = await made(app, "alice", { kind: "refresh" });
    for (const [, parts] of credentials) await expectGood(app, parts);
    expect((await app.request("GET", "/api/v1/whoami", cookie(session.secret))).status).toBe(200);
    await end(app);
    for (const [, parts] of [...credentials, ["session", cookie(session.secret)] as const]) {
      await expectOver(app, parts);
    }
    const renewal = { grant_type: "refresh_token", refresh_token: refresh.secret };
    expect((await post(app, renewal)).status).toBe(401);
    expect((await post(app, { grant_type: "password", username: "alice", password: PASSWORD })).status).toBe(
      401,
    );
  });
}

test("a new password ends what was got by the old one: registry tokens, sessions and refresh tokens", async () => {
  await using app = await openApp();
  const credentials = await credentialsOf(app);
  const session = await made(app, "alice", { kind: "session" });
  const refresh = await made(app, "alice", { kind: "refresh" });
  const login = await post(app, {
    grant_type: "password",
    username: "alice",
    password: PASSWORD,
    access_type: "offline",
    scope: SCOPES.join(" "),
  });
  const { token, refresh_token: kept = "" } = (await login.json()) as TokenAnswer;
  const body = { password: "another password" };
  expect((await api(app, "PUT", "/users/alice/password", { ...basic("root"), body })).status).toBe(200);
  const over = ["password", "registry token by password", "registry token by refresh token"];
  for (const [name, parts] of credentials) {
    if (over.includes(name)) await expectOver(app, parts);
    // docs/access.md, "When something is lost": a new password leaves access tokens alone.
    else await expectGood(app, parts);
  }
  await expectOver(app, bearer(token));
  await expectOver(app, cookie(session.secret));
  for (const refresh_token of [refresh.secret, kept]) {
    expect((await post(app, { grant_type: "refresh_token", refresh_token })).status).toBe(401);
  }
  await expectGood(app, basic("alice", "another password"));
  await expectGood(app, bearer(await tokenFor(app, basic("alice", "another password"), ...SCOPES)));
});

test("what was got by an access token ends with it: revoked, expired, or replaced", async () => {
  await using app = await openApp();
  const [revoked, expiring, replaced] = [
    await made(app, "robot:ci"),
    await made(app, "robot:ci", { expiresAt: Date.now() + 60_000 }),
    await made(app, "robot:ci"),
  ];
  const tokens = new Map<string, RequestParts>();
  for (const { id, secret } of [revoked, expiring, replaced]) {
    tokens.set(id, bearer(await tokenFor(app, basic("any", secret), ...SCOPES)));
    await expectGood(app, tokens.get(id) ?? {});
  }
  const expectEnded = async ({ id, secret }: { readonly id: string; readonly secret: string }) => {
    await expectOver(app, tokens.get(id) ?? {});
    await expectOver(app, bearer(secret));
  };
  expect((await api(app, "DELETE", `/robots/ci/tokens/${revoked.id}`, basic("root"))).status).toBe(204);
  await expectEnded(revoked);
  app.clockAhead += 61_000;
  await expectEnded(expiring);
  const rotated = await api(app, "POST", "/robots/ci/rotate", { ...basic("root"), body: { overlap: 30 } });
  await expectGood(app, bearer(replaced.secret));
  app.clockAhead += 31_000;
  await expectEnded(replaced);
  const last = basic("any", String(rotated.body.secret));
  const lastToken = bearer(await tokenFor(app, last, ...SCOPES));
  await expectGood(app, lastToken);
  expect((await api(app, "DELETE", "/robots/ci", basic("root"))).status).toBe(204);
  for (const parts of [last, lastToken]) await expectOver(app, parts);
});

test("a robot that is made anew does not take over the tokens of the one before", async () => {
  await using app = await openApp();
  const before = await made(app, "robot:ci");
  const token = bearer(await tokenFor(app, basic("any", before.secret), ...SCOPES));
  await api(app, "DELETE", "/robots/ci", basic("root"));
  const grants = [{ repositories: ["team/**"], may: ["maintainer"] }];
  expect((await api(app, "POST", "/robots", { ...basic("root"), body: { name: "ci", grants } })).status).toBe(
    201,
  );
  for (const parts of [bearer(before.secret), token]) await expectOver(app, parts);
});

test("an account that is made does not take over tokens of somebody who had the name in the htpasswd file", async () => {
  await using folder = await openFolder();
  const path = join(folder.path, "htpasswd");
  await writeFile(path, `carol:${await Bun.password.hash(PASSWORD, { algorithm: "bcrypt", cost: 4 })}\n`);
  let lookedAt = 0;
  const log = { warn: () => undefined };
  const htpasswd = await HtpasswdFile.open(path, { log, monotonic: () => lookedAt });
  await using app = new TestApp({ auth: { htpasswd } });
  await createAccount(app, "root", { isAdmin: true });
  const token = await made(app, "carol");
  const session = await made(app, "carol", { kind: "session" });
  expect((await app.request("GET", "/v2/", bearer(token.secret))).status).toBe(200);
  await writeFile(path, "# nobody\n");
  lookedAt += 10_000;
  app.clockAhead += 10_000;
  await expectOver(app, bearer(token.secret));
  const body = { name: "carol", password: PASSWORD, isAdmin: true };
  expect((await api(app, "POST", "/users", { ...basic("root"), body })).status).toBe(201);
  expect((await api(app, "GET", "/users", basic("carol"))).status).toBe(200);
  await expectOver(app, bearer(token.secret));
  await expectOver(app, cookie(session.secret));
});

test("a registry token that a limited access token was changed for lists no more than the limit", async () => {
  await using app = await openApp();
  const { secret } = await made(app, "root", { limit: [["team/**", "pull"]] });
  const limited = bearer(secret);
  const scopes = ["registry:catalog:*", "repository:team/app:pull,push", "repository:other/app:pull"];
  const changed = bearer(await tokenFor(app, basic("root", secret), ...scopes));
  const renewed = await post(app, {
    grant_type: "refresh_token",
    refresh_token: secret,
    scope: scopes.join(" "),
  });
  const renewedToken = bearer(((await renewed.json()) as TokenAnswer).token);
  for (const parts of [limited, changed, renewedToken]) {
    expect(await (await app.request("GET", "/v2/_catalog", parts)).json()).toEqual({
      repositories: ["team/app"],
    });
    const { body } = await api(app, "GET", "/repositories", parts);
    expect((body.repositories as { name: string }[]).map(({ name }) => name)).toEqual(["team/app"]);
    expect((await app.request("GET", "/v2/team/app/manifests/v1", parts)).status).toBe(200);
    expect((await app.request("GET", "/v2/other/app/manifests/v1", parts)).status).toBeGreaterThan(400);
    expect((await app.request("POST", "/v2/team/app/blobs/uploads/", parts)).status).toBeGreaterThan(400);
    expect((await api(app, "GET", "/users", parts)).status).toBe(403);
    expect((await api(app, "GET", "/whoami", parts)).body.isLimited).toBe(true);
  }
});

test("scopes of a registry token give nothing that the account may not at that moment", async () => {
  await using app = await openApp();
  const token = bearer(await tokenFor(app, basic("alice"), ...SCOPES));
  const may = async () => {
    const asked = [
      ["HEAD", "/v2/team/app/manifests/v1"],
      ["POST", "/v2/team/app/blobs/uploads/"],
      ["DELETE", "/v2/team/app/tags/none"],
      ["DELETE", "/api/v1/repositories/team/app/-/tags/none"],
      ["GET", "/v2/_catalog"],
    ] as const;
    return await Promise.all(
      asked.map(async ([method, path]) => (await app.request(method, path, token)).status),
    );
  };
  expect(await may()).toEqual([200, 202, 404, 404, 200]);
  await setRules(app, [["user:alice", "team/**", "writer"]]);
  expect(await may()).toEqual([200, 202, 403, 403, 200]);
  await setRules(app, [["user:alice", "team/**", "reader"]]);
  expect(await may()).toEqual([200, 403, 403, 403, 200]);
  await setRules(app, [["user:alice", "elsewhere/**", "reader"]]);
  expect(await may()).toEqual([403, 403, 403, 403, 200]);
  await setRules(app, []);
  expect(await may()).toEqual([403, 403, 403, 403, 403]);
  // More rights than when it was issued do not come into it either.
  const narrow = bearer(await tokenFor(app, basic("alice"), ...SCOPES));
  await setRules(app, [["user:alice", "**", "admin"]]);
  expect((await app.request("HEAD", "/v2/team/app/manifests/v1", narrow)).status).toBe(401);
  expect((await api(app, "GET", "/users", narrow)).status).toBe(403);
});

test("a token of another service with the same keys is not believed", async () => {
  await using folder = await openFolder();
  const databasePath = join(folder.path, "stowage.sqlite");
  await using app = new TestApp({ databasePath, auth: {} });
  await createAccount(app, "alice");
  const ours = bearer(await tokenFor(app, basic("alice"), ...SCOPES));
  expect((await app.request("GET", "/v2/", ours)).status).toBe(200);
  await using other = new TestApp({ databasePath, auth: { service: "another" } });
  await expectOver(other, ours);
  const theirs = bearer(await tokenFor(other, basic("alice"), ...SCOPES));
  expect((await other.request("GET", "/v2/", theirs)).status).toBe(200);
  await expectOver(app, theirs);
});

test("a robot administers nothing, whatever its token, and makes no tokens", async () => {
  await using app = await openApp();
  const { secret } = await made(app, "robot:ci");
  const registry = bearer(await tokenFor(app, basic("any", secret), ...SCOPES, "repository:team/app:*"));
  for (const parts of [bearer(secret), basic("ci", secret), registry]) {
    for (const [method, path, body] of [
      ["GET", "/users", undefined],
      ["POST", "/robots", { name: "more" }],
      ["POST", "/robots/ci/tokens", {}],
      ["POST", "/robots/ci/rotate", {}],
      ["PUT", "/robots/ci", { grants: [{ repositories: ["**"], may: ["admin"] }] }],
      ["PUT", "/access", { rules: [] }],
      ["POST", "/self/tokens", { label: "x" }],
      ["GET", "/self/tokens", undefined],
      ["POST", "/keys/rotate", {}],
      ["POST", "/gc", {}],
      ["GET", "/quotas", undefined],
      ["DELETE", "/repositories/team/app", undefined],
    ] as const) {
      const { status } = await api(app, method, path, { ...parts, ...(body === undefined ? {} : { body }) });
      expect([method, path, status]).toEqual([method, path, 403]);
    }
  }
});

test("refresh tokens and sessions open nothing but what they are for", async () => {
  await using app = await openApp();
  const refresh = await made(app, "alice", { kind: "refresh" });
  const session = await made(app, "alice", { kind: "session" });
  for (const { secret } of [refresh, session]) {
    await expectOver(app, bearer(secret));
    await expectOver(app, basic("alice", secret));
  }
  await expectOver(app, cookie(refresh.secret));
  expect((await post(app, { grant_type: "refresh_token", refresh_token: session.secret })).status).toBe(401);
  for (const { secret } of [refresh, session]) {
    const form = { grant_type: "password", username: "alice", password: secret };
    expect((await post(app, form)).status).toBe(401);
  }
});

test("a refresh token ends 30 days after its last use", async () => {
  await using app = await openApp();
  const form = { grant_type: "password", username: "alice", password: PASSWORD, access_type: "offline" };
  const { refresh_token = "" } = (await (await post(app, form)).json()) as TokenAnswer;
  const renew = async () => (await post(app, { grant_type: "refresh_token", refresh_token })).status;
  expect(await renew()).toBe(200);
  app.clockAhead += 31 * 24 * 3_600_000;
  expect(await renew()).toBe(401);
});

test("a certificate's or a robot's token is not made to last by asking for a refresh token", async () => {
  await using app = await openApp();
  const { secret } = await made(app, "robot:ci");
  for (const parts of [basic("any", secret), {}]) {
    const response = await app.request("GET", "/token?service=stowage&offline_token=true", parts);
    expect(await response.json()).not.toHaveProperty("refresh_token");
  }
});
