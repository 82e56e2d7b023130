import { expect, test } from "bun:test";
import { blobOf, imageOf } from "../support/content.ts";
import { Random } from "../support/random.ts";
import { errorCode, type RequestParts, TestApp } from "../support/test-app.ts";

const D = blobOf("x").digest;
const JSON_BODY = { "Content-Type": "application/json" };

interface OpenApi {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>;
}

interface OpenApiOperation {
  readonly operationId: string;
  readonly responses: Readonly<Record<string, unknown>>;
  readonly parameters?: readonly { readonly in: string; readonly name: string }[];
}

/** What the API promises. */
const ROUTES = [
  "GET /repositories",
  "POST /repositories",
  "GET /repositories/{name}",
  "DELETE /repositories/{name}",
  "GET /repositories/{name}/-/tags",
  "GET /repositories/{name}/-/tags/{tag}",
  "PUT /repositories/{name}/-/tags/{tag}",
  "DELETE /repositories/{name}/-/tags/{tag}",
  "GET /repositories/{name}/-/manifests/{digest}",
  "DELETE /repositories/{name}/-/manifests/{digest}",
  "GET /namespaces",
  "DELETE /namespaces/{namespace}",
  "GET /audit",
  "GET /blobs/{digest}",
  "GET /deletions",
  "GET /deletions/{id}",
  "POST /deletions/{id}/undo",
  "POST /deletions/{id}/purge",
  "GET /gc",
  "POST /gc",
  "POST /holds",
  "DELETE /holds/{id}",
  "GET /scrub",
  "POST /scrub",
  "GET /scrub/findings",
  "GET /policies",
  "PUT /policies",
  "POST /retention",
  "GET /quotas",
  "GET /quotas/{namespace}",
  "PUT /quotas/{namespace}",
  "DELETE /quotas/{namespace}",
  "GET /whoami",
  "PUT /self/password",
  "GET /self/tokens",
  "POST /self/tokens",
  "DELETE /self/tokens/{id}",
  "GET /users",
  "POST /users",
  "GET /users/{user}",
  "PUT /users/{user}",
  "DELETE /users/{user}",
  "PUT /users/{user}/password",
  "GET /users/{user}/tokens",
  "DELETE /users/{user}/tokens/{id}",
  "GET /robots",
  "POST /robots",
  "GET /robots/{robot}",
  "PUT /robots/{robot}",
  "DELETE /robots/{robot}",
  "GET /robots/{robot}/tokens",
  "POST /robots/{robot}/tokens",
  "POST /robots/{robot}/rotate",
  "DELETE /robots/{robot}/tokens/{id}",
  "GET /access",
  "PUT /access",
  "GET /access/check",
  "GET /workloads",
  "PUT /workloads",
  "GET /keys",
  "POST /keys/rotate",
];

async function readDocument(app: TestApp): Promise<OpenApi> {
  return (await (await app.request("GET", "/api/v1/openapi.json")).json()) as OpenApi;
}

const VALUES: Readonly<Record<string, string>> = {
  name: "t%2Fr",
  namespace: "t",
  tag: "v1",
  digest: D,
  id: "1",
  user: "alice",
  robot: "ci",
};

/** Every operation of the document as a request. */
async function requests(app: TestApp) {
  const { paths } = await readDocument(app);
  return Object.entries(paths).flatMap(([template, operations]) => {
    const path = template.replaceAll(/\{(\w+)\}/g, (_, name: string) => VALUES[name] ?? "missing");
    return Object.keys(operations).map((method) => ({ method: method.toUpperCase(), path, template }));
  });
}

test("the OpenAPI document has every route, and every reference in it leads somewhere", async () => {
  await using app = new TestApp();
  const document = await readDocument(app);
  expect(document.openapi).toBe("3.1.0");
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      key: `${method.toUpperCase()} ${path}`,
      path,
      operation,
    })),
  );
  expect(operations.map(({ key }) => key.replace("/api/v1", "")).toSorted()).toEqual(ROUTES.toSorted());
  const ids = operations.map(({ operation }) => operation.operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { key, path, operation } of operations) {
    const variables = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? "");
    const described = (operation.parameters ?? []).filter((one) => one.in === "path").map(({ name }) => name);
    expect([key, described.toSorted()]).toEqual([key, variables.toSorted()]);
    expect(Object.keys(operation.responses)).toContain("403");
  }
  const refs = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, ref]) => ref ?? "");
  expect(refs.length).toBeGreaterThan(10);
  for (const ref of new Set(refs)) {
    let at: unknown = document;
    for (const step of ref.replace("#/", "").split("/")) at = (at as Record<string, unknown>)[step];
    expect([ref, typeof at]).toEqual([ref, "object"]);
  }
});

