import { expect, test } from "bun:test";
import {
  A,
  B,
  DELETE,
  digest,
  entryOf,
  manifestOf,
  type MetadataUnderTest,
  putBlob,
  ref,
  requireName,
  requireTag,
  TEST_DURATIONS,
} from "./conformance-content.ts";
import type { Position, RepositoryQuery, SetTag, TagQuery } from "./metadata.ts";

const REPOSITORIES: RepositoryQuery = {
  prefix: "",
  search: "",
  sort: "name",
  descending: false,
  after: null,
  until: null,
  entriesMax: 100,
};

const TAGS: TagQuery = { sort: "name", descending: false, after: null, until: null, entriesMax: 100 };

/** What every metadata store must list. */
export function testInventory(get: () => MetadataUnderTest): void {
  testRepositories(get);
  testTags(get);
  testManifest(get);
  testBlob(get);
}

function testRepositories(get: () => MetadataUnderTest): void {
  test("inventory: repositories are counted, sorted and paged; deleted ones are left out", async () => {
    const { metadata, advanceClock } = get();
    const { inventory } = metadata;
    const layer = await putBlob(metadata, A, "layer");
    await metadata.manifests.put(
      manifestOf("m1", {
        blobs: [ref(layer)],
        contentSize: layer.size,
        tags: [requireTag("v1"), requireTag("v2")],
      }),
    );
    advanceClock(10);
    await metadata.manifests.put(manifestOf("m2", { repository: B }));
    expect(await inventory.createRepository(requireName("empty"))).toBe(true);
    expect(await inventory.createRepository(requireName("empty"))).toBe(false);
    await inventory.createRepository(requireName("gone"));
    await metadata.deletions.deleteRepository(requireName("gone"), DELETE.by);
    expect(await inventory.repository(A)).toMatchObject({
      name: A,
      manifests: 1,
      tags: 2,
      logicalBytes: 2 + layer.size,
      blobBytes: layer.size,
    });
    expect(await inventory.repository(requireName("gone"))).toBeNull();
    const orders: readonly (readonly [Partial<RepositoryQuery>, readonly string[]])[] = [
      [{}, ["empty", A, B]],
      [{ descending: true }, [B, A, "empty"]],
      [{ sort: "pushed" }, ["empty", A, B]],
      [{ sort: "size", descending: true }, [A, B, "empty"]],
      [{ sort: "tags" }, ["empty", B, A]],
      [{ prefix: "team/" }, [A, B]],
      [{ search: "EAM/B" }, [B]],
      [{ search: "_" }, []],
      [{ search: "%" }, []],
      [{ search: "\\" }, []],
    ];
    for (const [query, wanted] of orders) {
      const found: string[] = [];
      for (let after: Position | null = null; found.length <= wanted.length;) {
        const page = await inventory.repositories({ ...REPOSITORIES, ...query, after, entriesMax: 1 });
        const [entry] = page;
        if (entry === undefined) break;
        found.push(entry.name);
        const values = { name: 0, pushed: entry.pushedAt ?? 0, size: entry.blobBytes, tags: entry.tags };
        after = { value: values[query.sort ?? "name"], name: entry.name };
      }
      expect([query, found]).toEqual([query, [...wanted]]);
    }
  });

  test("inventory: bytes are exclusive when nobody outside has the blob, and counted once in a namespace", async () => {
    const { metadata } = get();
    const { inventory } = metadata;
    for (const [repository, text] of [
      [A, "only a"],
      [A, "of the team"],
      [B, "of the team"],
      [A, "everybody's"],
      [requireName("team-b"), "everybody's"],
    ] as const) {
      await putBlob(metadata, repository, text);
    }
    const sum = async (repository: typeof A, scope: "repository" | { namespace: typeof A }) => {
      let bytes = 0;
      for (let after: string | null = ""; after !== null;) {
        const page: { next: string | null; bytes: number } = await inventory.exclusive(repository, {
          scope,
          after,
          entriesMax: 1,
        });
        bytes += page.bytes;
        after = page.next;
      }
      return bytes;
    };
    expect(await sum(A, "repository")).toBe("only a".length);
    expect(await sum(B, "repository")).toBe(0);
    const namespace = requireName("team");
    const both = (await sum(A, { namespace })) + (await sum(B, { namespace }));
    expect(both).toBe("only a".length + "of the team".length);
    expect(await sum(requireName("none"), "repository")).toBe(0);
  });
}

