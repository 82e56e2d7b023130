import { describe, expect, test } from "bun:test";
import { blobOf, imageOf, type TestImage } from "../support/content.ts";
import { errorCode, TestApp } from "../support/test-app.ts";

const HOUR = 3_600_000;
const INDEX = "application/vnd.oci.image.index.v1+json";
const JSON_BODY = { "Content-Type": "application/json" };

const image = (text: string, extra = {}) => imageOf([blobOf(text)], extra);

async function send(app: TestApp, method: string, path: string, value?: unknown): Promise<Response> {
  const parts = value === undefined ? {} : { headers: JSON_BODY, body: JSON.stringify(value) };
  return await app.request(method, `/api/v1${path}`, parts);
}

/** The JSON of an answer that has to be positive. */
async function read(app: TestApp, path: string, method = "GET") {
  const response = await send(app, method, path);
  expect(`${response.status} ${method} ${path}`).toBe(`200 ${method} ${path}`);
  return (await response.json()) as Readonly<Record<string, unknown>>;
}

/** Every entry of a listing, page by page, by the Link header. */
async function readAll<T>(app: TestApp, path: string, list: string, between?: () => Promise<void>) {
  const entries: T[] = [];
  let next: string | null = `/api/v1${path}`;
  for (let pages = 0; next !== null && pages < 50; pages++) {
    const response: Response = await app.request("GET", next);
    expect(response.status).toBe(200);
    const body = (await response.json()) as Readonly<Record<string, unknown>>;
    entries.push(...(body[list] as T[]));
    const [, link = null] = /^<(.+)>; rel="next"$/.exec(response.headers.get("Link") ?? "") ?? [];
    expect(body.next === null).toBe(link === null);
    next = link;
    await between?.();
  }
  return entries;
}

const names = (entries: readonly { readonly name: string }[]) => entries.map(({ name }) => name);

async function indexOf(app: TestApp, repository: string, reference: string, children: readonly TestImage[]) {
  const manifests = children.map(({ manifest, mediaType }) => ({
    mediaType,
    digest: manifest.digest,
    size: manifest.bytes.byteLength,
  }));
  const manifest = blobOf(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests }));
  expect((await app.pushManifest(repository, reference, { manifest, mediaType: INDEX })).status).toBe(201);
  return manifest;
}

