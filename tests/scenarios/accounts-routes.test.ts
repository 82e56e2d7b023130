import { expect, test } from "bun:test";
import { API_ROOT } from "@stowage/server/http/api/target";
import { blobOf, imageOf } from "../support/content.ts";
import { basic, bearer, createAccount, PASSWORD, setRules, tokenFor } from "../support/sign-in.ts";
import { errorCode, type RequestParts, TestApp } from "../support/test-app.ts";

/**
 * Every route of the management API x every kind of caller. The rows say who is let in, in words of their own; a route
 * that the OpenAPI document has and the table has not fails.
 */
type Who = "anybody" | "signed-in" | "own" | "lister" | "puller" | "pusher" | "deleter" | "owner" | "admin";

const ROWS: Readonly<Record<string, Who>> = {
  "GET /whoami": "signed-in",
  "PUT /self/password": "own",
  "GET /self/tokens": "own",
  "POST /self/tokens": "own",
  "DELETE /self/tokens/{id}": "own",
  "GET /users": "admin",
  "POST /users": "admin",
  "GET /users/{user}": "admin",
  "PUT /users/{user}": "admin",
  "DELETE /users/{user}": "admin",
  "PUT /users/{user}/password": "admin",
  "GET /users/{user}/tokens": "admin",
  "DELETE /users/{user}/tokens/{id}": "admin",
  "GET /robots": "admin",
  "POST /robots": "admin",
  "GET /robots/{robot}": "admin",
  "PUT /robots/{robot}": "admin",
  "DELETE /robots/{robot}": "admin",
  "GET /robots/{robot}/tokens": "admin",
  "POST /robots/{robot}/tokens": "admin",
  "POST /robots/{robot}/rotate": "admin",
  "DELETE /robots/{robot}/tokens/{id}": "admin",
  "GET /access": "admin",
  "PUT /access": "admin",
  "GET /access/check": "admin",
  "GET /keys": "admin",
  "POST /keys/rotate": "admin",
  "GET /repositories": "lister",
  "POST /repositories": "admin",
  "GET /repositories/{name}": "puller",
  "DELETE /repositories/{name}": "owner",
  "GET /repositories/{name}/-/tags": "puller",
  "GET /repositories/{name}/-/tags/{tag}": "puller",
  "PUT /repositories/{name}/-/tags/{tag}": "pusher",
  "DELETE /repositories/{name}/-/tags/{tag}": "deleter",
  "GET /repositories/{name}/-/manifests/{digest}": "puller",
  "DELETE /repositories/{name}/-/manifests/{digest}": "deleter",
  "GET /namespaces": "admin",
  "DELETE /namespaces/{namespace}": "admin",
  "GET /blobs/{digest}": "admin",
  "GET /deletions": "admin",
  "GET /deletions/{id}": "admin",
  "POST /deletions/{id}/undo": "admin",
  "POST /deletions/{id}/purge": "admin",
  "GET /gc": "admin",
  "POST /gc": "admin",
  "POST /holds": "admin",
  "DELETE /holds/{id}": "admin",
  "GET /scrub": "admin",
  "POST /scrub": "admin",
  "GET /scrub/findings": "admin",
  "GET /policies": "admin",
  "PUT /policies": "admin",
  "POST /retention": "admin",
  "GET /quotas": "admin",
  "GET /quotas/{namespace}": "admin",
  "PUT /quotas/{namespace}": "admin",
  "DELETE /quotas/{namespace}": "admin",
  "GET /audit": "admin",
  "GET /workloads": "admin",
  "PUT /workloads": "admin",
};

interface Kind {
  readonly name: string;
  readonly parts: RequestParts;
  readonly is: readonly Who[];
  readonly refused: 401 | 403;
}

const VALUES: Readonly<Record<string, string>> = {
  name: "team%2Fapp",
  namespace: "nowhere",
  tag: "v1",
  digest: blobOf("nothing").digest,
  id: "1",
  user: "nobody-of-that-name",
  robot: "none",
};

async function openApp(): Promise<TestApp> {
  const app = new TestApp({ auth: {} });
  await createAccount(app, "root", { isAdmin: true });
  for (const name of ["alice", "stranger"]) await createAccount(app, name);
  await createAccount(app, "robot:ci", { grants: [{ repositories: ["team/**"], may: ["writer"] }] });
  await setRules(app, [
    ["user:alice", "team/**", "maintainer"],
    ["user:root", "team/**", "reader"],
  ]);
  await app.pushImage("team/app", "v1", imageOf([blobOf("a layer")]), { isLocal: true });
  return app;
}

async function secretOf(app: TestApp, account: string, kind: "personal" | "session", limited: boolean) {
  const limit = limited ? [{ repositories: ["team/**"], may: ["pull"] }] : null;
  const made = await app.auth?.tokens.create({ kind, account, label: "test", limit, expiresAt: null });
  return made?.secret ?? "";
}

