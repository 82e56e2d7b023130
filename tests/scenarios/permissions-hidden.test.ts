import { describe, expect, test } from "bun:test";
import { api } from "../support/api.ts";
import { blobOf, imageOf } from "../support/content.ts";
import { basic, bearer, createAccount, setRules, tokenFor } from "../support/sign-in.ts";
import { type RequestParts, TestApp } from "../support/test-app.ts";

/** What somebody may not pull is to them as if it were not there, whichever way they look. */

const LAYER = blobOf("a layer that only the hidden repository has");
const IMAGE = imageOf([LAYER]);
const [HIDDEN, ABSENT] = ["other/secret", "other/absent"];
const MARK = blobOf("nothing").digest;

const READS: readonly string[] = [
  "GET /v2/NAME/tags/list",
  "GET /v2/NAME/tags/list?n=1&last=a",
  "GET /v2/NAME/tags/v1",
  "GET /v2/NAME/manifests/v1",
  "GET /v2/NAME/manifests/none",
  `GET /v2/NAME/manifests/${IMAGE.manifest.digest}`,
  `HEAD /v2/NAME/manifests/${IMAGE.manifest.digest}`,
  `GET /v2/NAME/blobs/${LAYER.digest}`,
  `HEAD /v2/NAME/blobs/${LAYER.digest}`,
  `GET /v2/NAME/referrers/${IMAGE.manifest.digest}`,
  `GET /v2/NAME/referrers/${MARK}?artifactType=a/b`,
  "GET /v2/NAME/manifests/sha256:zz",
  "GET /v2/NAME/blobs/sha256:zz",
  "GET /v2/NAME/tags/list?n=x",
  "PUT /v2/NAME/manifests/v1",
  `PUT /v2/NAME/tags/v2?digest=${IMAGE.manifest.digest}`,
  "POST /v2/NAME/blobs/uploads/",
  `POST /v2/NAME/blobs/uploads/?mount=${LAYER.digest}&from=team/app`,
  `PATCH /v2/NAME/blobs/uploads/${"0".repeat(32)}`,
  "DELETE /v2/NAME/manifests/v1",
  `DELETE /v2/NAME/blobs/${LAYER.digest}`,
  "GET /api/v1/repositories/NAME",
  "GET /api/v1/repositories/NAME/-/tags",
  "GET /api/v1/repositories/NAME/-/tags?filter=v*",
  "GET /api/v1/repositories/NAME/-/tags/v1",
  `GET /api/v1/repositories/NAME/-/manifests/${IMAGE.manifest.digest}`,
  `DELETE /api/v1/repositories/NAME/-/manifests/${IMAGE.manifest.digest}?dryRun=true`,
  "DELETE /api/v1/repositories/NAME?dryRun=true",
  "DELETE /api/v1/repositories/NAME/-/tags/v1",
  "PUT /api/v1/repositories/NAME/-/tags/v1",
  "GET /api/v1/repositories/NAME/-/nonsense",
  "DELETE /api/v1/namespaces/NAME",
  "GET /api/v1/namespaces?parent=NAME",
  "GET /api/v1/quotas/NAME",
  "GET /api/v1/audit?repository=NAME",
  `GET /api/v1/blobs/${LAYER.digest}`,
  "GET /api/v1/deletions",
  "GET /api/v1/access/check?who=user:alice&action=pull&repository=NAME",
];

async function openApp(): Promise<TestApp> {
  const app = new TestApp({ auth: {} });
  await createAccount(app, "root", { isAdmin: true });
  for (const name of ["alice", "owner"]) await createAccount(app, name);
  await createAccount(app, "robot:ci", { grants: [{ repositories: ["team/**"], may: ["maintainer"] }] });
  await setRules(app, [
    ["user:alice", "team/**", "maintainer"],
    ["user:owner", "team/**", "admin"],
  ]);
  await app.pushImage(HIDDEN, "v1", IMAGE, { isLocal: true });
  await app.pushImage("team/app", "v1", imageOf([blobOf("seen")]), { isLocal: true });
  await api(app, "PUT", `/quotas/${HIDDEN}`, { isLocal: true, body: { bytes: 1_000_000 } });
  return app;
}

