import { expect, test } from "bun:test";
import type { Digest } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import { randomUploadId, type UploadId } from "@stowage/oci/upload-id";
import {
  A,
  B,
  blobOf,
  DELETE,
  digest,
  dueKeys,
  EVERYTHING,
  manifestOf,
  type MetadataUnderTest,
  putBlob,
  ref,
  requireTag,
  startUpload,
  TEST_DURATIONS,
  uploadKey,
} from "./conformance-content.ts";
import type { BlobRecord, ListedObject, Metadata, NewManifest } from "./metadata.ts";

const { leaseMs, undoMs, tombstoneGraceMs } = TEST_DURATIONS;

/** Long enough for every lease, undo time and grace of the tests to have passed, one after the other. */
const LATER_MS = 10 * (leaseMs + undoMs + tombstoneGraceMs);

/** What every metadata store must do about what nobody needs. */
export function testGarbage(get: () => MetadataUnderTest): void {
  testLeases(get);
  testManifestsHold(get);
  testDeletions(get);
  testUntagged(get);
}

function testLeases(get: () => MetadataUnderTest): void {
  test("an unreferenced blob is kept for its lease and collected after it", async () => {
    const { metadata, advanceClock } = get();
    const blob = await putBlob(metadata, A, "abc");
    advanceClock(leaseMs - 1);
    expect(await metadata.garbage.collect(10)).toMatchObject({ reviewed: 0 });
    expect(await metadata.blobs.find(A, blob.digest)).toEqual(blob);
    advanceClock(1);
    expect(await metadata.garbage.collect(10)).toEqual({ reviewed: 1, unlinked: 1, blobs: 1, bytes: 3 });
    expect(await metadata.blobs.find(A, blob.digest)).toBeNull();
    expect(await dueKeys(metadata)).toEqual([]);
    advanceClock(tombstoneGraceMs);
    expect(await metadata.garbage.due(10)).toEqual([{ key: blob.storageKey, size: 3 }]);
  });

  test("a positive answer to a pusher renews the lease when less than half of it is left", async () => {
    const { metadata, advanceClock } = get();
    const { digest: abc } = await putBlob(metadata, A, "abc");
    for (let time = 0; time < 5; time++) {
      advanceClock(leaseMs / 2 + 1);
      expect(await metadata.blobs.findForPush(A, abc)).not.toBeNull();
      expect(await metadata.garbage.collect(10)).toMatchObject({ unlinked: 0 });
    }
    advanceClock(leaseMs);
    expect(await metadata.garbage.collect(10)).toMatchObject({ unlinked: 1 });
    expect(await metadata.blobs.findForPush(A, abc)).toBeNull();
  });

  test("a lease counts in its repository: a mount leases the target and not the source", async () => {
    const { metadata, advanceClock } = get();
    const { digest: abc } = await putBlob(metadata, A, "abc");
    advanceClock(leaseMs - 1);
    await metadata.blobs.mount(abc, A, B);
    advanceClock(1);
    expect(await metadata.garbage.collect(10)).toEqual({ reviewed: 1, unlinked: 1, blobs: 0, bytes: 0 });
    expect(await metadata.blobs.find(A, abc)).toBeNull();
    expect(await metadata.blobs.find(B, abc)).not.toBeNull();
  });

  test("a collected digest can be pushed again at once, and its old object is still deleted", async () => {
    const { metadata, advanceClock } = get();
    const before = await putBlob(metadata, A, "abc");
    advanceClock(leaseMs);
    await metadata.garbage.collect(10);
    const after = await putBlob(metadata, A, "abc");
    expect(after.storageKey).not.toBe(before.storageKey);
    advanceClock(tombstoneGraceMs);
    expect(await dueKeys(metadata)).toEqual([before.storageKey]);
    expect(await metadata.blobs.find(A, after.digest)).toEqual(after);
  });

  test("a batch is never larger than asked, and batches together get everything", async () => {
    const { metadata, advanceClock } = get();
    for (let at = 0; at < 25; at++) await putBlob(metadata, A, `blob ${at}`);
    advanceClock(leaseMs);
    const steps = [];
    for (let at = 0; at < 4; at++) steps.push((await metadata.garbage.collect(10)).unlinked);
    expect(steps).toEqual([10, 10, 5, 0]);
  });

  test("several collectors at once collect everything once", async () => {
    const { metadata, advanceClock } = get();
    for (let at = 0; at < 40; at++) await putBlob(metadata, A, `blob ${at}`);
    advanceClock(leaseMs);
    const steps = await Promise.all(Array.from({ length: 8 }, () => metadata.garbage.collect(10)));
    expect(steps.reduce((sum, step) => sum + step.blobs, 0)).toBe(40);
  });

  test("nothing is due for deletion while somebody holds the objects", async () => {
    const { metadata, advanceClock } = get();
    await putBlob(metadata, A, "abc");
    advanceClock(leaseMs);
    await metadata.garbage.collect(10);
    await metadata.garbage.hold("backup", 1_000);
    advanceClock(tombstoneGraceMs);
    expect(await dueKeys(metadata)).toEqual([]);
    expect(await metadata.garbage.preview()).toMatchObject({
      tombstoned: { objects: 1, bytes: 3 },
      holds: 1,
    });
    await metadata.garbage.release("backup");
    expect(await dueKeys(metadata)).toHaveLength(1);
    await metadata.garbage.hold("backup", 1_000);
    advanceClock(1_000);
    expect(await dueKeys(metadata)).toHaveLength(1);
  });

  test("an object is an orphan unless a blob, session, intent or tombstone leads to it", async () => {
    const { metadata, advanceClock } = get();
    const open = await startUpload(metadata);
    const [planned, lost] = [await startUpload(metadata), randomUploadId()];
    await metadata.uploads.prepareFinish(planned, blobOf("planned", planned), uploadKey(planned));
    const blob = await putBlob(metadata, A, "abc");
    const older = blobOf("abc", lost);
    const listed = [listedUpload(open), listedUpload(lost), listedBlob(blob), listedBlob(older)];
    const all = [...listed, listedBlob(blobOf("planned", planned))];
    const orphans = [listedUpload(lost), listedBlob(older)];
    expect(await metadata.garbage.findOrphans(all)).toEqual(orphans);
    expect(await metadata.garbage.adopt(all)).toBe(2);
    expect(await metadata.garbage.findOrphans(all)).toEqual([]);
    expect(new Set(await dueKeys(metadata))).toEqual(new Set(orphans.map(({ key }) => key)));
    await metadata.garbage.forget([older.storageKey]);
    advanceClock(leaseMs);
    await metadata.garbage.collect(10);
    expect(await metadata.garbage.findOrphans([listedBlob(blob)])).toEqual([]);
  });

  test("a preview says what a collection would let go of and changes nothing", async () => {
    const { metadata, advanceClock } = get();
    const [kept] = [await putBlob(metadata, A, "kept"), await putBlob(metadata, A, "garbage")];
    await metadata.manifests.put(manifestOf("image", { blobs: [ref(kept)] }));
    expect(await metadata.garbage.preview()).toMatchObject({ collectable: { blobs: 0, bytes: 0 } });
    advanceClock(leaseMs);
    const preview = await metadata.garbage.preview();
    expect(preview.collectable).toEqual({ blobs: 1, bytes: 7 });
    expect(await metadata.garbage.preview()).toEqual(preview);
    expect(await metadata.garbage.collect(10)).toMatchObject({ blobs: 1, bytes: 7 });
  });
}

