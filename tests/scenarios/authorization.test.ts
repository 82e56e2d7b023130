import { expect, test } from "bun:test";
import { type Action, authorize } from "@stowage/server/auth/authorize";
import { parseRepositoryName, type RepositoryName } from "@stowage/oci/repository-name";
import { Blobs } from "@stowage/server/registry/blobs";
import { OWNER } from "@stowage/server/auth/caller";
import { V2_ROUTES } from "@stowage/server/http/v2/routes";
import { blobOf, imageOf } from "../support/content.ts";
import { basic, bearer, createAccount, setRules, tokenFor } from "../support/sign-in.ts";
import { errorCode, type RequestParts, TestApp } from "../support/test-app.ts";

/**
 * Every route of the table, asked by every kind of caller. What is expected is said here once more, in words of who may
 * do what, so that a route whose action is wrong, or a caller who gets more than the rules say, is found.
 */

const IMAGE = imageOf([blobOf("a layer")]);

/** Outcome of a request that is let in: any answer that is not about who asks. */
type Outcome = "in" | 401 | 403;

interface Kind {
  readonly name: string;
  readonly parts: RequestParts;
  /** What happens below `team/`, and below `other/`, for each action; what is not there is refused with `refused`. */
  readonly team: readonly Action[];
  readonly other: readonly Action[];
  /** Actions that concern no repository. */
  readonly registry: readonly Action[];
  readonly refused: 401 | 403;
}

const CERTIFICATE = {
  commonName: "build-1",
  names: ["dns:build-1.example"],
  organizationalUnits: [],
  fingerprint: "ab".repeat(32),
  notAfter: Number.MAX_SAFE_INTEGER,
};

async function openApp(): Promise<TestApp> {
  const app = new TestApp({ auth: {} });
  await createAccount(app, "root", { isAdmin: true });
  for (const name of ["reader", "writer", "keeper", "owner-of-team", "stranger"])
    await createAccount(app, name);
  await createAccount(app, "robot:ci", { grants: [{ repositories: ["team/**"], may: ["writer"] }] });
  await setRules(app, [
    ["user:reader", "team/**", "reader"],
    ["user:writer", "team/**", "writer"],
    ["user:keeper", "team/**", "maintainer"],
    ["user:owner-of-team", "team/**", "admin"],
    ["certificate:build-1", "team/**", "writer"],
  ]);
  for (const repository of ["team/app", "other/app"]) {
    expect((await app.pushImage(repository, "v1", IMAGE, basic("root"))).status).toBe(201);
  }
  return app;
}

async function secretOf(app: TestApp, account: string, limit: readonly string[] | null): Promise<string> {
  const made = await app.auth?.tokens.create({
    kind: "personal",
    account,
    label: "test",
    limit: limit === null ? null : [{ repositories: ["team/**"], may: limit }],
    expiresAt: null,
  });
  return made?.secret ?? "";
}

async function kindsOf(app: TestApp): Promise<readonly Kind[]> {
  const signedIn = { refused: 403 } as const;
  const scope = "repository:team/app:pull,push repository:other/app:pull registry:catalog:*";
  return [
    { name: "anonymous", parts: {}, team: [], other: [], registry: [], refused: 401 },
    {
      name: "wrong password",
      parts: basic("root", "wrong"),
      team: [],
      other: [],
      registry: [],
      refused: 401,
    },
    { name: "no such account", parts: basic("nobody"), team: [], other: [], registry: [], refused: 401 },
    { name: "not a token", parts: bearer("eyJ.eyJ.x"), team: [], other: [], registry: [], refused: 401 },
    { ...signedIn, name: "stranger", parts: basic("stranger"), team: [], other: [], registry: ["base"] },
    {
      ...signedIn,
      name: "reader",
      parts: basic("reader"),
      team: ["pull"],
      other: [],
      registry: ["base", "catalog"],
    },
    {
      ...signedIn,
      name: "writer",
      parts: basic("writer"),
      team: ["pull", "push"],
      other: [],
      registry: ["base", "catalog"],
    },
    {
      ...signedIn,
      name: "keeper",
      parts: basic("keeper"),
      team: ["pull", "push", "delete"],
      other: [],
      registry: ["base", "catalog"],
    },
    {
      ...signedIn,
      name: "owner of a namespace",
      parts: basic("owner-of-team"),
      team: ["pull", "push", "delete", "admin"],
      other: [],
      registry: ["base", "catalog"],
    },
    {
      ...signedIn,
      name: "administrator",
      parts: basic("root"),
      team: ["pull", "push", "delete", "admin"],
      other: ["pull", "push", "delete", "admin"],
      registry: ["base", "catalog", "admin"],
    },
    {
      ...signedIn,
      name: "robot",
      parts: basic("anything", await secretOf(app, "robot:ci", null)),
      team: ["pull", "push"],
      other: [],
      registry: ["base", "catalog"],
    },
    {
      ...signedIn,
      name: "administrator with a token limited to pull",
      parts: bearer(await secretOf(app, "root", ["reader"])),
      team: ["pull"],
      other: [],
      registry: ["base", "catalog"],
    },
    {
      ...signedIn,
      name: "reader with a token limited to push",
      parts: bearer(await secretOf(app, "reader", ["writer"])),
      team: ["pull"],
      other: [],
      registry: ["base", "catalog"],
    },
    {
      ...signedIn,
      name: "certificate",
      parts: { clientCertificate: CERTIFICATE },
      team: ["pull", "push"],
      other: [],
      registry: ["base", "catalog"],
    },
    {
      ...signedIn,
      name: "the socket",
      parts: { isLocal: true },
      team: ["pull", "push", "delete", "admin"],
      other: ["pull", "push", "delete", "admin"],
      registry: ["base", "catalog", "admin"],
    },
    {
      ...signedIn,
      name: "writer with a registry token",
      parts: bearer(await tokenFor(app, basic("writer"), scope)),
      team: ["pull", "push"],
      other: [],
      registry: ["base", "catalog"],
    },
    {
      name: "anonymous with a registry token",
      parts: bearer(await tokenFor(app, {}, scope)),
      team: [],
      other: [],
      registry: ["base"],
      refused: 401,
    },
  ];
}

