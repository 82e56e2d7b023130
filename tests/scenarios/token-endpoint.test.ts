import { expect, test } from "bun:test";
import { decodeJwt, decodeProtectedHeader } from "jose";
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
import { errorCode, TestApp } from "../support/test-app.ts";

/** A registry where alice may write below team/, and anybody may read public/. */
async function openApp(): Promise<TestApp> {
  const app = new TestApp({ auth: {} });
  await createAccount(app, "alice");
  await setRules(app, [
    ["user:alice", "team/**", "writer"],
    ["anonymous", "public/**", "reader"],
  ]);
  return app;
}

async function post(app: TestApp, form: Readonly<Record<string, string>> | string): Promise<Response> {
  const headers = { "Content-Type": "application/x-www-form-urlencoded" };
  const body = typeof form === "string" ? form : new URLSearchParams(form).toString();
  return await app.request("POST", "/token", { headers, body });
}

const answerOf = async (response: Response) => (await response.json()) as TokenAnswer;

test("GET /v2/ without credentials challenges with realm and service, as docker wants it", async () => {
  await using app = await openApp();
  const response = await app.request("GET", "/v2/", { headers: { Host: "registry.test:5000" } });
  expect(response.status).toBe(401);
  expect(response.headers.get("WWW-Authenticate")).toBe(
    'Bearer realm="http://registry.test:5000/token",service="stowage"',
  );
  expect(response.headers.get("Docker-Distribution-Api-Version")).toBe("registry/2.0");
  expect(await errorCode(response)).toBe("UNAUTHORIZED");
});

test("the realm is the public URL when there is one, and never what a stranger's header says", async () => {
  await using app = new TestApp({ auth: {}, publicUrl: "https://registry.example.com" });
  const headers = { Host: "evil.example", "X-Forwarded-Host": "evil.example" };
  const response = await app.request("GET", "/v2/", { headers });
  expect(response.headers.get("WWW-Authenticate")).toContain('realm="https://registry.example.com/token"');
});

test("a challenge names the exact scope, for a mount both", async () => {
  await using app = await openApp();
  const digest = blobOf("x").digest;
  const table: readonly (readonly [string, string, string])[] = [
    ["GET", "/v2/team/app/manifests/1", "repository:team/app:pull"],
    ["PUT", "/v2/team/app/manifests/1", "repository:team/app:pull,push"],
    ["DELETE", "/v2/team/app/manifests/1", "repository:team/app:delete"],
    ["GET", "/v2/team/app/tags/list", "repository:team/app:pull"],
    ["POST", "/v2/team/app/blobs/uploads/", "repository:team/app:pull,push"],
    [
      "POST",
      `/v2/team/app/blobs/uploads/?mount=${digest}&from=other/base`,
      "repository:team/app:pull,push repository:other/base:pull",
    ],
  ];
  for (const [method, path, scope] of table) {
    const response = await app.request(method, path);
    expect([path, response.status]).toEqual([path, 401]);
    expect(response.headers.get("WWW-Authenticate")).toContain(`,scope="${scope}"`);
  }
});

test("GET gives a token with what the account may of what was asked, and never fails for the rest", async () => {
  await using app = await openApp();
  const scopes = [
    "repository:team/app:pull,push,delete",
    "repository:other/app:pull",
    "repository:team/app:*",
    "junk",
  ];
  const query = scopes.map((scope) => `&scope=${scope}`).join("");
  const response = await app.request("GET", `/token?service=stowage&account=alice${query}`, basic("alice"));
  expect(response.status).toBe(200);
  expect(response.headers.get("Cache-Control")).toBe("no-store");
  const answer = await answerOf(response);
  expect(answer.token).toBe(answer.access_token);
  expect(answer).toMatchObject({ expires_in: 900, scope: "repository:team/app:pull,push" });
  expect(answer.refresh_token).toBeUndefined();
  expect(Math.abs(Date.parse(answer.issued_at) - Date.now())).toBeLessThan(5_000);
  expect(decodeProtectedHeader(answer.token)).toMatchObject({ alg: "ES256", typ: "JWT" });
  expect(decodeJwt(answer.token)).toMatchObject({
    iss: "stowage",
    aud: "stowage",
    sub: "alice",
    access: [{ type: "repository", name: "team/app", actions: ["pull", "push"] }],
  });
});