test("every route is in the document", async () => {
  await using app = new TestApp({ authorize: () => true });
  const known = new Set((await requests(app)).map(({ method, path }) => `${method} ${path}`));
  for (const path of new Set((await requests(app)).map((one) => one.path))) {
    const response = await app.request("PATCH", path);
    expect(response.status).toBe(405);
    for (const method of (response.headers.get("Allow") ?? "").split(", "))
      expect(known).toContain(`${method} ${path}`);
  }
});

/** What each route asks for, where it is not administration of the registry. */
const ACTIONS: Readonly<Record<string, string>> = {
  "GET /api/v1/openapi.json": "base null",
  "GET /api/v1/whoami": "base null",
  "PUT /api/v1/self/password": "self null",
  "GET /api/v1/self/tokens": "self null",
  "POST /api/v1/self/tokens": "self null",
  "DELETE /api/v1/self/tokens/{id}": "self null",
  "GET /api/v1/repositories": "catalog null",
  "GET /api/v1/repositories/{name}": "pull t/r",
  "DELETE /api/v1/repositories/{name}": "admin t/r",
  "GET /api/v1/repositories/{name}/-/tags": "pull t/r",
  "GET /api/v1/repositories/{name}/-/tags/{tag}": "pull t/r",
  "PUT /api/v1/repositories/{name}/-/tags/{tag}": "push t/r",
  "DELETE /api/v1/repositories/{name}/-/tags/{tag}": "delete t/r",
  "GET /api/v1/repositories/{name}/-/manifests/{digest}": "pull t/r",
  "DELETE /api/v1/repositories/{name}/-/manifests/{digest}": "delete t/r",
};

test("every route asks for its action on the repository that it concerns, and nothing happens without it", async () => {
  await using open = new TestApp();
  const asked: string[] = [];
  await using app = new TestApp({
    authorize: ({ action, repository }) => {
      asked.push(`${action} ${repository}`);
      return false;
    },
  });
  const all = await requests(open);
  expect(all.length).toBeGreaterThan(20);
  for (const { method, path, template } of [
    ...all,
    { method: "GET", path: "/api/v1/openapi.json", template: "/api/v1/openapi.json" },
  ]) {
    const response = await app.request(method, path, { headers: JSON_BODY });
    expect([path, response.status, await errorCode(response)]).toEqual([path, 403, "DENIED"]);
    const route = `${method} ${template}`;
    expect([route, ...asked.splice(0)]).toEqual([route, ACTIONS[route] ?? "admin null"]);
  }
});

test("a read-only registry refuses every change of what it holds and answers every question", async () => {
  await using app = new TestApp({ readOnly: true });
  for (const { method, path } of await requests(app)) {
    const response = await app.request(method, path, { headers: JSON_BODY });
    if (method === "GET") expect([path, response.status < 405]).toEqual([path, true]);
    else if (/\/(?:holds|self|users|robots|access|workloads|keys)\b/.test(path))
      expect(response.status).not.toBe(405);
    else expect([path, response.status, await errorCode(response)]).toEqual([path, 405, "UNSUPPORTED"]);
  }
});

test.each([
  [{ Origin: "https://evil.example", Host: "registry.test" }],
  [{ Origin: "http://registry.test.evil.example", Host: "registry.test" }],
  [{ Origin: "http://evil.example/registry.test", Host: "registry.test" }],
  [{ Origin: "http://registry.test:8080", Host: "registry.test" }],
  [{ Origin: "http://registry.test@evil.example", Host: "registry.test" }],
  [{ Origin: "null", Host: "registry.test" }],
  [{ Origin: "", Host: "registry.test" }],
  [{ "Sec-Fetch-Site": "cross-site" }],
  [{ "Sec-Fetch-Site": "same-site" }],
] as const)("a change from the page of another site is refused: %j", async (headers) => {
  await using app = new TestApp({ publicUrl: "http://registry.test" });
  await app.pushImage("t/r", "v1", imageOf([]));
  const plain = Object.fromEntries(Object.entries(headers));
  for (const [method, path, body] of [
    ["DELETE", "/api/v1/repositories/t/r", null],
    ["POST", "/api/v1/gc", null],
    ["POST", "/api/v1/repositories", '{"name":"x"}'],
  ] as const) {
    const parts = body === null ? { headers: plain } : { headers: { ...plain, ...JSON_BODY }, body };
    const response = await app.request(method, path, parts);
    expect([response.status, await errorCode(response)]).toEqual([403, "DENIED"]);
  }
  expect((await app.request("GET", "/api/v1/repositories", { headers: plain })).status).toBe(200);
  expect((await app.request("GET", "/api/v1/repositories/x")).status).toBe(404);
});