describe("repositories", () => {
  test("are listed with counters, empty ones included, and sorted", async () => {
    await using app = new TestApp();
    await app.pushImage("team/a", "v1", image("a"));
    app.clockAhead = HOUR;
    await app.pushImage("team/b", "v1", image("bb".repeat(1_000)));
    await app.pushImage("team/b", "v2", image("b2"));
    expect((await send(app, "POST", "/repositories", { name: "empty" })).status).toBe(201);
    const { repositories, next } = await read(app, "/repositories");
    expect(next).toBeNull();
    expect(repositories).toMatchObject([
      { name: "empty", manifests: 0, tags: 0, logicalBytes: 0, blobBytes: 0, pushedAt: null },
      { name: "team/a", manifests: 1, tags: 1, createdAt: expect.stringMatching(/^\d{4}-.*Z$/) },
      { name: "team/b", manifests: 2, tags: 2 },
    ]);
    for (const [query, wanted] of [
      ["order=desc", ["team/b", "team/a", "empty"]],
      ["sort=pushed", ["empty", "team/a", "team/b"]],
      ["sort=size&order=desc", ["team/b", "team/a", "empty"]],
      ["sort=tags&order=desc", ["team/b", "team/a", "empty"]],
      ["search=EAM%2FA", ["team/a"]],
      ["search=m", ["empty", "team/a", "team/b"]],
      ["prefix=team/", ["team/a", "team/b"]],
      ["prefix=tea&search=b", ["team/b"]],
    ] as const) {
      for (const n of ["", "&n=1"]) {
        expect(names(await readAll(app, `/repositories?${query}${n}`, "repositories"))).toEqual([...wanted]);
      }
    }
  });

  test("wildcards of LIKE in a search and a prefix are plain text", async () => {
    await using app = new TestApp();
    for (const name of ["a_b", "axb", "a.b"]) await send(app, "POST", "/repositories", { name });
    for (const [query, wanted] of [
      ["search=_", ["a_b"]],
      ["search=%25", []],
      ["search=%5C", []],
      ["search=a%5C_b", []],
      ["prefix=a_", ["a_b"]],
      ["prefix=%25", []],
      ["search='%20OR%201=1", []],
    ] as const) {
      expect(names(await readAll(app, `/repositories?${query}`, "repositories"))).toEqual([...wanted]);
    }
  });

  test.each(["name", "pushed", "size", "tags"])(
    "paging by %s under change has no duplicate",
    async (sort) => {
      await using app = new TestApp();
      for (let at = 0; at < 12; at++) {
        app.clockAhead += 1_000;
        await app.pushImage(`r${String(at).padStart(2, "0")}`, "v1", image(`content ${at}`));
      }
      let round = 0;
      const listed = await readAll<{ name: string }>(
        app,
        `/repositories?sort=${sort}&n=3`,
        "repositories",
        async () => {
          app.clockAhead += 1_000;
          round += 1;
          await app.pushImage(`new${round}`, "v1", image(`new ${round}`));
          await send(app, "DELETE", `/repositories/r0${round}`);
          if (sort === "pushed" || sort === "name")
            await app.pushImage("r00", `v${round}`, image(`again ${round}`));
        },
      );
      expect(new Set(names(listed)).size).toBe(listed.length);
      const stable = names(listed).filter((name) => /^r(?:09|1)/.test(name));
      expect(stable.toSorted()).toEqual(["r09", "r10", "r11"]);
    },
  );

  test("of one, what deleting it would free, and what is made of it", async () => {
    await using app = new TestApp();
    const shared = blobOf("shared layer");
    await app.pushImage("a", "v1", imageOf([shared, blobOf("only a")]));
    await app.pushImage("b", "v1", imageOf([shared]));
    const described = await read(app, "/repositories/a");
    const exclusive = 6 + imageOf([shared, blobOf("only a")]).config.bytes.byteLength;
    expect(described).toMatchObject({ name: "a", exclusiveBlobs: 2, exclusiveBytes: exclusive });
    const dry = await read(app, "/repositories/a?dryRun=true", "DELETE");
    expect(dry).toMatchObject({ dryRun: true, deletion: null, wouldFree: { blobs: 2, bytes: exclusive } });
    expect((await read(app, "/repositories/a")).manifests).toBe(1);
    const done = await read(app, "/repositories/a", "DELETE");
    expect(done).toMatchObject({ dryRun: false, repository: "a", manifests: 1, tags: 1 });
    expect((await send(app, "GET", "/repositories/a")).status).toBe(404);
    expect(names(await readAll(app, "/repositories", "repositories"))).toEqual(["b"]);
    expect((await send(app, "POST", `/deletions/${done.deletion}/undo`)).status).toBe(200);
    expect((await read(app, "/repositories/a")).tags).toBe(1);
  });

  test("creating one that is there is a conflict", async () => {
    await using app = new TestApp();
    const made = await send(app, "POST", "/repositories", { name: "x/y" });
    expect([made.status, ((await made.json()) as { name: string }).name]).toEqual([201, "x/y"]);
    const again = await send(app, "POST", "/repositories", { name: "x/y" });
    expect([again.status, await errorCode(again)]).toEqual([409, "CONFLICT"]);
    expect(await (await app.request("GET", "/v2/_catalog")).json()).toEqual({ repositories: [] });
  });

  test("namespaces are counted by level and deleted with all below", async () => {
    await using app = new TestApp();
    const layer = blobOf("everywhere");
    for (const name of ["a", "a/x", "a/y/z", "a-b", "a.c/d", "ab"]) {
      await app.pushImage(name, "v1", imageOf([layer], { annotations: { name } }));
    }
    const top = await readAll<{ name: string; repositories: number }>(app, "/namespaces?n=2", "namespaces");
    expect(top.map(({ name, repositories }) => [name, repositories])).toEqual([
      ["a", 3],
      ["a-b", 1],
      ["a.c", 1],
      ["ab", 1],
    ]);
    expect(names(await readAll(app, "/namespaces?parent=a", "namespaces"))).toEqual(["a/x", "a/y"]);
    const dry = await read(app, "/namespaces/a?dryRun=true", "DELETE");
    // The layer and the config are in the other repositories too.
    expect(dry).toMatchObject({ dryRun: true, repositories: 3, wouldFree: { blobs: 0, bytes: 0 } });
    for (const name of ["a-b", "a.c%2Fd", "ab"]) await read(app, `/repositories/${name}`, "DELETE");
    await send(app, "POST", "/gc", { purge: true });
    const alone = await read(app, "/namespaces/a?dryRun=true", "DELETE");
    expect(alone).toMatchObject({ wouldFree: { blobs: 2 } });
    const done = await read(app, "/namespaces/a", "DELETE");
    expect(done).toMatchObject({ repositories: 3, partial: false, undoUntil: expect.any(String) });
    expect(done.deletions).toHaveLength(3);
    expect(await readAll(app, "/repositories", "repositories")).toEqual([]);
    expect(await read(app, "/namespaces/nothing", "DELETE")).toMatchObject({
      repositories: 0,
      undoUntil: null,
    });
  });
});

