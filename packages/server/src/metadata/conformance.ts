import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  A,
  ALL_REFERRERS,
  B,
  blobOf,
  DELETE,
  digest,
  dueKeys,
  entryOf,
  EVERYTHING,
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
import { testAccounts } from "./conformance-accounts.ts";
import { testAudit } from "./conformance-audit.ts";
import { testGarbage } from "./conformance-garbage.ts";
import { testInventory } from "./conformance-inventory.ts";
import { testQuotas } from "./conformance-quotas.ts";
import { testRetention } from "./conformance-retention.ts";
import { testScrub } from "./conformance-scrub.ts";
import type { Metadata } from "./metadata.ts";

/** What every metadata store must do. */
export function testMetadata(name: string, open: () => Promise<MetadataUnderTest>): void {
  describe(`metadata: ${name}`, () => {
    let subject: MetadataUnderTest;
    let metadata: Metadata;
    beforeEach(async () => {
      subject = await open();
      metadata = subject.metadata;
    });
    afterEach(async () => {
      await subject[Symbol.asyncDispose]();
    });

    testUploads(() => subject);
    testBlobs(() => metadata);
    testManifests(() => metadata);
    testListings(() => metadata);
    testGarbage(() => subject);
    testInventory(() => subject);
    testRetention(() => subject);
    testQuotas(() => subject);
    testScrub(() => subject);
    testAccounts(() => subject);
    testAudit(() => subject);
  });
}

function testUploads(get: () => MetadataUnderTest): void {
  test("an upload advances by compare-and-set: of two writers one wins", async () => {
    const { uploads } = get().metadata;
    const id = await startUpload(get().metadata);
    const progress = { from: 0, to: 3, digestSoFar: digest("abc") };
    const results = await Promise.all([uploads.advance(id, progress), uploads.advance(id, progress)]);
    expect(results.toSorted()).toEqual([false, true]);
    expect(await uploads.find(id)).toMatchObject({ offset: 3, digestSoFar: digest("abc"), finished: null });
  });

  test("finishing an upload makes a blob, links it and remembers the session for a while", async () => {
    const { metadata, advanceClock } = get();
    const id = await startUpload(metadata);
    const blob = blobOf("abc", id);
    expect(await metadata.uploads.prepareFinish(id, blob, uploadKey(id))).toBe("proceed");
    expect(await metadata.blobs.find(A, blob.digest)).toBeNull();
    expect(await metadata.uploads.finish(id, blob)).toBe("finished");
    expect(await metadata.blobs.find(A, blob.digest)).toEqual(blob);
    expect(await metadata.blobs.find(B, blob.digest)).toBeNull();
    expect(await metadata.uploads.find(id)).toMatchObject({ finished: blob.digest });
    expect(await metadata.uploads.finish(id, blob)).toBe("finished");
    expect(await metadata.uploads.finish(id, blobOf("other", id))).toBe("gone");
    advanceClock(TEST_DURATIONS.finishedUploadMs);
    expect(await metadata.uploads.find(id)).toBeNull();
  });

  test("an upload of a blob that the registry has leaves its own bytes to garbage", async () => {
    const { metadata } = get();
    const first = await putBlob(metadata, A, "abc");
    const id = await startUpload(metadata, B);
    expect(await metadata.uploads.prepareFinish(id, blobOf("abc", id), uploadKey(id))).toBe("exists");
    expect(await metadata.blobs.find(B, first.digest)).toEqual(first);
    expect(await dueKeys(metadata)).toEqual([uploadKey(id)]);
  });

  test("of two uploads of one digest that finish at once one becomes the blob, the other garbage", async () => {
    const { metadata } = get();
    const ids = await Promise.all([startUpload(metadata, A), startUpload(metadata, B)]);
    const blobs = ids.map((id) => blobOf("abc", id));
    for (const [at, id] of ids.entries()) {
      expect(await metadata.uploads.prepareFinish(id, entryOf(blobs, at), uploadKey(id))).toBe("proceed");
    }
    const results = await Promise.all(ids.map((id, at) => metadata.uploads.finish(id, entryOf(blobs, at))));
    expect(results).toEqual(["finished", "finished"]);
    const kept = await metadata.blobs.find(A, digest("abc"));
    expect(await metadata.blobs.find(B, digest("abc"))).toEqual(kept);
    const dropped = blobs.filter((blob) => blob.storageKey !== kept?.storageKey);
    expect(await dueKeys(metadata)).toEqual(dropped.map((blob) => blob.storageKey));
  });

  test("a cancelled upload cannot be finished, and its object is garbage", async () => {
    const { metadata } = get();
    const id = await startUpload(metadata);
    const blob = blobOf("abc", id);
    await metadata.uploads.prepareFinish(id, blob, uploadKey(id));
    expect(await metadata.uploads.cancel(id, uploadKey(id))).toBe(true);
    expect(await metadata.uploads.cancel(id, uploadKey(id))).toBe(false);
    expect(await metadata.uploads.finish(id, blob)).toBe("gone");
    expect(await metadata.blobs.find(A, blob.digest)).toBeNull();
    expect(new Set(await dueKeys(metadata))).toEqual(new Set([uploadKey(id), blob.storageKey]));
  });

  test("an upload whose intent has expired cannot become a blob: its object may be deleted already", async () => {
    const { metadata, advanceClock } = get();
    const id = await startUpload(metadata);
    const blob = blobOf("abc", id);
    await metadata.uploads.prepareFinish(id, blob, uploadKey(id));
    advanceClock(TEST_DURATIONS.intentMs);
    expect(await metadata.garbage.expire(10, uploadKey)).toBe(1);
    expect(await metadata.uploads.finish(id, blob)).toBe("gone");
    expect(new Set(await dueKeys(metadata))).toEqual(new Set([blob.storageKey, uploadKey(id)]));
    // Nor can a later attempt: its key might be deleted by a reaper that is still at it.
    await metadata.garbage.forget([blob.storageKey]);
    expect(await metadata.uploads.find(id)).toBeNull();
    expect(await metadata.uploads.prepareFinish(id, blob, uploadKey(id))).toBe("gone");
  });

  test("an abandoned upload expires, one that is touched does not", async () => {
    const { metadata, advanceClock } = get();
    const [abandoned, slow] = [await startUpload(metadata), await startUpload(metadata)];
    advanceClock(TEST_DURATIONS.uploadAgeMsMax - 1);
    await metadata.uploads.touch(slow);
    advanceClock(1);
    expect(await metadata.uploads.find(abandoned)).toBeNull();
    expect(await metadata.uploads.advance(abandoned, { from: 0, to: 1, digestSoFar: digest("a") })).toBe(
      false,
    );
    expect(await metadata.garbage.expire(10, uploadKey)).toBe(1);
    expect(await metadata.uploads.find(slow)).not.toBeNull();
    expect(await dueKeys(metadata)).toEqual([uploadKey(abandoned)]);
  });
}

