import { expect, test } from "bun:test";
import { blobOf, imageOf } from "../support/content.ts";
import { basic, bearer, createAccount, PASSWORD, setRules, tokenFor } from "../support/sign-in.ts";
import { type RequestParts, TestApp } from "../support/test-app.ts";

const IMAGE = imageOf([blobOf("layer")]);

async function openApp(): Promise<TestApp> {
  const app = new TestApp({ auth: {} });
  await createAccount(app, "root", { isAdmin: true });
  await createAccount(app, "alice");
  await setRules(app, [["user:alice", "team/**", "maintainer"]]);
  return app;
}

interface Entry {
  readonly action: string;
  readonly caller: string | null;
  readonly credential: string | null;
  readonly address: string | null;
  readonly repository: string | null;
  readonly reference: string | null;
  readonly status: number;
  readonly count: number;
  readonly requestId: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** The trail, oldest first. */
async function trailOf(app: TestApp): Promise<readonly Entry[]> {
  await app.registry.audit.flush({ isLast: true });
  const response = await app.request("GET", "/api/v1/audit?n=1000", basic("root"));
  const { entries } = (await response.json()) as { readonly entries: readonly Entry[] };
  return entries.toReversed();
}

const json = (parts: RequestParts, body: unknown): RequestParts => ({
  ...parts,
  headers: { ...parts.headers, "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

test("changes of content are recorded with who, from where, with what, and to which reference", async () => {
  await using app = await openApp();
  const alice = { ...basic("alice"), address: "192.0.2.7" };
  await app.pushImage("team/app", "v1", IMAGE, alice);
  const tag = (method: string, path: string) => app.request(method, path, alice);
  await tag("PUT", `/v2/team/app/tags/v2?digest=${IMAGE.manifest.digest}`);
  await tag("DELETE", "/v2/team/app/manifests/v2");
  await tag("DELETE", "/v2/team/app/tags/v1");
  const deleted = await tag("DELETE", `/v2/team/app/manifests/${IMAGE.manifest.digest}`);
  await tag("DELETE", `/v2/team/app/blobs/${IMAGE.layers[0]?.digest}`);
  const trail = await trailOf(app);
  expect(trail.map(({ action, reference }) => [action, reference])).toEqual([
    ["manifest.push", "v1"],
    ["tag.set", "v2"],
    ["tag.delete", "v2"],
    ["tag.delete", "v1"],
    ["manifest.delete", IMAGE.manifest.digest],
    ["blob.delete", IMAGE.layers[0]?.digest ?? ""],
  ]);
  for (const entry of trail) {
    expect(entry).toMatchObject({
      caller: "alice",
      credential: "password",
      address: "192.0.2.7",
      repository: "team/app",
    });
  }
  expect(trail[0]?.detail).toMatchObject({ digest: IMAGE.manifest.digest });
  expect(trail[4]?.requestId).toBe(deleted.headers.get("X-Request-Id") ?? "");
});

test("reads, uploads and failures that are nobody's fault leave nothing", async () => {
  await using app = await openApp();
  await app.pushBlob("team/app", blobOf("x"), basic("alice"));
  for (const path of [
    "/v2/",
    "/v2/team/app/tags/list",
    "/v2/team/app/manifests/none",
    "/v2/_catalog",
    "/api/v1/repositories",
  ]) {
    await app.request("GET", path, basic("alice"));
  }
  for (const path of ["/v2/", "/v2/team/app/manifests/v1"]) await app.request("GET", path);
  await app.request("PUT", "/v2/team/app/manifests/v1", { ...basic("alice"), body: "{" });
  expect(await trailOf(app)).toEqual([]);
});

test("refusals are recorded with what was wanted, those that are alike together", async () => {
  await using app = await openApp();
  for (let at = 0; at < 5; at++) await app.request("DELETE", "/v2/other/app/manifests/v1", basic("alice"));
  await app.request("POST", "/api/v1/gc", basic("alice"));
  const token = bearer(await tokenFor(app, basic("alice"), "repository:team/app:pull"));
  await app.request("GET", "/v2/other/app/tags/list", token);
  const trail = await trailOf(app);
  const denied = trail.filter(({ action }) => action === "denied");
  expect(denied.reduce((sum, { count }) => sum + count, 0)).toBe(7);
  expect(denied.find(({ repository }) => repository === "other/app")).toMatchObject({
    caller: "alice",
    status: 403,
    detail: { wanted: "delete" },
  });
});

test("wrong passwords and tokens are recorded without what was typed; an ended registry token is none", async () => {
  await using app = await openApp();
  await app.request("GET", "/v2/", basic("alice", "wrong"));
  await app.request("GET", "/token", basic("my secret typed as a name", "wrong"));
  await app.request("GET", "/v2/", bearer("stw_0123456789ab_wrong"));
  const token = bearer(await tokenFor(app, basic("alice"), "repository:team/app:pull"));
  app.clockAhead += 3_600_000;
  await app.request("GET", "/v2/", token);
  const trail = await trailOf(app);
  expect(trail.every(({ action }) => action === "login.failed")).toBe(true);
  expect(trail.reduce((sum, { count }) => sum + count, 0)).toBe(3);
  expect(JSON.stringify(trail)).not.toContain("my secret");
});

test("docker login is recorded, and the tokens that clients get all the time are not", async () => {
  await using app = await openApp();
  await app.request("GET", "/token?offline_token=true&client_id=docker", basic("alice"));
  await tokenFor(app, basic("alice"), "repository:team/app:pull");
  await tokenFor(app, {});
  const trail = await trailOf(app);
  expect(trail.map(({ action, caller }) => [action, caller])).toEqual([["login.succeeded", "alice"]]);
});

test("changes of who may do what are in the store when they are answered, with the account and the token", async () => {
  await using app = await openApp();
  const root = basic("root");
  const names = async () =>
    (await app.registry.audit.list(EVERYTHING, { before: null, entriesMax: 100 })).entries;
  const call = async (method: string, path: string, body?: unknown) => {
    const parts = body === undefined ? root : json(root, body);
    const response = await app.request(method, `/api/v1${path}`, parts);
    expect([path, response.status < 300]).toEqual([path, true]);
    // Not flushed: it has to be there already.
    return (await names())[0];
  };
  const password = { name: "bob", password: "long enough for bob" };
  expect(await call("POST", "/users", password)).toMatchObject({
    action: "account.create",
    detail: { account: "bob" },
  });
  expect(await call("PUT", "/users/bob", { isAdmin: true })).toMatchObject({
    action: "account.change",
    detail: { account: "bob" },
  });
  expect(await call("POST", "/robots", { name: "ci", grants: [] })).toMatchObject({
    action: "account.create",
    detail: { account: "robot:ci" },
  });
  expect(await call("POST", "/robots/ci/tokens", {})).toMatchObject({
    action: "token.create",
    detail: { account: "robot:ci" },
  });
  expect(await call("POST", "/self/tokens", { label: "laptop" })).toMatchObject({
    action: "token.create",
    detail: { account: "root" },
  });
  expect(await call("PUT", "/access", { rules: [] })).toMatchObject({ action: "access.set" });
  expect(await call("PUT", "/workloads", [])).toMatchObject({ action: "access.set" });
  expect(await call("POST", "/keys/rotate", {})).toMatchObject({ action: "key.rotate" });
  expect(await call("DELETE", "/users/bob")).toMatchObject({
    action: "account.delete",
    detail: { account: "bob" },
  });
});

const EVERYTHING = { caller: null, repository: null, prefix: "", action: null, since: null, until: null };

test("no secret is in the log, the trail, an answer or the metadata, whichever way it came", async () => {
  await using app = await openApp();
  const canary = "CANARY-correct-horse-7f3a";
  await createAccount(app, "carol", {
    isAdmin: true,
    passwordHash: await Bun.password.hash(canary, { algorithm: "bcrypt", cost: 4 }),
  });
  const answers: string[] = [];
  const send = async (method: string, path: string, parts: RequestParts = {}) => {
    const response = await app.request(method, path, parts);
    const headers = [...response.headers].map((pair) => pair.join(": ")).join("\n");
    answers.push(`${headers}\n${await response.text()}`);
    return response;
  };
  // The password: right, wrong, in every place where one is put by mistake.
  await send("GET", "/v2/", basic("carol", canary));
  await send("GET", "/v2/", basic("carol", `${canary}x`));
  await send("GET", "/v2/", basic(canary, "x"));
  await send("GET", "/v2/", { headers: { Authorization: canary } });
  await send("GET", "/v2/", { headers: { Authorization: `Bearer ${canary}` } });
  await send("GET", `/v2/_catalog?access_token=${canary}`, basic("root"));
  await send("GET", `/v2/team/app/tags/list?n=${canary}`, basic("root"));
  await send("GET", `/token?account=carol&service=x&password=${canary}`, basic("carol", canary));
  await send("GET", "/api/v1/gc", { headers: { Cookie: `stowage=${canary}` } });
  const form = (fields: Readonly<Record<string, string>>) => ({
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams(fields).toString(),
  });
  await send("POST", "/token", form({ grant_type: "password", username: "carol", password: canary }));
  await send("POST", "/token", form({ grant_type: canary }));
  await send("POST", "/token", form({ grant_type: "refresh_token", refresh_token: canary }));
  await send("POST", "/api/v1/users", json(basic("root"), { name: "dave", password: canary }));
  await send("POST", "/api/v1/users", json(basic("root"), { name: "dave", [canary]: 1, password: canary }));
  await send("PUT", "/api/v1/users/alice/password", json(basic("root"), { password: canary }));
  await send("PUT", "/api/v1/self/password", json(basic("root"), { current: PASSWORD, new: canary }));
  await app.registry.audit.flush({ isLast: true });
  const stored = JSON.stringify(
    await app.registry.audit.list(EVERYTHING, { before: null, entriesMax: 1_000 }),
  );
  const log = app.log;
  expect(log.length).toBeGreaterThan(1_000);
  for (const spelling of [canary, btoa(canary).replace(/=*$/, ""), encodeURIComponent(canary)]) {
    expect(log).not.toContain(spelling);
    expect(stored).not.toContain(spelling);
  }
  const accounts = await app.metadata.accounts.list({ kinds: ["user", "robot"], after: "", entriesMax: 100 });
  expect(JSON.stringify(accounts)).not.toContain(canary);
  // What a client sent wrongly may be quoted back to that client, and a path it asked for; never a password.
  const leaks = answers.filter((answer) => answer.includes(canary));
  expect(
    leaks.every((answer) => /unrecognized key|invalid number|PAGINATION_NUMBER_INVALID/i.test(answer)),
  ).toBe(true);
});

test("secrets that are made are told once, and lie nowhere", async () => {
  await using app = await openApp();
  const root = basic("root");
  const secretOf = async (path: string, body: unknown) => {
    const response = await app.request("POST", `/api/v1${path}`, json(root, body));
    return (/stw_[A-Za-z0-9]{12}_[A-Za-z0-9_-]{43}/.exec(await response.text()) ?? [""])[0];
  };
  await app.request("POST", "/api/v1/robots", json(root, { name: "ci", grants: [] }));
  const secrets = [
    await secretOf("/self/tokens", { label: "laptop" }),
    await secretOf("/robots/ci/tokens", {}),
    (
      (await (await app.request("GET", "/token?offline_token=true", root)).json()) as {
        refresh_token: string;
      }
    ).refresh_token,
  ];
  expect(secrets.every((secret) => secret.startsWith("stw_"))).toBe(true);
  const seen = [app.log];
  for (const path of [
    "/self/tokens",
    "/robots/ci/tokens",
    "/robots/ci",
    "/users/root",
    "/users/root/tokens",
    "/audit?n=1000",
  ]) {
    seen.push(await (await app.request("GET", `/api/v1${path}`, root)).text());
  }
  for (const secret of secrets) {
    for (const text of seen) expect(text).not.toContain(secret.slice(-43));
  }
});