test("POST takes scopes with spaces and repeated, a password, and gives a refresh token when it is wanted", async () => {
  await using app = await openApp();
  const form = new URLSearchParams({
    grant_type: "password",
    username: "alice",
    password: PASSWORD,
    service: "stowage",
    client_id: "containerd-client",
    access_type: "offline",
    scope: "repository:team/a:pull repository:team/b:pull",
  });
  form.append("scope", "repository:team/c:push");
  const first = await answerOf(await post(app, form.toString()));
  expect(first.scope).toBe("repository:team/a:pull repository:team/b:pull repository:team/c:push");
  const refresh = { grant_type: "refresh_token", refresh_token: first.refresh_token ?? "" };
  const second = await answerOf(await post(app, { ...refresh, scope: "repository:team/a:pull" }));
  expect(second.refresh_token).toBe(first.refresh_token);
  expect(second.scope).toBe("repository:team/a:pull");
  expect((await app.request("GET", "/v2/team/a/tags/list", bearer(second.token))).status).toBe(404);
});

test("docker login: offline_token without a scope gives a refresh token, and the token passes GET /v2/", async () => {
  await using app = await openApp();
  const path = "/token?account=alice&client_id=docker&offline_token=true&service=stowage";
  const answer = await answerOf(await app.request("GET", path, basic("alice")));
  expect(answer.refresh_token).toStartWith("stw_");
  expect((await app.request("GET", "/v2/", bearer(answer.token))).status).toBe(200);
});

test("an access token stands for a refresh token, as some clients keep it, and stays what it is", async () => {
  await using app = await openApp();
  const wanted = { kind: "personal", account: "alice", label: "laptop", expiresAt: null } as const;
  const limit = [{ repositories: ["team/a"], may: ["pull"] }];
  const made = await app.auth?.tokens.create({ ...wanted, limit });
  const scope = "repository:team/a:pull,push repository:team/b:pull";
  const form = { grant_type: "refresh_token", refresh_token: made?.secret ?? "", scope };
  expect((await answerOf(await post(app, form))).scope).toBe("repository:team/a:pull");
});

test("a refresh token is good for the token endpoint and for nothing else", async () => {
  await using app = await openApp();
  const path = "/token?offline_token=true&service=stowage";
  const { refresh_token: secret = "" } = await answerOf(await app.request("GET", path, basic("alice")));
  for (const parts of [bearer(secret), basic("alice", secret)]) {
    expect((await app.request("GET", "/v2/", parts)).status).toBe(401);
    expect((await app.request("GET", path, parts)).status).toBe(401);
  }
});

test("what is wrong at the token endpoint is said, and gives nothing", async () => {
  await using app = await openApp();
  const table: readonly (readonly [Response, number, string])[] = [
    [await app.request("GET", "/token", basic("alice", "wrong")), 401, "UNAUTHORIZED"],
    [await app.request("GET", "/token", basic("nobody")), 401, "UNAUTHORIZED"],
    [await app.request("GET", "/token", { headers: { Authorization: "Basic !!!" } }), 401, "UNAUTHORIZED"],
    [await app.request("GET", "/token", { headers: { Authorization: "Digest x" } }), 401, "UNAUTHORIZED"],
    [await app.request("DELETE", "/token"), 405, "UNSUPPORTED"],
    [await post(app, { grant_type: "password", username: "alice", password: "" }), 401, "UNAUTHORIZED"],
    [await post(app, { grant_type: "client_credentials" }), 400, "REQUEST_INVALID"],
    [await post(app, { grant_type: "refresh_token", refresh_token: "stw_x" }), 401, "UNAUTHORIZED"],
    [
      await app.request("POST", "/token", { body: "{}", headers: { "Content-Type": "application/json" } }),
      400,
      "REQUEST_INVALID",
    ],
    [await post(app, "x".repeat(70_000)), 413, "SIZE_INVALID"],
  ];
  for (const [response, status, code] of table) {
    expect([response.status, await errorCode(response)]).toEqual([status, code]);
  }
});