describe("tags", () => {
  test("are listed in every order, with globs", async () => {
    await using app = new TestApp();
    for (const [at, tag] of ["v1.10.0", "latest", "v1.9.0", "v1.9.0-rc.1", "nightly"].entries()) {
      app.clockAhead += 1_000;
      await app.pushImage("t/r", tag, image("x".repeat(at * 100), { annotations: { tag } }));
    }
    const byTime = ["v1.10.0", "latest", "v1.9.0", "v1.9.0-rc.1", "nightly"];
    const byName = ["latest", "nightly", "v1.10.0", "v1.9.0", "v1.9.0-rc.1"];
    for (const [query, wanted] of [
      ["", byName],
      ["order=desc", byName.toReversed()],
      ["sort=pushed", byTime],
      ["sort=pushed&order=desc", byTime.toReversed()],
      ["sort=size", byTime],
      ["sort=pulled", byName],
      ["sort=semver", ["v1.9.0-rc.1", "v1.9.0", "v1.10.0", "latest", "nightly"]],
      ["sort=semver&order=desc", ["v1.10.0", "v1.9.0", "v1.9.0-rc.1", "nightly", "latest"]],
      ["filter=v1.*", ["v1.10.0", "v1.9.0", "v1.9.0-rc.1"]],
      ["filter=v1.*&exclude=*-rc*", ["v1.10.0", "v1.9.0"]],
      ["filter=latest&filter=night*&sort=pushed&order=desc", ["nightly", "latest"]],
      ["filter={latest,v1.9.?}", ["latest", "v1.9.0"]],
      ["exclude=!v1.*", ["v1.10.0", "v1.9.0", "v1.9.0-rc.1"]],
    ] as const) {
      for (const n of ["", "n=1&", "n=2&"]) {
        const listed = names(await readAll(app, `/repositories/t/r/-/tags?${n}${query}`, "tags"));
        expect([query, listed]).toEqual([query, [...wanted]]);
      }
    }
    expect((await send(app, "GET", "/repositories/nothing/-/tags")).status).toBe(404);
    expect((await send(app, "GET", "/repositories/nothing/-/tags?sort=size")).status).toBe(404);
  });

  test.each(["sort=pushed", "sort=pushed&order=desc", "sort=name", "sort=semver", "sort=size"])(
    "paging with %s under change has no duplicate",
    async (query) => {
      await using app = new TestApp();
      for (let at = 0; at < 9; at++) {
        app.clockAhead += 1_000;
        await app.pushImage("r", `v1.0.${at}`, image(`content ${"x".repeat(at)}`));
      }
      let round = 0;
      const listed = await readAll<{ name: string }>(
        app,
        `/repositories/r/-/tags?n=2&${query}`,
        "tags",
        async () => {
          app.clockAhead += 1_000;
          round += 1;
          await app.pushImage("r", `v2.0.${round}`, image(`new ${"y".repeat(round)}`));
          await app.pushImage("r", "v1.0.0", image("content "));
          await app.request("DELETE", `/v2/r/manifests/v1.0.${round}`);
        },
      );
      expect(new Set(names(listed)).size).toBe(listed.length);
      expect(names(listed)).toEqual(expect.arrayContaining(["v1.0.7", "v1.0.8"]));
    },
  );

  test("a tag is described, moved and taken away; its manifest stays", async () => {
    await using app = new TestApp();
    const [one, two] = [image("one"), image("two")];
    await app.pushImage("t/r", "a", one);
    await app.pushImage("t/r", "b", one);
    await app.pushImage("t/r", "c", two);
    expect(await read(app, "/repositories/t/r/-/tags/a")).toMatchObject({
      name: "a",
      digest: one.manifest.digest,
      platform: "linux/amd64",
      size: one.manifest.bytes.byteLength + one.config.bytes.byteLength + 3,
      pushedBy: null,
      pulledAt: null,
      sharedWith: 1,
      sameDigest: ["b"],
    });
    const path = "/repositories/t/r/-/tags/new";
    const set = await send(app, "PUT", path, { digest: two.manifest.digest });
    expect(await set.json()).toMatchObject({ digest: two.manifest.digest, sameDigest: ["c"] });
    await send(app, "PUT", path, { digest: one.manifest.digest });
    const done = await read(app, path, "DELETE");
    expect(done).toEqual({ deletion: expect.any(Number), undoUntil: expect.any(String) });
    expect((await send(app, "GET", path)).status).toBe(404);
    expect((await app.request("GET", `/v2/t/r/manifests/${one.manifest.digest}`)).status).toBe(200);
    const unknown = await send(app, "PUT", path, { digest: blobOf("unknown").digest });
    expect([unknown.status, await errorCode(unknown)]).toEqual([404, "MANIFEST_UNKNOWN"]);
    expect((await send(app, "DELETE", path)).status).toBe(404);
  });

  test("more tags than one listing reads are listed by name, and the others say what to do", async () => {
    await using app = new TestApp();
    const one = image("one");
    await app.pushImage("r", "first", one);
    for (let at = 0; at < 200; at++) {
      const query = Array.from({ length: 100 }, (_, tag) => `tag=t${at}-${tag}`).join("&");
      await app.pushManifest("r", `u${at}?${query}`, one);
    }
    const refused = await send(app, "GET", "/repositories/r/-/tags?sort=size");
    expect(refused.status).toBe(400);
    expect(await refused.text()).toContain("20000");
    const page = await read(app, "/repositories/r/-/tags?n=5000");
    expect(page.tags).toHaveLength(1_000);
    expect(page.tags).toMatchObject([{ sharedWith: 20_200 }, ...Array.from({ length: 999 }, () => ({}))]);
  });
});

