import { expect, test } from "bun:test";
import { parseRepositoryName, type RepositoryName } from "@stowage/oci/repository-name";
import { Retention } from "@stowage/server/registry/retention";
import { blobOf, imageOf, type TestImage } from "../support/content.ts";
import { errorCode, TestApp } from "../support/test-app.ts";

const HOUR_MS = 3_600_000;
const NEVER = new AbortController().signal;
const CALLER = { name: "admin" };

function image(name: string, extra: Readonly<Record<string, unknown>> = {}): TestImage {
  return imageOf([blobOf(`layer of ${name}`)], { annotations: { name }, ...extra });
}

async function tagsOf(app: TestApp, repository: string): Promise<readonly string[]> {
  const response = await app.request("GET", `/v2/${repository}/tags/list`);
  return ((await response.json()) as { tags: string[] }).tags;
}

/** Five images, an hour between two. */
async function pushFive(app: TestApp, repository: string): Promise<void> {
  for (let at = 1; at <= 5; at++) {
    await app.pushImage(repository, `v${at}`, image(`${repository} ${at}`));
    app.clockAhead += HOUR_MS;
  }
}

function keepNewest(count: number, more: Readonly<Record<string, unknown>> = {}) {
  const policy = { repositories: ["prod/**"], keepTags: [{ mostRecentlyPushedCount: count }], ...more };
  return { retention: { policies: [policy] } };
}

test("retention keeps what the first policy of a repository wants, and other repositories whole", async () => {
  await using app = new TestApp();
  for (const repository of ["prod/a", "dev/a"]) await pushFive(app, repository);
  await app.registry.retention.setPolicies(CALLER, keepNewest(2));
  const dry = await app.registry.retention.run(NEVER, { dryRun: true });
  expect(dry).toMatchObject({ dryRun: true, repositories: 1, tagsKept: 2, tagsDeleted: 3 });
  expect(dry.deleted.map(({ tag }) => String(tag))).toEqual(["v1", "v2", "v3"]);
  expect(await tagsOf(app, "prod/a")).toEqual(["v1", "v2", "v3", "v4", "v5"]);
  expect(await app.registry.retention.run(NEVER, { dryRun: false })).toMatchObject({
    dryRun: false,
    tagsDeleted: 3,
  });
  expect(await tagsOf(app, "prod/a")).toEqual(["v4", "v5"]);
  expect(await tagsOf(app, "dev/a")).toEqual(["v1", "v2", "v3", "v4", "v5"]);
});

test("what retention deleted can be undone, and goes with its manifest after the delay", async () => {
  await using app = new TestApp();
  await pushFive(app, "prod/a");
  await app.registry.retention.setPolicies(CALLER, keepNewest(4));
  await app.registry.retention.run(NEVER, { dryRun: false });
  const [deletion] = await app.metadata.deletions.list({ before: null, entriesMax: 10 });
  expect(deletion).toMatchObject({ reason: "retention", tags: ["v1"] });
  expect(await app.metadata.deletions.undo(deletion?.id ?? 0)).toMatchObject({ kind: "undone" });
  expect(await tagsOf(app, "prod/a")).toHaveLength(5);
  expect(await app.registry.retention.run(NEVER, { dryRun: false })).toMatchObject({ tagsDeleted: 1 });
  app.clockAhead += 24 * HOUR_MS;
  expect(await app.registry.retention.run(NEVER, { dryRun: false })).toMatchObject({ untaggedDeleted: 1 });
  app.clockAhead += 50 * HOUR_MS;
  expect(await app.collect()).toMatchObject({ blobsCollected: 2 });
});

test("a tag that somebody pulls is kept: by tag, and as containerd does it, by HEAD and digest", async () => {
  await using app = new TestApp();
  await pushFive(app, "prod/a");
  const policy = { repositories: ["**"], keepTags: [{ pulledWithin: "2h" }] };
  await app.registry.retention.setPolicies(CALLER, { retention: { policies: [policy] } });
  app.clockAhead += 10 * HOUR_MS;
  await app.request("GET", "/v2/prod/a/manifests/v1");
  const head = await app.request("HEAD", "/v2/prod/a/manifests/v3");
  await app.request("GET", `/v2/prod/a/manifests/${head.headers.get("Docker-Content-Digest")}`);
  app.clockAhead += HOUR_MS;
  await app.registry.retention.run(NEVER, { dryRun: false });
  expect(await tagsOf(app, "prod/a")).toEqual(["v1", "v3"]);
});