test("a registry token cannot be changed into another one", async () => {
  await using app = await openApp();
  const token = await tokenFor(app, basic("alice"), "repository:team/app:pull");
  expect((await app.request("GET", "/token?service=stowage", bearer(token))).status).toBe(401);
});

test("a token that is good for less is 401 with insufficient_scope; where asking again cannot help it is 403", async () => {
  await using app = await openApp();
  const pullOnly = bearer(await tokenFor(app, basic("alice"), "repository:team/app:pull"));
  const askAgain = await app.request("POST", "/v2/team/app/blobs/uploads/", pullOnly);
  expect(askAgain.status).toBe(401);
  expect(askAgain.headers.get("WWW-Authenticate")).toEndWith(
    ',scope="repository:team/app:pull,push",error="insufficient_scope",error_description="the token is not good for this: ask for one with the scope of the challenge"',
  );
  const never = await app.request("DELETE", "/v2/team/app/manifests/1", pullOnly);
  expect([never.status, await errorCode(never)]).toEqual([403, "DENIED"]);
  expect((await app.request("GET", "/v2/other/app/tags/list", pullOnly)).status).toBe(403);
});

test("an anonymous token pulls what anybody may, and is told to sign in for the rest", async () => {
  await using app = await openApp();
  await createAccount(app, "root", { isAdmin: true });
  const image = imageOf([blobOf("layer")]);
  await app.pushImage("public/app", "1", image, basic("root"));
  const token = bearer(await tokenFor(app, {}, "repository:public/app:pull,push"));
  expect((await app.request("GET", "/v2/", token)).status).toBe(200);
  expect((await app.request("GET", "/v2/public/app/manifests/1", token)).status).toBe(200);
  expect((await app.request("GET", "/v2/public/app/manifests/1")).status).toBe(200);
  const push = await app.request("POST", "/v2/public/app/blobs/uploads/", token);
  expect(push.status).toBe(401);
  const challenge = push.headers.get("WWW-Authenticate");
  expect(challenge).toContain('error="insufficient_scope"');
  // docker shows the description, the others the body.
  expect(challenge).toMatch(/,error_description="[^"]*docker login[^"]*"$/);
  expect(await push.text()).toContain("docker login");
});

test("a token that has ended is invalid_token, but finishes the upload that its holder began", async () => {
  await using app = await openApp();
  await createAccount(app, "bob");
  await setRules(app, [["user:alice user:bob", "team/**", "writer"]]);
  const scope = "repository:team/app:pull,push";
  const alice = bearer(await tokenFor(app, basic("alice"), scope));
  const bob = bearer(await tokenFor(app, basic("bob"), scope));
  const started = await app.request("POST", "/v2/team/app/blobs/uploads/", alice);
  const location = started.headers.get("Location") ?? "";
  app.clockAhead += 3_600_000;
  const ended = await app.request("GET", "/v2/", alice);
  expect(ended.status).toBe(401);
  expect(ended.headers.get("WWW-Authenticate")).toContain('error="invalid_token"');
  expect((await app.request("POST", "/v2/team/app/blobs/uploads/", alice)).status).toBe(401);
  const blob = blobOf("bytes of a slow client");
  const finish = (parts: typeof alice) =>
    app.request("PUT", `${location}?digest=${blob.digest}`, { ...parts, body: blob.bytes });
  expect((await finish(bob)).status).toBe(404);
  expect((await finish(alice)).status).toBe(201);
  app.clockAhead += 24 * 3_600_000;
  expect((await finish(alice)).status).toBe(401);
});