function testManifestsHold(get: () => MetadataUnderTest): void {
  test("what a manifest needs is kept after its lease, and looked at again when the manifest goes", async () => {
    const { metadata, advanceClock } = get();
    const { image, blob } = await putImage(metadata, "image");
    advanceClock(LATER_MS);
    expect(await metadata.garbage.collect(10)).toMatchObject({ reviewed: 1, unlinked: 0 });
    expect(await metadata.garbage.collect(10)).toMatchObject({ reviewed: 0 });
    await metadata.manifests.delete(A, image.digest, DELETE);
    expect(await metadata.garbage.collect(10)).toMatchObject({ unlinked: 0 });
    advanceClock(undoMs);
    await collectAll(metadata);
    expect(await metadata.blobs.find(A, blob.digest)).toBeNull();
  });

  test("of two manifests with one blob the last one lets it go", async () => {
    const { metadata, advanceClock } = get();
    const { image, blob } = await putImage(metadata, "one");
    const other = manifestOf("two", { blobs: [ref(blob)] });
    await metadata.manifests.put(other);
    for (const gone of [image, other]) {
      expect(await metadata.blobs.find(A, blob.digest)).not.toBeNull();
      await metadata.manifests.delete(A, gone.digest, DELETE);
      advanceClock(LATER_MS);
      await collectAll(metadata);
    }
    expect(await metadata.blobs.find(A, blob.digest)).toBeNull();
  });

  test("a pusher who was told that a held blob is there finds it there after the manifest is gone", async () => {
    const { metadata, advanceClock } = get();
    const { image, blob } = await putImage(metadata, "image");
    advanceClock(LATER_MS);
    await collectAll(metadata);
    expect(await metadata.blobs.findForPush(A, blob.digest)).not.toBeNull();
    await metadata.manifests.delete(A, image.digest, DELETE);
    await metadata.deletions.purge(null);
    advanceClock(leaseMs - 1);
    await collectAll(metadata);
    expect(await metadata.manifests.put(manifestOf("next", { blobs: [ref(blob)] }))).toEqual({
      kind: "stored",
    });
  });
}