test("signatures are kept as long as what they sign, by tag and by subject", async () => {
  await using app = new TestApp();
  await pushFive(app, "prod/a");
  const old = image("prod/a 1");
  const subject = {
    mediaType: old.mediaType,
    digest: old.manifest.digest,
    size: old.manifest.bytes.byteLength,
  };
  const fallback = `sha256-${old.manifest.digest.slice("sha256:".length)}.sig`;
  await app.pushImage("prod/a", fallback, image("signature"));
  const referrer = image("referrer", { subject });
  await app.pushImage("prod/a", referrer.manifest.digest, referrer);
  await app.registry.retention.setPolicies(CALLER, keepNewest(1, { deleteReferrers: true }));
  await app.registry.retention.run(NEVER, { dryRun: false });
  expect(await tagsOf(app, "prod/a")).toEqual([fallback, "v5"]);
  const isThere = async (reference: string) =>
    (await app.request("HEAD", `/v2/prod/a/manifests/${reference}`)).status === 200;
  expect(await isThere(referrer.manifest.digest)).toBe(true);
  for (let day = 0; day < 4; day++) {
    app.clockAhead += 25 * HOUR_MS;
    await app.registry.retention.run(NEVER, { dryRun: false });
  }
  expect(await tagsOf(app, "prod/a")).toEqual(["v5"]);
  expect(await isThere(referrer.manifest.digest)).toBe(false);
});

test("a referrer whose subject is gone stays unless the policy says otherwise", async () => {
  await using app = new TestApp();
  await app.pushImage("prod/a", "v1", image("kept"));
  const subject = { mediaType: "a/b", digest: blobOf("nobody").digest, size: 6 };
  const referrer = image("referrer", { subject });
  await app.pushImage("prod/a", referrer.manifest.digest, referrer);
  const isThere = async () => {
    app.clockAhead += 30 * HOUR_MS;
    await app.registry.retention.run(NEVER, { dryRun: false });
    return (await app.request("GET", `/v2/prod/a/manifests/${referrer.manifest.digest}`)).status === 200;
  };
  await app.registry.retention.setPolicies(CALLER, keepNewest(1));
  expect(await isThere()).toBe(true);
  await app.registry.retention.setPolicies(CALLER, keepNewest(1, { deleteReferrers: true }));
  expect(await isThere()).toBe(false);
});

test("an immutable tag is set once, and survives retention and deletion", async () => {
  await using app = new TestApp();
  await pushFive(app, "prod/a");
  const immutableTags = [{ repositories: ["prod/**"], patterns: ["^v[0-9]+$"] }];
  await app.registry.retention.setPolicies(CALLER, { ...keepNewest(1), immutableTags });
  const moved = await app.pushImage("prod/a", "v1", image("another"));
  expect(moved.status).toBe(409);
  expect(await errorCode(moved)).toBe("TAG_IMMUTABLE");
  expect((await app.pushImage("prod/a", "v1", image("prod/a 1"))).status).toBe(201);
  expect((await app.pushImage("prod/a", "latest", image("another"))).status).toBe(201);
  expect((await app.pushImage("prod/a", "latest", image("yet another"))).status).toBe(201);
  expect((await app.request("DELETE", "/v2/prod/a/manifests/v1")).status).toBe(409);
  const { digest } = image("prod/a 1").manifest;
  expect((await app.request("DELETE", `/v2/prod/a/manifests/${digest}`)).status).toBe(409);
  await app.registry.retention.run(NEVER, { dryRun: false });
  expect(await tagsOf(app, "prod/a")).toEqual(["latest", "v1", "v2", "v3", "v4", "v5"]);
});

test("of many pushes of one immutable tag at once exactly one wins", async () => {
  await using app = new TestApp();
  const immutableTags = [{ repositories: ["**"], patterns: [".*"] }];
  await app.registry.retention.setPolicies(CALLER, { immutableTags });
  const images = Array.from({ length: 20 }, (_, at) => image(`racer ${at}`));
  for (const { config, layers } of images) {
    for (const blob of [config, ...layers]) await app.pushBlob("prod/a", blob);
  }
  const answers = await Promise.all(images.map((racer) => app.pushManifest("prod/a", "v1", racer)));
  const statuses = answers.map(({ status }) => status).toSorted();
  expect(statuses).toEqual([201, ...Array.from({ length: 19 }, () => 409)]);
});

test("policies are read and set by the management API, and applied on demand", async () => {
  await using app = new TestApp();
  await pushFive(app, "prod/a");
  const headers = { "Content-Type": "application/json" };
  const put = await app.request("PUT", "/api/v1/policies", { headers, body: JSON.stringify(keepNewest(2)) });
  expect(put.status).toBe(200);
  const document = (await (await app.request("GET", "/api/v1/policies")).json()) as typeof put;
  expect(document).toMatchObject({ retention: { delay: "24h", policies: [{ repositories: ["prod/**"] }] } });
  const body = JSON.stringify({ dryRun: true });
  const preview = await app.request("POST", "/api/v1/retention", { headers, body });
  expect(await preview.json()).toMatchObject({ dryRun: true, tagsKept: 2, tagsDeleted: 3 });
  const wrong = JSON.stringify({ immutableTags: [{ repositories: ["**"], patterns: ["("] }] });
  const refused = await app.request("PUT", "/api/v1/policies", { headers, body: wrong });
  expect(refused.status).toBe(400);
  expect(await (await app.request("GET", "/api/v1/policies")).json()).toEqual(document);
});

