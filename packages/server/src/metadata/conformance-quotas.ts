import { describe, expect, test } from "bun:test";
import type { Digest } from "@stowage/oci/digest";
import {
  A,
  B,
  blobOf,
  DELETE,
  digest,
  manifestOf,
  type MetadataUnderTest,
  putBlob,
  ref,
  requireName,
  requireTag,
  startUpload,
  TEST_DURATIONS,
  uploadKey,
} from "./conformance-content.ts";
import type { Metadata, QuotaLimits, QuotaNamespace } from "./metadata.ts";

const TEAM = requireName("team");
const NO_LIMITS: QuotaLimits = { bytes: null, repositories: null, tags: null };
const BY = { name: "somebody", reason: "request" } as const;
const [V1, V2] = [requireTag("v1"), requireTag("v2")] as const;

/** What a metadata store must do to keep namespaces within their quotas. */
export function testQuotas(get: () => MetadataUnderTest): void {
  describe("quotas", () => {
    testNamespaces(() => get().metadata);
    testCounting(get);
    testRefusals(() => get().metadata);
    testUploads(get);
  });
}

async function limit(metadata: Metadata, namespace: QuotaNamespace, limits: Partial<QuotaLimits>) {
  return await metadata.quotas.put(namespace, { ...NO_LIMITS, ...limits }, { quotasMax: 10 });
}

/** What is in use as it is counted all the time, and as counting anew finds it: both must be the same. */
async function used(metadata: Metadata, namespace: QuotaNamespace = TEAM) {
  const counted = await metadata.quotas.find(namespace);
  if (counted === null) throw new Error(`no quota of "${namespace}"`);
  const anew = await metadata.quotas.put(namespace, counted.limits, { quotasMax: 10 });
  expect(anew).toEqual(counted);
  return counted.used;
}

/** The `detail` of the refusal. */
async function refusal(work: Promise<unknown>): Promise<unknown> {
  const error: unknown = await work.then(() => null).catch((caught: unknown) => caught);
  return error instanceof Error && error.name === "QuotaExceeded" && "detail" in error ? error.detail : error;
}

function testNamespaces(get: () => Metadata): void {
  test("a namespace is the repository of its name and what is below it, and nothing whose name only begins alike", async () => {
    const metadata = get();
    const names = ["team", "team/a", "team/a/b", "team2", "team-x", "team.x", "team/a2", "tea"].map(
      requireName,
    );
    for (const namespace of ["", ...names.slice(0, 3)] as const) await limit(metadata, namespace, {});
    for (const name of names) await putBlob(metadata, name, "12345");
    const repositories = async (namespace: QuotaNamespace) => (await used(metadata, namespace)).repositories;
    expect(await repositories("")).toBe(8);
    expect(await repositories(TEAM)).toBe(4);
    expect(await repositories(A)).toBe(2);
    expect(await repositories(requireName("team/a/b"))).toBe(1);
    expect(await used(metadata, "")).toEqual({ bytes: 40, repositories: 8, tags: 0 });
    const applying = await metadata.quotas.applyingTo(requireName("team/a/c"));
    expect(applying.map(({ namespace }) => String(namespace))).toEqual(["", "team", "team/a"]);
  });

  test("quotas are listed by name, changed, deleted, and no more than wanted", async () => {
    const metadata = get();
    const put = (namespace: QuotaNamespace, quotasMax: number) =>
      metadata.quotas.put(namespace, { ...NO_LIMITS, tags: 5 }, { quotasMax });
    for (const namespace of [B, "", A] as const) expect(await put(namespace, 3)).not.toBeNull();
    expect(await put(TEAM, 3)).toBeNull();
    expect(await put(B, 3)).not.toBeNull();
    const list = async (after: QuotaNamespace | null, entriesMax: number) =>
      (await metadata.quotas.list({ after, entriesMax })).map(({ namespace }) => namespace);
    expect(await list(null, 2)).toEqual(["", A]);
    expect(await list("", 10)).toEqual([A, B]);
    expect(await metadata.quotas.delete(A)).toBe(true);
    expect(await metadata.quotas.delete(A)).toBe(false);
    expect(await metadata.quotas.find(A)).toBeNull();
  });
}

async function pushTagged(metadata: Metadata, text: string, repository = A): Promise<Digest> {
  const blob = await putBlob(metadata, repository, `blob of ${text}`);
  const manifest = manifestOf(text, { repository, blobs: [ref(blob)], tags: [requireTag(text)] });
  await metadata.manifests.put(manifest);
  return manifest.digest;
}