test("a page's origin counts for nothing when neither the request nor a setting says the registry's name", async () => {
  const change = { headers: { Origin: "http://registry.test", ...JSON_BODY }, body: '{"name":"x"}' };
  await using unnamed = new TestApp();
  const refused = await unnamed.request("POST", "/api/v1/repositories", change);
  expect([refused.status, await errorCode(refused)]).toEqual([403, "DENIED"]);
  await using named = new TestApp({ publicUrl: "http://registry.test" });
  expect((await named.request("POST", "/api/v1/repositories", change)).status).toBe(201);
});

test.each([
  [{ Origin: "http://registry.test", Host: "registry.test", "Sec-Fetch-Site": "same-origin" }],
  [{ Origin: "https://Registry.test:5000", Host: "registry.test:5000" }],
  [{ "Sec-Fetch-Site": "none" }],
  [{}],
])("a change from the registry's own pages and from other clients is done: %j", async (headers) => {
  await using app = new TestApp({ publicUrl: "http://registry.test" });
  const parts = { headers: { ...headers, ...JSON_BODY } as Record<string, string>, body: '{"name":"x"}' };
  expect((await app.request("POST", "/api/v1/repositories", parts)).status).toBe(201);
});

test.each([
  "text/plain",
  "application/x-www-form-urlencoded",
  "multipart/form-data",
  "application/jsonx",
  "",
])("a body that is not said to be JSON is refused: %j", async (contentType) => {
  await using app = new TestApp();
  const headers = { "Content-Type": contentType };
  const response = await app.request("POST", "/api/v1/repositories", { headers, body: '{"name":"x"}' });
  expect([response.status, await errorCode(response)]).toEqual([400, "REQUEST_INVALID"]);
  expect((await app.request("GET", "/api/v1/repositories/x")).status).toBe(404);
});

const HUGE = "9".repeat(400);
const R = "/api/v1/repositories";