function testDeletions(get: () => MetadataUnderTest): void {
  test("a deleted manifest comes back with its tags, unless they point somewhere else by now", async () => {
    const { metadata, advanceClock } = get();
    const [v1, v2] = [requireTag("v1"), requireTag("v2")];
    const { image } = await putImage(metadata, "image", [v1, v2]);
    const found = await metadata.manifests.find(A, { kind: "tag", tag: v1 });
    const deletion = await deleteManifest(metadata, image.digest);
    expect(await metadata.deletions.find(deletion)).toMatchObject({
      kind: "manifest",
      repository: A,
      manifests: [image.digest],
      tags: [v1, v2],
      deletedBy: "somebody",
    });
    const other = manifestOf("other", { tags: [v2] });
    await metadata.manifests.put(other);
    advanceClock(undoMs - 1);
    await collectAll(metadata);
    expect(await metadata.deletions.undo(deletion)).toEqual({ kind: "undone", skipped: [v2] });
    expect(await metadata.manifests.find(A, { kind: "tag", tag: v1 })).toEqual(found);
    expect(await metadata.manifests.find(A, { kind: "tag", tag: v2 })).toMatchObject({
      digest: other.digest,
    });
    expect(await metadata.deletions.undo(deletion)).toEqual({ kind: "absent" });
    advanceClock(LATER_MS);
    await collectAll(metadata);
    expect(await metadata.blobs.find(A, digest("layer of image"))).not.toBeNull();
  });

  test("a deletion cannot be undone after its time, nor after it was purged", async () => {
    const { metadata, advanceClock } = get();
    const [one, two] = [await putImage(metadata, "one"), await putImage(metadata, "two")];
    const late = await deleteManifest(metadata, one.image.digest);
    advanceClock(undoMs);
    expect(await metadata.deletions.undo(late)).toEqual({ kind: "absent" });
    const purged = await deleteManifest(metadata, two.image.digest);
    expect(await metadata.deletions.purge(purged)).toBe(1);
    expect(await metadata.deletions.undo(purged)).toEqual({ kind: "absent" });
    expect(await metadata.deletions.list({ before: null, entriesMax: 10 })).toEqual([]);
  });

  test("content that was deleted in its own right keeps the deletion from being undone", async () => {
    const { metadata } = get();
    const { image, blob } = await putImage(metadata, "image", [requireTag("v1")]);
    const deletion = await deleteManifest(metadata, image.digest);
    expect(await metadata.blobs.unlink(A, blob.digest)).toBe("deleted");
    expect(await metadata.deletions.undo(deletion)).toEqual({ kind: "content-gone", digest: blob.digest });
    expect(await metadata.manifests.find(A, { kind: "digest", digest: image.digest })).toBeNull();
    expect(await metadata.manifests.listTags(A, EVERYTHING)).toEqual([]);
  });

  test("a deleted tag comes back", async () => {
    const { metadata } = get();
    const v1 = requireTag("v1");
    const { image } = await putImage(metadata, "image", [v1]);
    const deletion = await metadata.manifests.deleteTag(A, v1, DELETE.by);
    expect(deletion).not.toBeNull();
    expect(await metadata.deletions.undo(deletion ?? 0)).toEqual({ kind: "undone", skipped: [] });
    expect(await metadata.manifests.find(A, { kind: "tag", tag: v1 })).toMatchObject({
      digest: image.digest,
    });
  });

  test("an index goes with the parts that nothing else holds, as the preview said, and comes back with them", async () => {
    const { metadata } = get();
    const { index, own, shared, tagged } = await putIndex(metadata);
    const preview = await metadata.manifests.previewDelete(A, index.digest, { withParts: true });
    expect(preview).toMatchObject({
      manifests: [index.digest, own.image.digest],
      tags: [requireTag("index")],
    });
    expect(preview).toMatchObject({ blobs: 1, bytes: size(index) + size(own.image) + own.blob.size });
    const result = await metadata.manifests.delete(A, index.digest, { ...DELETE, withParts: true });
    if (result.kind !== "deleted") throw new Error(result.kind);
    const isThere = async ({ digest: of }: NewManifest) =>
      (await metadata.manifests.find(A, { kind: "digest", digest: of })) !== null;
    const all = [index, own.image, shared.image, tagged.image];
    expect(await Promise.all(all.map(isThere))).toEqual([false, false, true, true]);
    expect(await metadata.deletions.undo(result.deletion)).toEqual({ kind: "undone", skipped: [] });
    expect(await Promise.all(all.map(isThere))).toEqual([true, true, true, true]);
    expect(await metadata.manifests.delete(A, own.image.digest, DELETE)).toEqual({ kind: "in-use" });
  });

  test("an immutable tag neither moves nor goes", async () => {
    const { metadata } = get();
    const tag = requireTag("v1");
    const { image } = await putImage(metadata, "image", [tag]);
    const fixed = { ...manifestOf("other", {}), tags: [{ tag, immutable: true }] };
    const { digest: wanted } = image;
    expect(await metadata.manifests.put(fixed)).toEqual({ kind: "immutable", tag, digest: wanted });
    expect(await metadata.manifests.find(A, { kind: "digest", digest: fixed.digest })).toBeNull();
    const again = { ...image, tags: [{ tag, immutable: true }] };
    expect(await metadata.manifests.put(again)).toEqual({ kind: "stored" });
    const options = { ...DELETE, isImmutable: () => true };
    expect(await metadata.manifests.delete(A, wanted, options)).toEqual({ kind: "immutable", tag });
  });

  test("a deleted repository is gone at once, comes back whole, and is taken apart after its time", async () => {
    const { metadata, advanceClock } = get();
    const { image, blob } = await putImage(metadata, "image", [requireTag("v1")]);
    await metadata.blobs.mount(blob.digest, A, B);
    const deletion = await deleteRepository(metadata, A);
    expect(await metadata.manifests.listTags(A, EVERYTHING)).toBeNull();
    expect(await metadata.manifests.listRepositories(EVERYTHING)).toEqual([]);
    expect(await metadata.blobs.find(A, blob.digest)).toBeNull();
    expect(await metadata.blobs.repositoriesWith(blob.digest, 10)).toEqual([B]);
    expect(await metadata.deletions.undo(deletion)).toEqual({ kind: "undone", skipped: [] });
    expect(await metadata.manifests.find(A, { kind: "tag", tag: requireTag("v1") })).toMatchObject({
      digest: image.digest,
    });
    await deleteRepository(metadata, A);
    advanceClock(LATER_MS);
    await collectAll(metadata);
    expect(await dueKeys(metadata)).not.toContain(blob.storageKey);
    advanceClock(tombstoneGraceMs);
    expect(await dueKeys(metadata)).toContain(blob.storageKey);
  });

  test("a repository does not come back over one that has its name by now", async () => {
    const { metadata } = get();
    await putImage(metadata, "old", [requireTag("v1")]);
    const deletion = await deleteRepository(metadata, A);
    const { image } = await putImage(metadata, "new", [requireTag("v1")]);
    expect(await metadata.deletions.undo(deletion)).toEqual({ kind: "name-taken" });
    expect(await metadata.manifests.find(A, { kind: "tag", tag: requireTag("v1") })).toMatchObject({
      digest: image.digest,
    });
  });
}