function testTags(get: () => MetadataUnderTest): void {
  test("inventory: tags have what their manifests say, and are paged by name and by time", async () => {
    const { metadata, advanceClock } = get();
    const { inventory } = metadata;
    const platform = { os: "linux", architecture: "arm64", variant: "v8" };
    await metadata.manifests.put(
      manifestOf("child", { contentSize: 50, platform, tags: [requireTag("c"), requireTag("a")] }),
    );
    advanceClock(10);
    const children = [{ digest: digest("child"), size: 5, required: true }];
    await metadata.manifests.put(manifestOf("index", { children, tags: [requireTag("b")], pushedBy: "p" }));
    const byName = await inventory.tags(A, TAGS);
    expect(byName).toMatchObject([
      {
        name: "a",
        digest: digest("child"),
        size: 55,
        platform,
        sharedWith: 1,
        pushedBy: null,
        pulledAt: null,
      },
      { name: "b", digest: digest("index"), size: 5 + 55, platform: null, sharedWith: 0, pushedBy: "p" },
      { name: "c", sharedWith: 1 },
    ]);
    const [a] = byName ?? [];
    const names = async (query: Partial<TagQuery>) =>
      (await inventory.tags(A, { ...TAGS, ...query }))?.map(({ name }) => name);
    expect(await names({ sort: "pushed" })).toEqual(["a", "c", "b"].map(requireTag));
    expect(await names({ sort: "pushed", descending: true })).toEqual(["b", "c", "a"].map(requireTag));
    const after = { value: a?.pushedAt ?? 0, name: "a" };
    expect(await names({ sort: "pushed", after })).toEqual(["c", "b"].map(requireTag));
    expect(await names({ sort: "pushed", after, until: after.value })).toEqual([requireTag("c")]);
    expect(await names({ after: { value: 0, name: "a" }, entriesMax: 1 })).toEqual([requireTag("b")]);
    expect(await names({ descending: true, after: { value: 0, name: "b" } })).toEqual([requireTag("a")]);
    expect(await inventory.tags(B, TAGS)).toBeNull();
    expect(await inventory.tag(A, requireTag("b"))).toMatchObject({ name: "b", size: 60 });
    expect(await inventory.tag(A, requireTag("none"))).toBeNull();
    expect(await inventory.tagsOf(A, digest("child"), 10)).toEqual(["a", "c"].map(requireTag));
  });

  test("a tag is set to a manifest that is there, and an immutable one does not move", async () => {
    const { metadata, advanceClock } = get();
    const { manifests, garbage } = metadata;
    await manifests.put(manifestOf("one", { tags: [requireTag("v1")] }));
    await manifests.put(manifestOf("two", {}));
    const wanted: SetTag = { tag: requireTag("v1"), digest: digest("two"), immutable: true, pushedBy: "p" };
    expect(await manifests.setTag(A, wanted)).toEqual({
      kind: "immutable",
      tag: requireTag("v1"),
      digest: digest("one"),
    });
    expect(await manifests.setTag(A, { ...wanted, digest: digest("one") })).toEqual({ kind: "set" });
    expect(await manifests.setTag(A, { ...wanted, immutable: false })).toEqual({ kind: "set" });
    expect(await metadata.inventory.tag(A, requireTag("v1"))).toMatchObject({
      digest: digest("two"),
      pushedBy: "p",
    });
    for (const repository of [A, B]) {
      const result = await manifests.setTag(repository, { ...wanted, digest: digest("none") });
      expect(result).toEqual({ kind: "unknown" });
    }
    // The one that lost its tag is loose now, the one that got it no more.
    advanceClock(10 * TEST_DURATIONS.leaseMs);
    await garbage.collectUntagged(A, { delayMs: 0, max: 100, among: "all" });
    expect(await manifests.find(A, { kind: "digest", digest: digest("one") })).toBeNull();
    expect(await manifests.find(A, { kind: "digest", digest: digest("two") })).not.toBeNull();
  });
}

