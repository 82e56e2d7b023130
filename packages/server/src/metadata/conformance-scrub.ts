import { expect, test } from "bun:test";
import {
  A,
  B,
  blobOf,
  DELETE,
  dueKeys,
  manifestOf,
  type MetadataUnderTest,
  putBlob,
  ref,
  startUpload,
  TEST_DURATIONS,
  uploadKey,
} from "./conformance-content.ts";
import type { BlobRecord, Metadata } from "./metadata.ts";

const ALWAYS = Number.MAX_SAFE_INTEGER;

/** What every metadata store must do about blobs whose bytes are looked at again. */
export function testScrub(get: () => MetadataUnderTest): void {
  test("blobs are verified in the order in which that was last done; an upload counts", async () => {
    const { metadata, advanceClock } = get();
    const now = await metadata.garbage.now();
    const blobs: BlobRecord[] = [];
    for (const text of ["one", "two", "three"]) {
      blobs.push(await putBlob(metadata, A, text));
      advanceClock(10);
    }
    const [one, two, three] = blobs;
    expect(await metadata.scrub.next(now, 10)).toEqual([]);
    expect<unknown>(await metadata.scrub.next(now + 11, 10)).toEqual([one, two]);
    expect<unknown>(await metadata.scrub.next(ALWAYS, 2)).toEqual([one, two]);
    await metadata.scrub.verified(blobs.slice(0, 1), now);
    expect<unknown>(await metadata.scrub.next(ALWAYS, 10)).toEqual([two, three, one]);
  });

  test("a blob that was verified is not looked at again in the same run, though the clock was set back", async () => {
    const { metadata, advanceClock } = get();
    const blob = await putBlob(metadata, A, "abc");
    const before = (await metadata.garbage.now()) + 1;
    advanceClock(-500);
    await metadata.scrub.verified([blob], before);
    expect(await metadata.scrub.next(before, 10)).toEqual([]);
  });

  test("a quarantined blob is absent for pulls, pushes, mounts and manifests, in every repository", async () => {
    const { metadata } = get();
    const blob = await putBlob(metadata, A, "abc");
    await putBlob(metadata, B, "abc");
    expect(await metadata.scrub.quarantine(blob, "digest")).toBe(true);
    for (const repository of [A, B]) {
      expect(await metadata.blobs.find(repository, blob.digest)).toBeNull();
      expect(await metadata.blobs.findForPush(repository, blob.digest)).toBeNull();
      const put = manifestOf("m", { repository, blobs: [ref(blob)] });
      expect(await metadata.manifests.put(put)).toEqual({ kind: "unknown", missing: [blob.digest] });
    }
    expect(await metadata.blobs.mount(blob.digest, A, B)).toBeNull();
    expect(await metadata.scrub.next(ALWAYS, 10)).toEqual([]);
  });

  test("a push of a quarantined blob replaces it everywhere, and the finding says when", async () => {
    const { metadata, advanceClock } = get();
    const old = await putBlob(metadata, A, "abc");
    await metadata.manifests.put(manifestOf("m", { blobs: [ref(old)] }));
    await metadata.scrub.quarantine(old, "size");
    const foundAt = await metadata.garbage.now();
    advanceClock(5);
    const id = await startUpload(metadata, B);
    const fresh = blobOf("abc", id);
    expect(await metadata.uploads.prepareFinish(id, fresh, uploadKey(id))).toBe("proceed");
    expect(await metadata.uploads.finish(id, fresh)).toBe("finished");
    for (const repository of [A, B]) expect(await metadata.blobs.find(repository, old.digest)).toEqual(fresh);
    expect(await findingsOf(metadata)).toMatchObject([
      { digest: old.digest, storageKey: old.storageKey, problem: "size", foundAt, repairedAt: foundAt + 5 },
    ]);
    advanceClock(TEST_DURATIONS.tombstoneGraceMs);
    expect(await dueKeys(metadata)).toEqual([old.storageKey]);
  });

  test("quarantine hits the bytes that were read, and no others", async () => {
    const { metadata } = get();
    const old = await putBlob(metadata, A, "abc");
    expect(await metadata.scrub.quarantine(old, "missing")).toBe(true);
    expect(await metadata.scrub.quarantine(old, "missing")).toBe(false);
    const fresh = await putBlob(metadata, A, "abc");
    expect(await metadata.scrub.quarantine(old, "missing")).toBe(false);
    expect(await metadata.blobs.find(A, old.digest)).toEqual(fresh);
    await metadata.blobs.unlink(A, fresh.digest);
    expect(await metadata.scrub.quarantine(fresh, "missing")).toBe(false);
    expect(await findingsOf(metadata)).toHaveLength(1);
  });

  test("a quarantined blob is collected like any other when nothing needs it", async () => {
    const { metadata, advanceClock } = get();
    const blob = await putBlob(metadata, A, "abc");
    const manifest = manifestOf("m", { blobs: [ref(blob)] });
    await metadata.manifests.put(manifest);
    await metadata.scrub.quarantine(blob, "digest");
    await metadata.manifests.delete(A, manifest.digest, DELETE);
    advanceClock(TEST_DURATIONS.leaseMs + TEST_DURATIONS.undoMs);
    await metadata.garbage.expireDeletions(10);
    expect(await metadata.garbage.collect(10)).toMatchObject({ blobs: 1 });
    advanceClock(TEST_DURATIONS.tombstoneGraceMs);
    expect(await dueKeys(metadata)).toEqual([blob.storageKey]);
  });

  test("findings are listed newest first, page by page", async () => {
    const { metadata } = get();
    const blobs: BlobRecord[] = [];
    for (const text of ["one", "two", "three"]) blobs.push(await putBlob(metadata, A, text));
    for (const blob of blobs) await metadata.scrub.quarantine(blob, "unreadable");
    const [newest] = await metadata.scrub.findings(null, 1);
    expect(newest?.digest).toBe(blobs[2]?.digest);
    const rest = await metadata.scrub.findings(newest?.id ?? null, 10);
    expect(rest.map(({ digest }) => digest)).toEqual(
      blobs
        .slice(0, 2)
        .map(({ digest }) => digest)
        .reverse(),
    );
  });
}

async function findingsOf(metadata: Metadata) {
  return await metadata.scrub.findings(null, 100);
}