function testBlobs(get: () => Metadata): void {
  test("a mount links the blob, and only from a repository that has it", async () => {
    const blob = await putBlob(get(), A, "abc");
    expect(await get().blobs.mount(blob.digest, B, A)).toBeNull();
    expect(await get().blobs.mount(blob.digest, A, B)).toEqual(blob);
    expect(await get().blobs.find(B, blob.digest)).toEqual(blob);
    expect(await get().blobs.repositoriesWith(blob.digest, 10)).toEqual([A, B]);
    expect(await get().blobs.repositoriesWith(blob.digest, 1)).toEqual([A]);
  });

  test("unlinking a blob leaves other repositories alone", async () => {
    const { digest: abc } = await putBlob(get(), A, "abc");
    await get().blobs.mount(abc, A, B);
    expect(await get().blobs.unlink(A, abc)).toBe("deleted");
    expect(await get().blobs.unlink(A, abc)).toBe("absent");
    expect(await get().blobs.find(A, abc)).toBeNull();
    expect(await get().blobs.findForPush(B, abc)).not.toBeNull();
  });

  test("a blob that a manifest needs cannot be unlinked before the manifest is deleted", async () => {
    const blob = await putBlob(get(), A, "abc");
    const image = manifestOf("image", { blobs: [ref(blob)] });
    expect(await get().manifests.put(image)).toEqual({ kind: "stored" });
    expect(await get().blobs.unlink(A, blob.digest)).toBe("in-use");
    expect(await get().manifests.delete(A, image.digest, DELETE)).toMatchObject({ kind: "deleted" });
    expect(await get().blobs.unlink(A, blob.digest)).toBe("deleted");
  });
}