async function callersOf(app: TestApp): Promise<readonly (readonly [string, RequestParts])[]> {
  const secretOf = async (account: string, limit: readonly string[] | null) => {
    const made = await app.auth?.tokens.create({
      kind: "personal",
      account,
      label: "",
      limit: limit === null ? null : [{ repositories: ["team/**"], may: limit }],
      expiresAt: null,
    });
    return made?.secret ?? "";
  };
  const scopes = ["repository:team/app:pull,push,delete", "registry:catalog:*"];
  return [
    ["anybody", {}],
    ["a user", basic("alice")],
    ["the owner of another namespace", basic("owner")],
    ["a robot", bearer(await secretOf("robot:ci", null))],
    ["an administrator's limited token", bearer(await secretOf("root", ["maintainer"]))],
    ["a registry token", bearer(await tokenFor(app, basic("alice"), ...scopes))],
    ["an administrator's registry token", bearer(await tokenFor(app, basic("root"), ...scopes))],
    ["anybody with a registry token", bearer(await tokenFor(app, {}, ...scopes))],
  ];
}

/** Everything of an answer that may tell something, without what is different each time. */
async function answerTo(app: TestApp, line: string, name: string, parts: RequestParts): Promise<string> {
  const [method = "", path = ""] = line.replaceAll("NAME", name).split(" ");
  const response = await app.request(method, path, parts);
  const headers = [...response.headers].filter(([header]) => header !== "x-request-id");
  return `${response.status} ${JSON.stringify(headers)} ${await response.text()}`.replaceAll(name, "NAME");
}

test("each question about a hidden repository is answered as for one that is not there", async () => {
  await using app = await openApp();
  const conditions: readonly Readonly<Record<string, string>>[] = [
    {},
    { "If-None-Match": "*" },
    { "If-None-Match": `"${IMAGE.manifest.digest}", "${LAYER.digest}"` },
    { Range: "bytes=0-1" },
  ];
  for (const [who, parts] of await callersOf(app)) {
    for (const line of READS) {
      for (const condition of line.startsWith("GET") || line.startsWith("HEAD") ? conditions : [{}]) {
        const headers = { ...parts.headers, ...condition };
        const hidden = await answerTo(app, line, HIDDEN, { ...parts, headers });
        const absent = await answerTo(app, line, ABSENT, { ...parts, headers });
        expect([who, line, hidden]).toEqual([who, line, absent]);
        expect([who, line, hidden.slice(0, 2)]).toEqual([who, line, "40"]);
      }
    }
  }
});

test("no list, search or count has a hidden repository in it, and no body its name", async () => {
  await using app = await openApp();
  const callers = await callersOf(app);
  // The scope of the catalog names no repositories: it is for what the account may pull.
  for (const [who, parts] of callers.filter(([name]) => name !== "an administrator's registry token")) {
    for (const path of [
      "/v2/_catalog",
      "/v2/_catalog?last=other",
      "/v2/_catalog?n=1",
      "/api/v1/repositories",
      "/api/v1/repositories?search=secret",
      "/api/v1/repositories?prefix=other/",
      "/api/v1/repositories?sort=pushed&order=desc",
      "/api/v1/repositories?sort=size&n=1",
      "/api/v1/namespaces",
      "/api/v1/quotas",
      "/api/v1/audit",
      "/api/v1/deletions",
      "/api/v1/scrub/findings",
      "/api/v1/gc",
    ]) {
      const response = await app.request("GET", path, parts);
      const said = `${JSON.stringify([...response.headers])} ${await response.text()}`;
      expect([who, path, said.includes("secret")]).toEqual([who, path, false]);
      const isOpen = path.startsWith("/v2/_catalog") || path.startsWith("/api/v1/repositories");
      if (!isOpen) expect([who, path, response.status >= 401]).toEqual([who, path, true]);
    }
  }
});