describe("manifests and blobs", () => {
  test("an index is described with its children, and deleted with what only it holds", async () => {
    await using app = new TestApp();
    const children = [image("amd64"), image("arm64")];
    for (const child of children) await app.pushImage("t/r", child.manifest.digest, child);
    const index = await indexOf(app, "t/r", "v1", children);
    const path = `/repositories/t/r/-/manifests/${index.digest}`;
    expect(await read(app, path)).toMatchObject({
      digest: index.digest,
      mediaType: INDEX,
      tags: ["v1"],
      parents: [],
      subject: null,
      referrers: 0,
      blobs: [],
    });
    const described = await read(app, `/repositories/t/r/-/manifests/${children[0]?.manifest.digest}`);
    expect(described).toMatchObject({ parents: [index.digest], platform: "linux/amd64", tags: [] });
    expect(described.blobs).toHaveLength(2);
    const dry = await read(app, `${path}?dryRun=true`, "DELETE");
    expect(dry).toMatchObject({ dryRun: true, deletion: null, tags: ["v1"], blobs: 4 });
    expect(dry.manifests).toHaveLength(3);
    expect(await read(app, `${path}?dryRun=true&parts=false`, "DELETE")).toMatchObject({
      manifests: [index.digest],
    });
    const listed = await send(app, "DELETE", `/repositories/t/r/-/manifests/${children[0]?.manifest.digest}`);
    expect([listed.status, await errorCode(listed)]).toEqual([405, "MANIFEST_IN_USE"]);
    const done = await read(app, path, "DELETE");
    expect(done).toMatchObject({ dryRun: false, blobs: 4, bytes: dry.bytes as number });
    expect((await read(app, "/repositories/t/r")).manifests).toBe(0);
    expect((await send(app, "GET", path)).status).toBe(404);
  });

  test("a blob says who keeps it", async () => {
    await using app = new TestApp();
    const layer = blobOf("layer");
    const [a, b] = [imageOf([layer]), imageOf([layer], { annotations: { b: "" } })];
    await app.pushImage("a", "v1", a);
    await app.pushImage("b", "v1", b);
    await app.pushImage("c", "v1", a);
    const manifest = await read(app, `/repositories/b/-/manifests/${b.manifest.digest}`, "DELETE");
    const repository = await read(app, "/repositories/c", "DELETE");
    const path = `/blobs/${layer.digest}`;
    expect(await read(app, path)).toMatchObject({ size: 5, quarantinedAt: null, next: null });
    const links = await readAll(app, `${path}?n=1`, "repositories");
    expect(links).toMatchObject([
      {
        name: "a",
        deleted: false,
        manifests: [a.manifest.digest],
        deletions: [],
        reviewAt: expect.any(String),
      },
      { name: "b", deleted: false, manifests: [], deletions: [manifest.deletion] },
      { name: "c", deleted: true, deletions: [repository.deletion] },
    ]);
    expect((await send(app, "GET", `/blobs/${blobOf("none").digest}`)).status).toBe(404);
  });
});