test.each([
  ["GET", `${R}/~1`, 400, "NAME_INVALID"],
  ["DELETE", `${R}/~1`, 400, "NAME_INVALID"],
  ["GET", `${R}/%7E1`, 400, "NAME_INVALID"],
  ["GET", `${R}/%2e%2e`, 400, "NAME_INVALID"],
  ["GET", `${R}/..`, 400, "NAME_INVALID"],
  ["GET", `${R}/../../v2/`, 400, "NAME_INVALID"],
  ["GET", `${R}/a%252Fb`, 400, "NAME_INVALID"],
  ["GET", `${R}/a%00`, 400, "NAME_INVALID"],
  ["GET", `${R}/A`, 400, "NAME_INVALID"],
  ["GET", `${R}/a//b`, 400, "NAME_INVALID"],
  ["GET", `${R}//-/tags`, 400, "NAME_INVALID"],
  ["GET", `${R}/a/-`, 400, "NAME_INVALID"],
  ["GET", `${R}/a%2F-%2Ftags`, 400, "NAME_INVALID"],
  ["GET", `${R}/${"a".repeat(256)}`, 400, "NAME_INVALID"],
  ["GET", `${R}/a/-/nothing`, 404, "ROUTE_UNKNOWN"],
  ["GET", `${R}/a/-/tags/x/-/tags`, 404, "ROUTE_UNKNOWN"],
  ["GET", `${R}/a/-/tags/%2e%2e`, 400, "REQUEST_INVALID"],
  ["GET", `${R}/a/-/tags/a%2Fb`, 400, "REQUEST_INVALID"],
  ["GET", `${R}/a/-/tags/%zz`, 400, "REQUEST_INVALID"],
  ["GET", `${R}/a/-/tags/${"a".repeat(129)}`, 400, "REQUEST_INVALID"],
  ["GET", `${R}/a/-/manifests/sha256:zz`, 400, "REQUEST_INVALID"],
  ["GET", `${R}/a/-/tags?sort=color`, 400, "REQUEST_INVALID"],
  ["GET", `${R}/a/-/tags?filter=(a%2B)%2Bb`, 400, "REQUEST_INVALID"],
  ["GET", `${R}/a/-/tags?filter=${"*a".repeat(20)}`, 400, "REQUEST_INVALID"],
  ["GET", `${R}/a/-/tags?${"filter=a&".repeat(11)}`, 400, "REQUEST_INVALID"],
  ["GET", `${R}?n=0`, 400, "REQUEST_INVALID"],
  ["GET", `${R}?n=-1`, 400, "REQUEST_INVALID"],
  ["GET", `${R}?n=1.5`, 400, "REQUEST_INVALID"],
  ["GET", `${R}?n=x`, 400, "REQUEST_INVALID"],
  ["GET", `${R}?n=`, 400, "REQUEST_INVALID"],
  ["GET", `${R}?n=1&n=2`, 400, "REQUEST_INVALID"],
  ["GET", `${R}?n=${HUGE}`, 400, "REQUEST_INVALID"],
  ["GET", `${R}?search=${"a".repeat(256)}`, 400, "REQUEST_INVALID"],
  ["GET", `${R}?next=x`, 400, "REQUEST_INVALID"],
  [
    "GET",
    `${R}?next=${Buffer.from('["tags name asc",0,0,"a"]').toString("base64url")}`,
    400,
    "REQUEST_INVALID",
  ],
  ["GET", `${R}?next=${"a".repeat(5_000)}`, 400, "REQUEST_INVALID"],
  ["DELETE", `${R}/a?dryRun=maybe`, 400, "REQUEST_INVALID"],
  ["DELETE", "/api/v1/namespaces/%2e%2e", 400, "REQUEST_INVALID"],
  ["DELETE", "/api/v1/namespaces/~1", 400, "REQUEST_INVALID"],
  ["DELETE", "/api/v1/namespaces/", 405, "UNSUPPORTED"],
  ["GET", "/api/v1/namespaces?parent=%25", 400, "REQUEST_INVALID"],
  ["GET", "/api/v1/blobs/md5:1", 400, "REQUEST_INVALID"],
  ["GET", `/api/v1/deletions?before=${HUGE}`, 400, "REQUEST_INVALID"],
  ["GET", "/api/v1/deletions/1e3", 400, "REQUEST_INVALID"],
  ["GET", "/api/v1/deletions/__proto__", 400, "REQUEST_INVALID"],
  ["DELETE", "/api/v1/holds/A", 400, "REQUEST_INVALID"],
  ["GET", "/api/v1", 404, "ROUTE_UNKNOWN"],
  ["GET", "/api/v1/", 404, "ROUTE_UNKNOWN"],
  ["GET", "/api/v1x", 404, "ROUTE_UNKNOWN"],
  ["GET", "/api/v1/../v1/gc", 404, "ROUTE_UNKNOWN"],
  ["OPTIONS", "/api/v1/gc", 405, "UNSUPPORTED"],
  ["PATCH", "/api/v1/gc", 405, "UNSUPPORTED"],
] as const)("%s %s is %d %s", async (method, path, status, code) => {
  await using app = new TestApp();
  const response = await app.request(method, path);
  expect([response.status, await errorCode(response)]).toEqual([status, code]);
  expect(response.headers.get("X-Request-Id")).not.toBeNull();
});

test("a huge n is clamped", async () => {
  await using app = new TestApp();
  expect((await app.request("GET", `${R}?n=99999999999999999999`)).status).toBe(200);
});

test.each([
  ["{", "REQUEST_INVALID", "not JSON"],
  ["[]", "REQUEST_INVALID", "request body"],
  ["null", "REQUEST_INVALID", "request body"],
  ["{}", "REQUEST_INVALID", '\\"name\\"'],
  ['{"name":"A"}', "REQUEST_INVALID", '\\"name\\"'],
  ['{"name":"~1"}', "REQUEST_INVALID", '\\"name\\"'],
  ['{"name":"a","more":1}', "REQUEST_INVALID", "more"],
  [`{"name":"a"}${" ".repeat(64 * 1024)}`, "SIZE_INVALID", "65536"],
] as const)("a body %s is refused and the problem is named", async (body, code, text) => {
  await using app = new TestApp();
  const response = await app.request("POST", R, { headers: JSON_BODY, body });
  const answer = await response.text();
  expect(response.status).toBe(code === "SIZE_INVALID" ? 413 : 400);
  expect(answer).toContain(code);
  expect(answer).toContain(text);
});