const session = (secret: string): RequestParts => ({ headers: { Cookie: `stowage=${secret}` } });

async function kindsOf(app: TestApp): Promise<readonly Kind[]> {
  const all = ["signed-in", "lister", "puller", "pusher", "deleter", "owner", "admin"] as const;
  const alice = ["signed-in", "lister", "puller", "pusher", "deleter"] as const;
  const scope = "repository:team/app:pull,push,delete registry:catalog:*";
  const refused = 403;
  return [
    { name: "anonymous", parts: {}, is: [], refused: 401 },
    { name: "a wrong password", parts: basic("root", "wrong"), is: [], refused: 401 },
    { name: "a stranger", parts: basic("stranger"), is: ["signed-in", "own"], refused },
    { name: "a user", parts: basic("alice"), is: [...alice, "own"], refused },
    {
      name: "a user's session",
      parts: session(await secretOf(app, "alice", "session", false)),
      is: [...alice, "own"],
      refused,
    },
    {
      name: "a user's access token",
      parts: bearer(await secretOf(app, "alice", "personal", false)),
      is: alice,
      refused,
    },
    {
      name: "a limited access token of an administrator",
      parts: bearer(await secretOf(app, "root", "personal", true)),
      is: ["signed-in", "lister", "puller"],
      refused,
    },
    {
      name: "a registry token",
      parts: bearer(await tokenFor(app, basic("alice"), scope)),
      is: alice,
      refused,
    },
    {
      name: "a registry token of an administrator",
      parts: bearer(await tokenFor(app, basic("root"), scope)),
      is: alice,
      refused,
    },
    {
      name: "a robot",
      parts: basic("any", await secretOf(app, "robot:ci", "personal", false)),
      is: ["signed-in", "lister", "puller", "pusher"],
      refused,
    },
    { name: "an administrator", parts: basic("root"), is: [...all, "own"], refused },
    {
      name: "an administrator's session",
      parts: session(await secretOf(app, "root", "session", false)),
      is: [...all, "own"],
      refused,
    },
    {
      name: "an administrator's access token",
      parts: bearer(await secretOf(app, "root", "personal", false)),
      is: all,
      refused,
    },
    { name: "the socket", parts: { isLocal: true }, is: all, refused },
  ];
}

async function routesOf(app: TestApp): Promise<readonly (readonly [method: string, template: string])[]> {
  const document = (await (
    await app.request("GET", `${API_ROOT}/openapi.json`, { isLocal: true })
  ).json()) as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => [method.toUpperCase(), path.slice(API_ROOT.length)] as const),
  );
}

test("every route has a row, and every row a route", async () => {
  await using app = await openApp();
  const routes = (await routesOf(app)).map((route) => route.join(" "));
  expect(routes.toSorted()).toEqual(Object.keys(ROWS).toSorted());
});

test("every route x every kind of caller: let in exactly as the row says, and refused in one way", async () => {
  await using app = await openApp();
  const routes = await routesOf(app);
  const wrong: string[] = [];
  for (const { name, parts, is, refused } of await kindsOf(app)) {
    for (const [method, template] of routes) {
      const path = `${API_ROOT}${template.replaceAll(/\{(\w+)\}/g, (_, part: string) => VALUES[part] ?? "")}`;
      // Bodies that no route takes: whoever is let in gets no further.
      const isChange = method === "PUT" || method === "POST";
      const body = isChange ? { body: '{"no such member":1}' } : {};
      const headers = { ...parts.headers, "Content-Type": "application/json" };
      const response = await app.request(method, path, { ...parts, ...body, headers });
      const wanted = is.includes(ROWS[`${method} ${template}`] ?? "admin") ? "in" : refused;
      const outcome = response.status === 401 || response.status === 403 ? response.status : "in";
      // A registry token that is not good for something is told to get a better one where that helps.
      if (outcome !== wanted)
        wrong.push(`${name}: ${method} ${template} is ${response.status}, wanted ${wanted}`);
      if (response.status >= 500) wrong.push(`${name}: ${method} ${template} is ${response.status}`);
      if (outcome !== "in" && !/^(?:UNAUTHORIZED|DENIED)$/.test(await errorCode(response)))
        wrong.push(`${name}: ${method} ${template} has another code`);
    }
  }
  expect(wrong).toEqual([]);
});

test("a session counts nowhere on /v2/, and its cookie is no password", async () => {
  await using app = await openApp();
  const secret = await secretOf(app, "alice", "session", false);
  expect((await app.request("GET", "/v2/team/app/tags/list", session(secret))).status).toBe(401);
  expect((await app.request("GET", `${API_ROOT}/whoami`, bearer(secret))).status).toBe(401);
  expect((await app.request("GET", `${API_ROOT}/whoami`, basic("alice", secret))).status).toBe(401);
  expect((await app.request("GET", `${API_ROOT}/whoami`, session(PASSWORD))).status).toBe(401);
});