describe("deletions and garbage", () => {
  test("are listed newest first, undone, and purged", async () => {
    await using app = new TestApp();
    for (const tag of ["a", "b", "c"]) {
      await app.pushImage("r", tag, image(tag));
      await read(app, `/repositories/r/-/tags/${tag}`, "DELETE");
    }
    const listed = await readAll<{ id: number; tags: readonly string[] }>(app, "/deletions?n=1", "deletions");
    expect(listed.map(({ tags }) => tags)).toEqual([["c"], ["b"], ["a"]]);
    const [c, b, a] = listed.map(({ id }) => id);
    expect(await read(app, `/deletions/${c}`)).toMatchObject({
      kind: "tag",
      repository: "r",
      reason: "request",
    });
    expect(await read(app, `/deletions/${c}/undo`, "POST")).toEqual({ skipped: [] });
    expect((await read(app, "/repositories/r/-/tags/c")).name).toBe("c");
    await app.pushImage("r", "b", image("other"));
    expect(await read(app, `/deletions/${b}/undo`, "POST")).toEqual({ skipped: ["b"] });
    expect((await send(app, "POST", `/deletions/${a}/purge`)).status).toBe(204);
    for (const [method, path] of [
      ["GET", `/deletions/${a}`],
      ["POST", `/deletions/${a}/undo`],
      ["POST", `/deletions/${a}/purge`],
      ["POST", "/deletions/999/undo"],
    ] as const) {
      const gone = await send(app, method, path);
      expect([gone.status, await errorCode(gone)]).toEqual([404, "DELETION_UNKNOWN"]);
    }
  });

  test("what is in the way of an undo is said", async () => {
    await using app = new TestApp();
    const one = image("one");
    await app.pushImage("r", "v1", one);
    const whole = await read(app, "/repositories/r", "DELETE");
    await app.pushImage("r", "v1", one);
    const taken = await send(app, "POST", `/deletions/${whole.deletion}/undo`);
    expect([taken.status, await taken.text()]).toEqual([409, expect.stringContaining("exists again")]);
    const tag = await read(app, "/repositories/r/-/tags/v1", "DELETE");
    await read(app, `/repositories/r/-/manifests/${one.manifest.digest}`, "DELETE");
    const gone = await send(app, "POST", `/deletions/${tag.deletion}/undo`);
    expect([gone.status, await gone.text()]).toEqual([409, expect.stringContaining(one.manifest.digest)]);
  });

  test("a collection frees what was purged, a dry run changes nothing, a hold keeps objects", async () => {
    await using app = new TestApp({ durations: { leaseMs: 1, tombstoneGraceMs: 0 } });
    await app.pushImage("r", "v1", image("one"));
    await read(app, "/repositories/r", "DELETE");
    app.clockAhead = 1_000;
    expect(await read(app, "/gc")).toMatchObject({ deletions: 1 });
    const dry = await send(app, "POST", "/gc", { dryRun: true, purge: true });
    expect(await dry.json()).toMatchObject({ deletions: 1 });
    expect((await send(app, "POST", "/holds", { id: "backup", seconds: 60 })).status).toBe(200);
    const held = await send(app, "POST", "/gc", { purge: true, resume: true });
    expect(await held.json()).toMatchObject({ objectsDeleted: 0, pausedMs: 0 });
    expect(await read(app, "/gc")).toMatchObject({ holds: 1, tombstoned: { objects: 2 } });
    expect((await send(app, "DELETE", "/holds/backup")).status).toBe(204);
    expect(await (await send(app, "POST", "/gc")).json()).toMatchObject({ objectsDeleted: 2 });
  });
});