test("a body without an end is cut off at the limit, not read", async () => {
  await using app = new TestApp();
  let pulled = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled += 1;
      controller.enqueue(new Uint8Array(16 * 1024));
    },
  });
  const parts: RequestParts = { headers: JSON_BODY, body };
  const response = await app.request("POST", R, parts);
  expect([response.status, await errorCode(response)]).toEqual([413, "SIZE_INVALID"]);
  expect(pulled).toBeLessThan(12);
});

test("a name's slashes may be sent as they are or encoded", async () => {
  await using app = new TestApp();
  await app.pushImage("a/b/c", "v1", imageOf([]));
  for (const name of ["a/b/c", "a%2Fb%2Fc", "a%2fb/c"]) {
    for (const tail of ["", "/", "/-/tags", "/-/tags/", "/-/tags/v1"]) {
      expect((await app.request("GET", `${R}/${name}${tail}`)).status).toBe(200);
    }
  }
});

test("components of a name may be called like parts of the API", async () => {
  await using app = new TestApp();
  await app.pushImage("tags/manifests", "tags", imageOf([]));
  const response = await app.request("GET", `${R}/tags/manifests/-/tags/tags`);
  expect(await response.json()).toMatchObject({ name: "tags" });
});

test("the log has one line per request of the API", async () => {
  await using app = new TestApp();
  await app.request("GET", `${R}?n=x`);
  await app.request("HEAD", R);
  const lines = app.log
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
  expect(lines).toMatchObject([
    { message: "request", path: R, status: 400 },
    { message: "request", method: "HEAD", status: 200 },
  ]);
});

const FRAGMENTS = [
  ...[
    "repositories",
    "namespaces",
    "tags",
    "manifests",
    "blobs",
    "deletions",
    "gc",
    "holds",
    "scrub",
    "findings",
  ],
  ...["undo", "purge", "-", "a", "a%2Fb", "t", "r", "v1", "1", "~1", "%2e%2e", "%", "%zz", "%00", "", ".", D],
  ...["__proto__", "constructor", ":name", "*", "\\u0000", "\u{1f600}", "%F0%9F%98%80"],
];
const STARTS = [
  "",
  "repositories/a%2Fb/",
  "repositories/a/b/-/tags",
  "repositories/a/b/-/tags/",
  "repositories/a/b/-/manifests/",
  "repositories",
  "blobs/",
  "deletions/",
];
const QUERIES = [
  "",
  "n=0",
  "n=1",
  "n=1e9",
  "next=WyJ4Il0",
  "sort=size",
  "sort=semver&order=desc",
  "filter=*",
  "filter=[",
  "exclude=!{",
  "filter=[z-a]",
  "dryRun=true",
  "parts=x",
  "before=1",
  "search=%",
  "%00=%00",
];
const BODIES = [
  null,
  "{}",
  "[]",
  '{"name":"a"}',
  `{"digest":"${D}"}`,
  '{"id":"x","seconds":1}',
  '{"__proto__":{"n":1}}',
  "\ufeff{}",
  "{",
];

test("whatever is asked, the answer is no 5xx and every error has the envelope", async () => {
  const seed = Number(process.env.STOWAGE_SEED ?? Date.now() % 1_000_000);
  const random = new Random(seed);
  await using app = new TestApp();
  await app.pushImage("a/b", "v1", imageOf([]));
  for (let round = 0; round < 3_000; round++) {
    const path = Array.from({ length: random.below(5) }, () => random.pick(FRAGMENTS)).join("/");
    const target = `/api/v1/${random.pick(STARTS)}${path}?${random.pick(QUERIES)}&${random.pick(QUERIES)}`;
    const body = random.pick(BODIES);
    const method =
      body === null
        ? random.pick(["GET", "HEAD", "DELETE", "POST", "PUT"])
        : random.pick(["POST", "PUT", "DELETE"]);
    const response = await app.request(method, target, body === null ? {} : { headers: JSON_BODY, body });
    expect([seed, method, target, body, response.status < 500]).toEqual([seed, method, target, body, true]);
    if (response.status >= 400 && method !== "HEAD") await errorCode(response);
  }
});