function testManifests(get: () => Metadata): void {
  test("a manifest with unknown content stores nothing", async () => {
    const blob = await putBlob(get(), B, "abc");
    const image = manifestOf("image", { blobs: [ref(blob)], tags: [requireTag("v1")] });
    expect(await get().manifests.put(image)).toEqual({ kind: "unknown", missing: [blob.digest] });
    expect(await get().manifests.find(A, { kind: "digest", digest: image.digest })).toBeNull();
    expect(await get().manifests.listTags(A, EVERYTHING)).toBeNull();
  });

  test("a manifest that does not say sizes has those of its blobs", async () => {
    const metadata = get();
    const [one, other] = [await putBlob(metadata, A, "one"), await putBlob(metadata, A, "other")];
    const blobs = [one, other].map(({ digest: wanted }) => ({ digest: wanted, size: null, required: true }));
    const missing = { digest: digest("missing"), size: null, required: true };
    const image = manifestOf("image", { blobs: [...blobs, missing], contentSize: null });
    expect(await metadata.manifests.put(image)).toEqual({ kind: "unknown", missing: [missing.digest] });
    expect(await metadata.manifests.put({ ...image, blobs })).toEqual({ kind: "stored" });
    expect(await metadata.inventory.repository(A)).toMatchObject({
      logicalBytes: image.bytes.byteLength + one.size + other.size,
    });
  });

  test("a manifest whose content has another size stores nothing", async () => {
    const blob = await putBlob(get(), A, "abc");
    const image = manifestOf("image", { blobs: [{ ...ref(blob), size: 4 }] });
    expect(await get().manifests.put(image)).toEqual({
      kind: "size-differs",
      digest: blob.digest,
      stored: 3,
    });
    expect(await get().manifests.find(A, { kind: "digest", digest: image.digest })).toBeNull();
  });

  test("content that is not required is kept from the moment it comes", async () => {
    const image = manifestOf("sparse", { blobs: [{ digest: digest("later"), size: 5, required: false }] });
    expect(await get().manifests.put(image)).toEqual({ kind: "stored" });
    await putBlob(get(), A, "later");
    expect(await get().blobs.unlink(A, digest("later"))).toBe("in-use");
  });

  test("a manifest is found by digest and tag with its bytes, and a tag moves", async () => {
    const tag = requireTag("v1");
    const [one, two] = [manifestOf("one", { tags: [tag] }), manifestOf("two", { tags: [tag] })];
    await get().manifests.put(one);
    expect(await get().manifests.find(A, { kind: "tag", tag })).toMatchObject({ digest: one.digest });
    await get().manifests.put(two);
    const found = await get().manifests.find(A, { kind: "tag", tag });
    expect(found).toMatchObject({ digest: two.digest, mediaType: two.mediaType });
    expect(Buffer.from(found?.bytes ?? []).toString()).toBe("two");
    expect(await get().manifests.find(A, { kind: "digest", digest: one.digest })).not.toBeNull();
    expect(await get().manifests.find(B, { kind: "tag", tag })).toBeNull();
  });

  test("deleting a manifest deletes its tags, deleting a tag leaves the manifest", async () => {
    const [v1, v2] = [requireTag("v1"), requireTag("v2")];
    const image = manifestOf("image", { tags: [v1, v2] });
    await get().manifests.put(image);
    expect(await get().manifests.deleteTag(A, v1, DELETE.by)).not.toBeNull();
    expect(await get().manifests.deleteTag(A, v1, DELETE.by)).toBeNull();
    expect(await get().manifests.find(A, { kind: "tag", tag: v2 })).not.toBeNull();
    expect(await get().manifests.delete(A, image.digest, DELETE)).toMatchObject({ kind: "deleted" });
    expect(await get().manifests.delete(A, image.digest, DELETE)).toMatchObject({ kind: "absent" });
    expect(await get().manifests.listTags(A, EVERYTHING)).toEqual([]);
  });

  test("a manifest that an index lists is deleted after the index", async () => {
    const child = manifestOf("child", {});
    const required = { digest: child.digest, size: 5, required: true };
    const index = manifestOf("index", { children: [required] });
    expect(await get().manifests.put(index)).toEqual({ kind: "unknown", missing: [child.digest] });
    await get().manifests.put(child);
    expect(await get().manifests.put(index)).toEqual({ kind: "stored" });
    expect(await get().manifests.delete(A, child.digest, DELETE)).toMatchObject({ kind: "in-use" });
    expect(await get().manifests.delete(A, index.digest, DELETE)).toMatchObject({ kind: "deleted" });
    expect(await get().manifests.delete(A, child.digest, DELETE)).toMatchObject({ kind: "deleted" });
  });

  test("an index may list a blob, which it then keeps", async () => {
    const blob = await putBlob(get(), A, "cache layer");
    expect(await get().manifests.put(manifestOf("index", { children: [ref(blob)] }))).toEqual({
      kind: "stored",
    });
    expect(await get().blobs.unlink(A, blob.digest)).toBe("in-use");
  });

  test("putting one manifest from many sides at once stores it once with every tag", async () => {
    const blob = await putBlob(get(), A, "abc");
    const tags = Array.from({ length: 20 }, (_, at) => requireTag(`t${String(at).padStart(2, "0")}`));
    const results = await Promise.all(
      tags.map((tag) => get().manifests.put(manifestOf("image", { blobs: [ref(blob)], tags: [tag] }))),
    );
    expect(results.every((result) => result.kind === "stored")).toBe(true);
    expect(await get().manifests.listTags(A, EVERYTHING)).toEqual(tags);
  });
}