/** What a route does, told from its method and path alone: the table's own word for it is what is tested. */
function actionOf(method: string, template: string): Action {
  if (template === "/v2/") return "base";
  if (template === "/v2/_catalog") return "catalog";
  if (template.includes("/uploads/")) return "push";
  if (method === "GET" || method === "HEAD") return "pull";
  return method === "DELETE" ? "delete" : "push";
}

const outcomeOf = (response: Response): Outcome =>
  response.status === 401 || response.status === 403 ? response.status : "in";

function pathOf(template: string, repository: string): string {
  return template
    .replace("<name>", repository)
    .replace("<digest>", IMAGE.config.digest)
    .replace("<reference>", "v1")
    .replace("<tag>", "v1")
    .replace("<upload>", "0".repeat(32));
}

test("every route x every caller x a repository of theirs and one of others: let in exactly as the rules say", async () => {
  await using app = await openApp();
  const wrong: string[] = [];
  let asked = 0;
  for (const { name, parts, team, other, registry, refused } of await kindsOf(app)) {
    for (const route of V2_ROUTES) {
      for (const [repository, may] of [
        ["team/app", team],
        ["other/app", other],
      ] as const) {
        const path = pathOf(route.template, repository);
        const response = await app.request(route.method, path, parts);
        const allowed = route.scope === "registry" ? registry : may;
        const wanted: Outcome = allowed.includes(actionOf(route.method, route.template)) ? "in" : refused;
        asked += 1;
        const isChanged = outcomeOf(response) === "in" && route.method !== "GET" && route.method !== "HEAD";
        // What was deleted is there again for the next one.
        if (isChanged) await app.pushImage(repository, "v1", IMAGE, basic("root"));
        if (outcomeOf(response) !== wanted) {
          wrong.push(`${name}: ${route.method} ${path} is ${response.status}, wanted ${wanted}`);
        }
        if (response.status === 401) {
          if (!response.headers.has("WWW-Authenticate")) wrong.push(`${name}: ${path} has no challenge`);
          if (route.method !== "HEAD" && (await errorCode(response)) !== "UNAUTHORIZED")
            wrong.push(`${name}: ${path} has another code`);
        }
      }
    }
  }
  expect(wrong).toEqual([]);
  expect(asked).toBe(17 * V2_ROUTES.length * 2);
});

test("every route of the management API refuses whoever does not administer, and lets in who may", async () => {
  await using app = await openApp();
  const document = (await (await app.request("GET", "/api/v1/openapi.json", basic("root"))).json()) as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
  const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => [method.toUpperCase(), path] as const),
  );
  expect(routes.length).toBeGreaterThan(25);
  const wrong: string[] = [];
  for (const [method, template] of routes) {
    const path = template.replace("{name}", "other/app").replace(/\{[^}]+\}/g, "1");
    for (const parts of [
      {},
      basic("writer"),
      basic("stranger"),
      bearer(await tokenFor(app, basic("root"), "repository:other/app:*")),
    ]) {
      const response = await app.request(method, path, parts);
      const isReading = method === "GET";
      const isOpen =
        isReading && (/\/repositories\b|openapi|whoami/.test(path) || path.endsWith("/repositories"));
      if (!isOpen && outcomeOf(response) === "in" && !/\/self\b/.test(path) && !path.includes("/-/")) {
        wrong.push(`${method} ${path} let in ${JSON.stringify(parts)}: ${response.status}`);
      }
    }
    const response = await app.request(method, path, basic("root"));
    if (outcomeOf(response) !== "in")
      wrong.push(`${method} ${path} refused an administrator: ${response.status}`);
  }
  expect(wrong).toEqual([]);
});

test("authorize gives nothing to whom no rule names", () => {
  const caller = {
    name: "x",
    credential: { kind: "password", id: null },
    isAdmin: false,
    principals: ["user:x"],
    grants: [],
    limit: null,
    scopes: null,
    hasEnded: false,
  } as const;
  for (const action of ["catalog", "pull", "push", "delete", "admin"] as const) {
    expect([action, authorize({ caller, action, repository: null })]).toEqual([action, false]);
  }
});