test("a mount, a manifest and a tag tell nothing of what only a hidden repository has", async () => {
  await using app = await openApp();
  const nowhere = imageOf([blobOf("a layer that nobody has")]);
  const parts = basic("alice");
  const said = async (image: typeof IMAGE) => {
    const [layer = image.config] = image.layers;
    const hide = (text: string) =>
      text
        .replaceAll(layer.digest, "LAYER")
        .replaceAll(image.config.digest, "CONFIG")
        .replaceAll(image.manifest.digest, "MANIFEST")
        .replaceAll(/[0-9a-f-]{32,}/g, "ID");
    const mounts = [`&from=${HIDDEN}`, `&from=${ABSENT}`, ""].map(
      (from) => ["POST", `/v2/team/app/blobs/uploads/?mount=${layer.digest}${from}`, undefined] as const,
    );
    const type = { ...parts.headers, "Content-Type": image.mediaType };
    const asked = [
      ...mounts,
      ["PUT", "/v2/team/app/manifests/v2", { headers: type, body: image.manifest.bytes }],
      ["PUT", `/v2/team/app/tags/v2?digest=${image.manifest.digest}`, undefined],
      ["GET", `/v2/team/app/manifests/${image.manifest.digest}`, undefined],
      ["GET", `/v2/team/app/blobs/${layer.digest}`, undefined],
      ["HEAD", `/v2/team/app/blobs/${layer.digest}`, undefined],
      ["DELETE", `/v2/team/app/blobs/${layer.digest}`, undefined],
      ["GET", `/v2/team/app/referrers/${image.manifest.digest}`, undefined],
    ] as const;
    const answers: string[] = [];
    for (const [method, path, more] of asked) {
      const response = await app.request(method, path, { ...parts, ...more });
      answers.push(hide(`${response.status} ${await response.text()}`));
    }
    return answers;
  };
  expect(await said(IMAGE)).toEqual(await said(nowhere));
});

describe("who may not pull everything is not told whether others have a blob", () => {
  /** What is answered about `team/probe`, into which the caller pushed an image that others have, or nobody. */
  async function told(image: typeof IMAGE, caller: string): Promise<readonly unknown[]> {
    await using app = await openApp();
    await setRules(app, [
      ["user:alice", "team/**", "maintainer"],
      ["user:owner", "team/**", "admin"],
      ["user:root", "**", "admin"],
    ]);
    expect((await app.pushImage("team/probe", "v1", image, basic(caller))).status).toBe(201);
    const path = `/repositories/team/probe/-/manifests/${image.manifest.digest}`;
    const answers = [
      await api(app, "GET", "/repositories/team/probe", basic(caller)),
      await api(app, "DELETE", `${path}?dryRun=true`, basic(caller)),
      await api(app, "DELETE", "/repositories/team/probe?dryRun=true", basic(caller)),
      await api(app, "DELETE", path, basic(caller)),
    ];
    return answers.map(({ status, body }) => {
      const { exclusiveBlobs, exclusiveBytes, blobs, bytes, wouldFree } = body;
      return { status, exclusiveBlobs, exclusiveBytes, blobs, bytes, wouldFree };
    });
  }

  const fresh = imageOf([blobOf("a layer that only the hidden repositorz has")]);

  test.each(["alice", "owner"])("%s", async (caller) => {
    expect(await told(IMAGE, caller)).toEqual(await told(fresh, caller));
  });

  test("but an administrator is", async () => {
    const [before] = await told(IMAGE, "root");
    const [alone] = await told(fresh, "root");
    expect(before).toMatchObject({ status: 200, exclusiveBlobs: 0, exclusiveBytes: 0 });
    expect(alone).toMatchObject({ status: 200, exclusiveBlobs: 2 });
  });
});

test("an upload session is there for nobody but who began it, and in no other repository", async () => {
  await using app = await openApp();
  const started = await app.request("POST", "/v2/team/app/blobs/uploads/", basic("alice"));
  const location = started.headers.get("Location") ?? "";
  const elsewhere = location.replace("team/app", "team/other");
  for (const [path, parts] of [
    [location, basic("owner")],
    [location, basic("root")],
    [elsewhere, basic("alice")],
  ] as const) {
    for (const [method, query] of [
      ["GET", ""],
      ["PATCH", ""],
      ["PUT", `?digest=${LAYER.digest}`],
      ["DELETE", ""],
    ] as const) {
      const body = method === "PATCH" || method === "PUT" ? { body: LAYER.bytes } : {};
      const response = await app.request(method, `${path}${query}`, { ...parts, ...body });
      expect([path, method, response.status]).toEqual([path, method, 404]);
    }
  }
  expect((await app.request("GET", location, basic("alice"))).headers.get("Range")).toBe("0-0");
  expect((await app.request("DELETE", location, basic("alice"))).status).toBe(204);
});