test("scrub is started, and what it finds is listed until a push repairs it", async () => {
  await using app = new TestApp();
  const layers = [blobOf("sound"), blobOf("lost 1"), blobOf("lost 2")];
  for (const layer of layers) await app.pushBlob("r", layer);
  for (const { digest, storageKey } of await app.metadata.scrub.next(Number.MAX_SAFE_INTEGER, 10)) {
    if (digest !== layers[0]?.digest) await app.store.delete(storageKey);
  }
  const idle = { running: false, blobs: 0, bytes: 0, findings: 0, endedEarly: false };
  expect(await read(app, "/scrub")).toEqual(idle);
  expect(await (await send(app, "POST", "/scrub", { all: true })).json()).toMatchObject({ running: true });
  await app.registry.scrubber.run(new AbortController().signal, { all: true });
  expect(await read(app, "/scrub")).toMatchObject({ running: false, findings: 2 });
  const found = await readAll<{ digest: string }>(app, "/scrub/findings?n=1", "findings");
  expect(found).toMatchObject([{ problem: "missing", repairedAt: null }, { problem: "missing" }]);
  expect(new Set(found.map(({ digest }) => digest))).toEqual(
    new Set(layers.slice(1).map(({ digest }) => digest)),
  );
  const [, lost = layers[0]] = layers;
  expect(await read(app, `/blobs/${lost?.digest}`)).toMatchObject({ quarantinedAt: expect.any(String) });
});

test("runs of the collector that wait are limited", async () => {
  await using app = new TestApp();
  const answers = await Promise.all(Array.from({ length: 40 }, () => send(app, "POST", "/gc")));
  const statuses = new Set(answers.map(({ status }) => status));
  expect(statuses).toEqual(new Set([200, 429]));
  expect((await send(app, "POST", "/gc")).status).toBe(200);
});

test("an immutable tag is neither moved nor taken away, by any door", async () => {
  await using app = new TestApp();
  const [one, two] = [image("one"), image("two")];
  await app.pushImage("r", "v1", one);
  await app.pushImage("r", two.manifest.digest, two);
  const policies = { immutableTags: [{ repositories: ["**"], patterns: ["^v"] }] };
  expect((await send(app, "PUT", "/policies", policies)).status).toBe(200);
  const answers = [
    await send(app, "PUT", "/repositories/r/-/tags/v1", { digest: two.manifest.digest }),
    await app.request("PUT", `/v2/r/tags/v1?digest=${two.manifest.digest}`),
    await send(app, "DELETE", "/repositories/r/-/tags/v1"),
    await app.request("DELETE", "/v2/r/tags/v1"),
    await send(app, "DELETE", `/repositories/r/-/manifests/${one.manifest.digest}`),
  ];
  for (const answer of answers) {
    expect([answer.status, await errorCode(answer)]).toEqual([409, "TAG_IMMUTABLE"]);
  }
  const same = await send(app, "PUT", "/repositories/r/-/tags/v1", { digest: one.manifest.digest });
  const other = await send(app, "PUT", "/repositories/r/-/tags/v2", { digest: two.manifest.digest });
  expect([same.status, other.status]).toEqual([200, 200]);
});