test("a dry run changes nothing and leaves no record, also when the document asks for it", async () => {
  await using app = new TestApp();
  await pushFive(app, "prod/a");
  const { retention } = keepNewest(2);
  await app.registry.retention.setPolicies(CALLER, { retention: { ...retention, dryRun: true } });
  app.clockAhead += 100 * HOUR_MS;
  const before = await app.metadata.retention.listTags(parsed("prod/a"), { entriesMax: 10, after: "" });
  const counts = { repositories: 1, tagsKept: 2, tagsDeleted: 3, untaggedDeleted: 0 };
  const wanted = { dryRun: true, ...counts, byPolicy: [counts] };
  expect(await app.registry.retention.run(NEVER, { dryRun: false })).toMatchObject(wanted);
  expect(await app.metadata.retention.listTags(parsed("prod/a"), { entriesMax: 10, after: "" })).toEqual(
    before,
  );
  expect(await app.metadata.deletions.list({ before: null, entriesMax: 10 })).toEqual([]);
});

test("children of an index that has a tag are kept, and go after it", async () => {
  await using app = new TestApp();
  const child = image("child");
  await app.pushImage("prod/a", child.manifest.digest, child);
  const mediaType = "application/vnd.oci.image.index.v1+json";
  const entry = {
    mediaType: child.mediaType,
    digest: child.manifest.digest,
    size: child.manifest.bytes.byteLength,
  };
  const index = blobOf(JSON.stringify({ schemaVersion: 2, mediaType, manifests: [entry] }));
  await app.pushManifest("prod/a", "multi", { manifest: index, mediaType });
  const run = async () => {
    app.clockAhead += 30 * HOUR_MS;
    return (await app.registry.retention.run(NEVER, { dryRun: false })).untaggedDeleted;
  };
  await app.registry.retention.setPolicies(CALLER, keepNewest(1));
  expect([await run(), await run()]).toEqual([0, 0]);
  await app.pushImage("prod/a", "newer", image("newer"));
  expect([await run(), await run(), await run()]).toEqual([0, 1, 1]);
});

test("deleteReferrers deletes them also where untagged manifests are kept", async () => {
  await using app = new TestApp();
  const subject = { mediaType: "a/b", digest: blobOf("nobody").digest, size: 6 };
  const [referrer, untagged] = [image("referrer", { subject }), image("untagged")];
  for (const each of [referrer, untagged]) await app.pushImage("prod/a", each.manifest.digest, each);
  const policy = keepNewest(1, { deleteReferrers: true, deleteUntagged: false });
  await app.registry.retention.setPolicies(CALLER, policy);
  app.clockAhead += 30 * HOUR_MS;
  expect(await app.registry.retention.run(NEVER, { dryRun: false })).toMatchObject({ untaggedDeleted: 1 });
  const left = await app.request("GET", `/v2/prod/a/manifests/${untagged.manifest.digest}`);
  expect(left.status).toBe(200);
});

test("a clock that was set a year ahead makes no tag old", async () => {
  await using app = new TestApp();
  await pushFive(app, "prod/a");
  const policy = { repositories: ["**"], keepTags: [{ pushedWithin: "30d" }] };
  await app.registry.retention.setPolicies(CALLER, { retention: { policies: [policy] } });
  expect(await app.registry.retention.run(NEVER, { dryRun: false })).toMatchObject({ pausedMs: 0 });
  app.wallAhead += 365 * 24 * HOUR_MS;
  const paused = await app.registry.retention.run(NEVER, { dryRun: false });
  expect(paused.pausedMs).toBeGreaterThan(0);
  expect(paused.tagsDeleted).toBe(0);
  expect(await tagsOf(app, "prod/a")).toHaveLength(5);
});

test("policies that are replaced while they are applied are not applied any further", async () => {
  await using app = new TestApp();
  for (const repository of ["prod/a", "prod/b"]) await pushFive(app, repository);
  const { collector, pulls, retention } = app.registry;
  await retention.setPolicies(CALLER, keepNewest(2));
  const { documents, garbage, manifests, retention: stored } = app.metadata;
  const listTags: typeof stored.listTags = async (repository, page) => {
    if (repository === "prod/b") await retention.setPolicies(CALLER, {});
    return await stored.listTags(repository, page);
  };
  const metadata = { documents, garbage, manifests, retention: { ...stored, listTags } };
  const running = new Retention({ metadata, collector, pulls, monotonic: () => performance.now() });
  expect(await running.run(NEVER, { dryRun: false })).toMatchObject({ repositories: 2, tagsDeleted: 3 });
  expect(await tagsOf(app, "prod/b")).toHaveLength(5);
});

test("runs of retention that wait are limited", async () => {
  await using app = new TestApp();
  const parts = { headers: { "Content-Type": "application/json" }, body: "{}" };
  const answers = await Promise.all(
    Array.from({ length: 40 }, () => app.request("POST", "/api/v1/retention", parts)),
  );
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 429]));
  expect((await app.request("POST", "/api/v1/retention", parts)).status).toBe(200);
});

function parsed(text: string): RepositoryName {
  const name = parseRepositoryName(text);
  if (name === null) throw new Error(`"${text}" is no repository name`);
  return name;
}