function testListings(get: () => Metadata): void {
  test("tags and repositories are listed in byte order, after a name that need not exist", async () => {
    const tags = ["B", "a", "_x", "a-1", "a.1", "10", "9"].map(requireTag);
    for (const name of ["z", "a/b", "a-b", "a"]) {
      await get().manifests.put(manifestOf("image", { tags, repository: requireName(name) }));
    }
    expect(await get().manifests.listTags(requireName("a"), EVERYTHING)).toEqual(tags.toSorted());
    expect(await get().manifests.listTags(requireName("a"), { entriesMax: 2, after: "A" })).toEqual(
      tags
        .toSorted()
        .filter((tag) => tag > "A")
        .slice(0, 2),
    );
    expect(await get().manifests.listRepositories(EVERYTHING)).toEqual(
      ["a", "a-b", "a/b", "z"].map(requireName),
    );
    expect(await get().manifests.listRepositories({ entriesMax: 1, after: "a-" })).toEqual([
      requireName("a-b"),
    ]);
  });

  test("a repository without manifests is not listed", async () => {
    await putBlob(get(), A, "abc");
    expect(await get().manifests.listRepositories(EVERYTHING)).toEqual([]);
    expect(await get().manifests.listTags(A, EVERYTHING)).toEqual([]);
    expect(await get().manifests.listTags(B, EVERYTHING)).toBeNull();
  });

  test("referrers are the manifests with the subject, by digest, filtered by artifact type", async () => {
    const subject = digest("subject");
    const types = ["sbom/a", "sbom/b", "sbom/a"];
    const manifests = types.map((artifactType, at) =>
      manifestOf(`referrer ${at}`, { subject, artifactType, annotations: { at: String(at) } }),
    );
    for (const manifest of manifests) await get().manifests.put(manifest);
    const found = await get().manifests.listReferrers(A, subject, ALL_REFERRERS);
    expect(found.map((entry) => entry.digest)).toEqual(manifests.map((entry) => entry.digest).toSorted());
    expect(found.find((entry) => entry.digest === manifests[1]?.digest)).toMatchObject({
      artifactType: "sbom/b",
      annotations: { at: "1" },
      size: 10,
    });
    const filtered = await get().manifests.listReferrers(A, subject, {
      ...ALL_REFERRERS,
      artifactType: "sbom/a",
    });
    expect(filtered).toHaveLength(2);
    const after = found[0]?.digest ?? "";
    expect(await get().manifests.listReferrers(A, subject, { ...ALL_REFERRERS, after })).toEqual(
      found.slice(1),
    );
    expect(await get().manifests.listReferrers(B, subject, ALL_REFERRERS)).toEqual([]);
  });
}