function testManifest(get: () => MetadataUnderTest): void {
  test("inventory: a manifest has what it is tied to, and no list is longer than asked for", async () => {
    const { metadata } = get();
    const layer = await putBlob(metadata, A, "layer");
    const parts = { blobs: [ref(layer)], contentSize: layer.size, tags: [requireTag("a"), requireTag("b")] };
    await metadata.manifests.put(manifestOf("child", parts));
    const children = [
      { digest: digest("child"), size: 5, required: true },
      { digest: digest("absent"), size: 9, required: false },
    ];
    await metadata.manifests.put(manifestOf("index", { children }));
    await metadata.manifests.put(manifestOf("signature", { subject: digest("child"), artifactType: "sig" }));
    const { inventory } = metadata;
    expect(await inventory.manifest(A, digest("child"), 10)).toMatchObject({
      size: 5,
      contentSize: layer.size,
      tags: ["a", "b"],
      children: [],
      parents: [digest("index")],
      referrers: 1,
      blobs: [{ digest: layer.digest, size: layer.size }],
    });
    expect((await inventory.manifest(A, digest("child"), 1))?.tags).toEqual([requireTag("a")]);
    const index = await inventory.manifest(A, digest("index"), 10);
    expect(new Set(index?.children)).toEqual(
      new Set([
        {
          digest: digest("child"),
          size: 5 + layer.size,
          mediaType: manifestOf("", {}).mediaType,
          platform: null,
        },
        { digest: digest("absent"), size: null, mediaType: null, platform: null },
      ]),
    );
    const signature = await inventory.manifest(A, digest("signature"), 10);
    expect(signature).toMatchObject({ subject: digest("child"), artifactType: "sig" });
    expect(await inventory.manifest(A, digest("none"), 10)).toBeNull();
    expect(await inventory.manifest(B, digest("child"), 10)).toBeNull();
  });
}

function testBlob(get: () => MetadataUnderTest): void {
  test("inventory: a blob has the manifests and deletions that keep it, of deleted repositories too", async () => {
    const { metadata } = get();
    const { inventory } = metadata;
    const blob = await putBlob(metadata, A, "layer");
    await metadata.blobs.mount(blob.digest, A, B);
    await metadata.manifests.put(manifestOf("m", { blobs: [ref(blob)] }));
    await metadata.manifests.put(manifestOf("n", { blobs: [ref(blob)] }));
    const deleted = await metadata.manifests.delete(A, digest("n"), DELETE);
    const hidden = await metadata.deletions.deleteRepository(B, DELETE.by);
    expect(await inventory.blob(blob.digest)).toMatchObject({ size: blob.size, quarantinedAt: null });
    expect(await inventory.blob(digest("none"))).toBeNull();
    const all = await inventory.blobLinks(blob.digest, { after: 0, entriesMax: 10, holdersMax: 10 });
    expect(all).toMatchObject([
      {
        repository: A,
        isDeleted: false,
        manifests: [digest("m")],
        deletions: deleted.kind === "deleted" ? [deleted.deletion] : [],
        reviewAt: expect.any(Number),
      },
      { repository: B, isDeleted: true, manifests: [], deletions: [hidden] },
    ]);
    const after = entryOf(all, 0).id;
    const rest = await inventory.blobLinks(blob.digest, { after, entriesMax: 10, holdersMax: 10 });
    expect(rest).toEqual([entryOf(all, 1)]);
  });
}