test("a registry token does not administer, whatever another server writes into it", () => {
  const repository = parsed("team/app");
  const scopes = [{ type: "repository", name: "team/app", actions: ["*", "admin"] }];
  const caller = { ...OWNER, scopes, credential: { kind: "registry-token", id: "x" } } as const;
  expect(authorize({ caller, action: "delete", repository })).toBe(true);
  expect(authorize({ caller, action: "admin", repository })).toBe(false);
  expect(authorize({ caller, action: "admin", repository: null })).toBe(false);
});

test("what is hidden answers like what is absent: same status, same body, for every read of a repository", async () => {
  await using app = await openApp();
  const present = await app.request("HEAD", "/v2/other/app/manifests/v1", basic("root"));
  expect(present.status).toBe(200);
  const withoutIds = (text: string) => text.replaceAll("absent/app", "NAME").replaceAll("other/app", "NAME");
  for (const route of V2_ROUTES.filter(({ scope }) => scope === "repository")) {
    for (const parts of [{}, basic("stranger"), basic("writer")]) {
      const answers = await Promise.all(
        ["other/app", "absent/app"].map(async (repository) => {
          const response = await app.request(route.method, pathOf(route.template, repository), parts);
          const challenge = response.headers.get("WWW-Authenticate") ?? "";
          return withoutIds(`${response.status} ${challenge} ${await response.text()}`);
        }),
      );
      expect(answers[0]).toBe(answers[1] ?? "");
    }
  }
});

test("a blob of another's repository is absent in one's own, and a mount of it is an upload", async () => {
  await using app = await openApp();
  const secret = blobOf("a layer that only others have");
  await app.pushBlob("other/app", secret, basic("root"));
  const nowhere = blobOf("a layer that nobody has");
  const ask = async (method: string, path: string) => {
    const response = await app.request(method, path, basic("writer"));
    return [
      response.status,
      response.headers.has("Location"),
      method === "GET" ? await errorCode(response) : null,
    ];
  };
  for (const { digest } of [secret, nowhere]) {
    expect(await ask("GET", `/v2/team/app/blobs/${digest}`)).toEqual([404, false, "BLOB_UNKNOWN"]);
    expect(await ask("HEAD", `/v2/team/app/blobs/${digest}`)).toEqual([404, false, null]);
    for (const from of ["&from=other/app", "&from=absent/app", ""]) {
      expect(await ask("POST", `/v2/team/app/blobs/uploads/?mount=${digest}${from}`)).toEqual([
        202,
        true,
        null,
      ]);
    }
  }
});

test("a mount needs pull on the source by the token's own scope", async () => {
  await using app = await openApp();
  await setRules(app, [["user:writer", "team/** other/**", "writer"]]);
  const layer = blobOf("a layer of other/app alone");
  await app.pushBlob("other/app", layer, basic("root"));
  const path = `/v2/team/app/blobs/uploads/?mount=${layer.digest}&from=other/app`;
  const narrow = bearer(await tokenFor(app, basic("writer"), "repository:team/app:pull,push"));
  expect((await app.request("POST", path, narrow)).status).toBe(202);
  expect(
    (await app.request("POST", `/v2/team/app/blobs/uploads/?mount=${layer.digest}`, narrow)).status,
  ).toBe(202);
  const both = ["repository:team/app:pull,push", "repository:other/app:pull"];
  const wide = bearer(await tokenFor(app, basic("writer"), ...both));
  expect((await app.request("POST", path, wide)).status).toBe(201);
});

test("no to a mount without a source takes as long whether others have the blob or nobody has", async () => {
  let time = 0;
  const clock = {
    monotonic: () => (time += 0.25),
    sleep: async (ms: number) => {
      time += ms;
    },
  };
  await using app = await openApp();
  const blobs = new Blobs(app.metadata, app.store, { ...clock, showsEmptyLayer: false });
  const [to, hidden] = [parsed("team/app"), IMAGE.config.digest];
  await app.request("DELETE", `/v2/team/app/manifests/${IMAGE.manifest.digest}`, basic("root"));
  for (const digest of [hidden, blobOf("nobody's").digest]) {
    // Looking takes a while, and longer for what is there.
    for (const took of [0, 1, 2]) {
      const startedAt = time;
      const mayPull = () => {
        time += took;
        return false;
      };
      const mount = { from: null, to, digest, mayPull, mayPullEverything: false };
      expect(await blobs.mount(mount)).toBeNull();
      expect(Math.round(time - startedAt)).toBe(5);
    }
  }
  const startedAt = time;
  await blobs.mount({ from: null, to, digest: hidden, mayPull: () => false, mayPullEverything: true });
  expect(time - startedAt).toBeLessThan(1);
});

function parsed(text: string): RepositoryName {
  const name = parseRepositoryName(text);
  if (name === null) throw new Error(`"${text}" is no repository name`);
  return name;
}