function testUntagged(get: () => MetadataUnderTest): void {
  const delayMs = 2_000;
  const collect = (metadata: Metadata) =>
    metadata.garbage.collectUntagged(A, { delayMs, max: 100, among: "all" });

  test("a manifest that lost its tag is deleted after the delay, and can be brought back", async () => {
    const { metadata, advanceClock } = get();
    const v1 = requireTag("v1");
    const { image } = await putImage(metadata, "old", [v1]);
    advanceClock(10 * delayMs);
    await putImage(metadata, "new", [v1]);
    advanceClock(delayMs - 1);
    expect(await collect(metadata)).toEqual({ reviewed: 0, deleted: 0 });
    advanceClock(1);
    expect(await collect(metadata)).toEqual({ reviewed: 1, deleted: 1 });
    expect(await metadata.manifests.find(A, { kind: "digest", digest: image.digest })).toBeNull();
    const [deletion] = await metadata.deletions.list({ before: null, entriesMax: 10 });
    expect(deletion).toMatchObject({ reason: "untagged", manifests: [image.digest] });
    expect(await metadata.deletions.undo(deletion?.id ?? 0)).toEqual({ kind: "undone", skipped: [] });
  });

  test("what an index lists, however deep, and referrers of what is there are kept until that goes", async () => {
    const { metadata, advanceClock } = get();
    const { image: child } = await putImage(metadata, "child");
    const inner = manifestOf("inner", { children: [childRef(child)] });
    const outer = manifestOf("outer", { children: [childRef(inner)], tags: [requireTag("v1")] });
    const signature = manifestOf("signature", { subject: child.digest });
    for (const manifest of [inner, outer, signature]) await metadata.manifests.put(manifest);
    advanceClock(10 * delayMs);
    expect(await collect(metadata)).toMatchObject({ deleted: 0 });
    await metadata.manifests.deleteTag(A, requireTag("v1"), DELETE.by);
    const rounds = [];
    for (let round = 0; round < 5; round++) {
      advanceClock(delayMs);
      rounds.push((await collect(metadata)).deleted);
    }
    expect(rounds).toEqual([1, 1, 1, 1, 0]);
  });

  test("a manifest that was pushed by digest is safe for the delay, and pushing it again begins it anew", async () => {
    const { metadata, advanceClock } = get();
    const { image } = await putImage(metadata, "image");
    advanceClock(delayMs - 1);
    await metadata.manifests.put(image);
    advanceClock(delayMs - 1);
    expect(await collect(metadata)).toMatchObject({ deleted: 0 });
    advanceClock(1);
    expect(await collect(metadata)).toMatchObject({ deleted: 1 });
  });

  test("a pusher who was told that a manifest is there may push the index that lists it, for a lease", async () => {
    const { metadata, advanceClock } = get();
    const { image } = await putImage(metadata, "child");
    advanceClock(10 * delayMs);
    expect(await metadata.manifests.findForPush(A, { kind: "digest", digest: image.digest })).not.toBeNull();
    advanceClock(leaseMs - 1);
    expect(await metadata.garbage.collectUntagged(A, { delayMs: 0, max: 10, among: "all" })).toMatchObject({
      deleted: 0,
    });
    const index = manifestOf("index", { children: [childRef(image)], tags: [requireTag("v1")] });
    expect(await metadata.manifests.put(index)).toEqual({ kind: "stored" });
    advanceClock(10 * delayMs);
    expect(await collect(metadata)).toMatchObject({ deleted: 0 });
  });
}