function testCounting(get: () => MetadataUnderTest): void {
  /** Lets the collector do all it can, now. */
  async function collect(): Promise<void> {
    const { garbage } = get().metadata;
    for (let round = 0; round < 10; round++) {
      await garbage.expire(100, uploadKey);
      await garbage.expireDeletions(100);
      await garbage.collect(100);
    }
  }

  test("what was there before the quota counts, each repository for itself", async () => {
    const { metadata } = get();
    await pushTagged(metadata, "v1");
    await pushTagged(metadata, "v1", B);
    await limit(metadata, TEAM, {});
    expect(await used(metadata)).toEqual({ bytes: 2 * (10 + 2), repositories: 2, tags: 2 });
  });

  test("a deleted manifest or repository takes up bytes until it is freed, but no tag and no place", async () => {
    const { metadata, advanceClock } = get();
    await limit(metadata, TEAM, {});
    const image = await pushTagged(metadata, "v1");
    await pushTagged(metadata, "v1", B);
    await metadata.manifests.delete(A, image, DELETE);
    expect(await used(metadata)).toEqual({ bytes: 24, repositories: 2, tags: 1 });
    await metadata.deletions.deleteRepository(B, BY);
    expect(await used(metadata)).toEqual({ bytes: 24, repositories: 1, tags: 0 });
    const [deletion] = await metadata.deletions.list({ before: null, entriesMax: 1 });
    await metadata.deletions.undo(deletion?.id ?? 0);
    expect(await used(metadata)).toEqual({ bytes: 24, repositories: 2, tags: 1 });
    await metadata.deletions.deleteRepository(B, BY);
    advanceClock(TEST_DURATIONS.leaseMs + TEST_DURATIONS.undoMs);
    await collect();
    expect(await used(metadata)).toEqual({ bytes: 0, repositories: 1, tags: 0 });
  });

  test("a deletion of a repository that is gone is not counted for the next one", async () => {
    const { metadata, advanceClock } = get();
    await limit(metadata, TEAM, {});
    const image = await pushTagged(metadata, "v1");
    await metadata.manifests.delete(A, image, DELETE);
    const deletion = await metadata.deletions.deleteRepository(A, BY);
    await metadata.deletions.purge(deletion);
    await collect();
    expect(await used(metadata)).toEqual({ bytes: 0, repositories: 0, tags: 0 });
    // Its row may get the number of the one that is gone.
    await pushTagged(metadata, "v2", B);
    advanceClock(TEST_DURATIONS.undoMs);
    await collect();
    expect(await used(metadata)).toEqual({ bytes: 12, repositories: 1, tags: 1 });
  });
}

function testRefusals(get: () => Metadata): void {
  test("what would pass a quota has no effect, and says which, its limit and its use", async () => {
    const metadata = get();
    await putBlob(metadata, A, "12345");
    await limit(metadata, TEAM, { bytes: 8 });
    await limit(metadata, B, { bytes: 5, repositories: 0 });
    const manifest = manifestOf("1234", { tags: [V1] });
    const excess = { namespace: TEAM, resource: "bytes", limit: 8, used: 5 };
    expect(await refusal(metadata.manifests.put(manifest))).toEqual(excess);
    expect(await metadata.manifests.find(A, { kind: "tag", tag: V1 })).toBeNull();
    const intoB = metadata.blobs.mount(digest("12345"), A, B);
    expect(await refusal(intoB)).toEqual({ ...excess, used: 5 });
    expect(await metadata.blobs.find(B, digest("12345"))).toBeNull();
    expect(await refusal(metadata.inventory.createRepository(B))).toMatchObject({ resource: "repositories" });
    expect(await used(metadata)).toEqual({ bytes: 5, repositories: 1, tags: 0 });
  });

  test("what is there already may be pushed, tagged, mounted and deleted however much is in use", async () => {
    const metadata = get();
    const image = await pushTagged(metadata, "v1");
    await limit(metadata, "", { bytes: 0, repositories: 0, tags: 0 });
    expect(await pushTagged(metadata, "v1")).toBe(image);
    const set = { tag: V1, digest: image, immutable: false, pushedBy: null };
    expect(await metadata.manifests.setTag(A, set)).toEqual({ kind: "set" });
    expect(await metadata.blobs.mount(digest("blob of v1"), A, A)).not.toBeNull();
    expect(await refusal(metadata.manifests.setTag(A, { ...set, tag: V2 }))).toMatchObject({
      resource: "tags",
    });
    expect((await metadata.manifests.delete(A, image, DELETE)).kind).toBe("deleted");
  });

  test("an undo that does not fit any more restores nothing, and can be tried again", async () => {
    const metadata = get();
    await pushTagged(metadata, "v1");
    const tag = await metadata.manifests.deleteTag(A, V1, BY);
    const repository = await metadata.deletions.deleteRepository(A, BY);
    await limit(metadata, TEAM, { repositories: 1, tags: 1 });
    await pushTagged(metadata, "v2", B);
    const undo = (id: number | null) => metadata.deletions.undo(id ?? 0);
    expect(await refusal(undo(repository))).toMatchObject({ resource: "repositories", used: 1 });
    await limit(metadata, TEAM, { tags: 1 });
    expect(await undo(repository)).toMatchObject({ kind: "undone" });
    expect(await refusal(undo(tag))).toMatchObject({ resource: "tags", used: 1 });
    expect(await used(metadata)).toMatchObject({ repositories: 2, tags: 1 });
    await limit(metadata, TEAM, { tags: 2 });
    expect(await undo(tag)).toMatchObject({ kind: "undone" });
  });
}