test("an upload that was begun is refused once its holder has lost the right", async () => {
  await using app = await openApp();
  const alice = bearer(await tokenFor(app, basic("alice"), "repository:team/app:pull,push"));
  const started = await app.request("POST", "/v2/team/app/blobs/uploads/", alice);
  await setRules(app, []);
  const blob = blobOf("x");
  const path = `${started.headers.get("Location")}?digest=${blob.digest}`;
  expect((await app.request("PUT", path, { ...alice, body: blob.bytes })).status).toBe(403);
});

test("what an account loses, its tokens lose at once", async () => {
  await using app = await openApp();
  const token = bearer(await tokenFor(app, basic("alice"), "repository:team/app:pull"));
  const pull = async () => (await app.request("GET", "/v2/team/app/tags/list", token)).status;
  expect(await pull()).toBe(404);
  await setRules(app, []);
  expect(await pull()).toBe(403);
  await setRules(app, [["user:alice", "team/**", "writer"]]);
  expect(await pull()).toBe(404);
  await app.metadata.accounts.update("alice", { isDisabled: true });
  expect(await pull()).toBe(401);
  await app.metadata.accounts.update("alice", { isDisabled: false });
  expect(await pull()).toBe(404);
  await app.metadata.accounts.remove("alice");
  expect(await pull()).toBe(401);
});

test("a new account of the same name does not take over tokens of the one before", async () => {
  await using app = await openApp();
  const token = bearer(await tokenFor(app, basic("alice"), "repository:team/app:pull"));
  await app.metadata.accounts.remove("alice");
  app.clockAhead += 2_000;
  await createAccount(app, "alice");
  expect((await app.request("GET", "/v2/", token)).status).toBe(401);
  const own = bearer(await tokenFor(app, basic("alice"), "repository:team/app:pull"));
  expect((await app.request("GET", "/v2/", own)).status).toBe(200);
});

test("keys rotate: tokens of the key before stay good, and none does when keys are revoked", async () => {
  await using app = await openApp();
  const keys = async () =>
    (
      (await (await app.request("GET", "/.well-known/jwks.json")).json()) as {
        keys: readonly Record<string, unknown>[];
      }
    ).keys;
  const before = bearer(await tokenFor(app, basic("alice"), "repository:team/app:pull"));
  expect(await keys()).toHaveLength(1);
  expect((await keys())[0]).toMatchObject({ kty: "EC", crv: "P-256", alg: "ES256", use: "sig" });
  expect((await keys())[0]).not.toHaveProperty("d");
  await app.auth?.keys.rotate({ revoking: false });
  expect(await keys()).toHaveLength(2);
  const after = bearer(await tokenFor(app, basic("alice"), "repository:team/app:pull"));
  for (const token of [before, after]) expect((await app.request("GET", "/v2/", token)).status).toBe(200);
  expect(before).not.toEqual(after);
  await app.auth?.keys.rotate({ revoking: true });
  for (const token of [before, after]) expect((await app.request("GET", "/v2/", token)).status).toBe(401);
  expect(await keys()).toHaveLength(1);
});

test("keys rotate by themselves, and are forgotten when nothing is left that they signed", async () => {
  await using app = await openApp();
  const kid = async () => decodeProtectedHeader(await tokenFor(app, basic("alice"))).kid;
  const first = await kid();
  expect(await kid()).toBe(first);
  app.clockAhead += 31 * 24 * 3_600_000;
  const second = await kid();
  expect(second).not.toBe(first);
  const published = await app.auth?.keys.publicKeys();
  expect(published?.keys.map((key) => key.kid)).toEqual([second, first]);
  app.clockAhead += 2 * 24 * 3_600_000;
  expect((await app.auth?.keys.publicKeys())?.keys.map((key) => key.kid)).toEqual([second]);
});

test("without authentication there is no token endpoint", async () => {
  await using app = new TestApp();
  expect((await app.request("GET", "/token")).status).toBe(404);
  expect((await app.request("GET", "/.well-known/jwks.json")).status).toBe(404);
});