async function putImage(
  metadata: Metadata,
  name: string,
  tags: Parameters<typeof manifestOf>[1]["tags"] = [],
): Promise<{ readonly image: NewManifest; readonly blob: BlobRecord }> {
  const blob = await putBlob(metadata, A, `layer of ${name}`);
  const image = manifestOf(name, { blobs: [ref(blob)], tags });
  expect(await metadata.manifests.put(image)).toEqual({ kind: "stored" });
  return { image, blob };
}

/** An index of three images: one that only it lists, one in another index too, one with a tag of its own. */
async function putIndex(metadata: Metadata) {
  const own = await putImage(metadata, "own");
  const shared = await putImage(metadata, "shared");
  const tagged = await putImage(metadata, "tagged", [requireTag("alone")]);
  const children = [own, shared, tagged].map(({ image }) => childRef(image));
  const index = manifestOf("index", { children, tags: [requireTag("index")] });
  await metadata.manifests.put(index);
  await metadata.manifests.put(manifestOf("other index", { children: [childRef(shared.image)] }));
  return { index, own, shared, tagged };
}

function listedUpload(id: UploadId): ListedObject {
  return { key: uploadKey(id), identity: { kind: "upload", id } };
}

function listedBlob(blob: BlobRecord): ListedObject {
  return { key: blob.storageKey, identity: { kind: "blob", digest: blob.digest } };
}

function childRef(manifest: NewManifest) {
  return { digest: manifest.digest, size: size(manifest), required: true };
}

function size(manifest: NewManifest): number {
  return manifest.bytes.byteLength;
}

async function deleteManifest(metadata: Metadata, of: Digest): Promise<number> {
  const result = await metadata.manifests.delete(A, of, DELETE);
  if (result.kind !== "deleted") throw new Error(`deleting gave ${result.kind}`);
  return result.deletion;
}

async function deleteRepository(metadata: Metadata, name: RepositoryName): Promise<number> {
  const deletion = await metadata.deletions.deleteRepository(name, DELETE.by);
  if (deletion === null) throw new Error(`no repository ${name}`);
  return deletion;
}

/** Everything that the collector does to metadata, to the end. */
async function collectAll(metadata: Metadata): Promise<void> {
  while ((await metadata.garbage.expire(10, uploadKey)) > 0);
  while ((await metadata.garbage.expireDeletions(10)).reviewed > 0);
  while ((await metadata.garbage.collect(10)).reviewed > 0);
}