function testUploads(get: () => MetadataUnderTest): void {
  test("an open upload is charged for its bytes, a finished one as its blob, one that ended not at all", async () => {
    const { metadata, advanceClock } = get();
    await limit(metadata, TEAM, {});
    const [id, cancelled, forgotten] = [
      await startUpload(metadata),
      await startUpload(metadata),
      await startUpload(metadata),
    ] as const;
    for (const upload of [id, cancelled, forgotten]) {
      await metadata.uploads.advance(upload, { from: 0, to: 3, digestSoFar: digest("abc") });
    }
    expect(await used(metadata)).toMatchObject({ bytes: 9, repositories: 0 });
    const blob = blobOf("abcde", id);
    await metadata.uploads.prepareFinish(id, blob, uploadKey(id));
    expect(await metadata.uploads.find(id)).toMatchObject({ offset: 3, charged: 5 });
    expect(await used(metadata)).toMatchObject({ bytes: 11 });
    for (let attempt = 0; attempt < 2; attempt++) await metadata.uploads.finish(id, blob);
    expect(await used(metadata)).toMatchObject({ bytes: 11, repositories: 1 });
    await metadata.uploads.cancel(cancelled, uploadKey(cancelled));
    expect(await used(metadata)).toMatchObject({ bytes: 8 });
    advanceClock(TEST_DURATIONS.uploadAgeMsMax);
    await metadata.garbage.expire(10, uploadKey);
    expect(await used(metadata)).toMatchObject({ bytes: 5 });
  });

  test("of uploads that advance together as many go on as there is room for", async () => {
    const { metadata } = get();
    await limit(metadata, TEAM, { bytes: 10 });
    const ids = await Promise.all(Array.from({ length: 8 }, () => startUpload(metadata)));
    const progress = { from: 0, to: 3, digestSoFar: digest("abc") };
    const outcomes = await Promise.allSettled(ids.map((id) => metadata.uploads.advance(id, progress)));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(3);
    expect(await used(metadata)).toMatchObject({ bytes: 9 });
  });

  test("an upload whose bytes were all let in is finished also when the limit was lowered since", async () => {
    const { metadata } = get();
    const id = await startUpload(metadata);
    await limit(metadata, TEAM, { bytes: 3 });
    await metadata.uploads.advance(id, { from: 0, to: 3, digestSoFar: digest("abc") });
    await limit(metadata, TEAM, { bytes: 1 });
    const blob = blobOf("abc", id);
    expect(await metadata.uploads.prepareFinish(id, blob, uploadKey(id))).toBe("proceed");
    expect(await metadata.uploads.finish(id, blob)).toBe("finished");
    const again = await startUpload(metadata, B);
    expect(
      await refusal(metadata.uploads.prepareFinish(again, blobOf("abc", again), uploadKey(again))),
    ).toEqual({
      namespace: TEAM,
      resource: "bytes",
      limit: 1,
      used: 3,
    });
    expect(await metadata.uploads.find(again)).toMatchObject({ finished: null, charged: 0 });
  });
}
