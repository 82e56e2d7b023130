import { describe, expect, test } from "bun:test";
import type { Tag } from "@stowage/oci/tag";
import {
  A,
  B,
  DELETE,
  digest,
  EVERYTHING,
  manifestOf,
  type MetadataUnderTest,
  requireTag,
  TEST_DURATIONS,
} from "./conformance-content.ts";
import type { JudgedTag, Metadata } from "./metadata.ts";

const [V1, V2, V3] = [requireTag("v1"), requireTag("v2"), requireTag("v3")] as const;

/** What a metadata store must do for policies. */
export function testRetention(get: () => MetadataUnderTest): void {
  describe("retention", () => {
    testDocuments(() => get().metadata);
    testPulls(get);
    testJudgedTags(get);
    testAmong(get);
  });
}

function testDocuments(get: () => Metadata): void {
  test("a document is what was put last, also for one who has asked before", async () => {
    const { documents } = get();
    expect(await documents.find("policies")).toBeNull();
    await documents.put("policies", '{"a":1}', "somebody");
    expect(await documents.find("policies")).toBe('{"a":1}');
    await documents.put("policies", '{"a":2}', null);
    expect(await documents.find("policies")).toBe('{"a":2}');
    expect(await documents.find("others")).toBeNull();
  });

  test("of two who replace the same document, one does", async () => {
    const { documents } = get();
    const replace = (json: string, before: string | null) =>
      documents.replace({ name: "policies", json, by: null }, before);
    expect(await Promise.all([replace("1", null), replace("2", null)])).toEqual([true, false]);
    expect(await Promise.all([replace("3", "1"), replace("4", "1")])).toEqual([true, false]);
    expect(await documents.find("policies")).toBe("3");
  });
}

async function pulledAt(metadata: Metadata, tag: Tag): Promise<number | null | undefined> {
  const tags = await metadata.retention.listTags(A, EVERYTHING);
  return tags.find((judged) => judged.tag === tag)?.pulledAt;
}

function testPulls(get: () => MetadataUnderTest): void {
  test("pulls of a tag and of a manifest are noted apart, and their times never go back", async () => {
    const { metadata } = get();
    const image = manifestOf("image", { tags: [V1, V2] });
    await metadata.manifests.put(image);
    await metadata.manifests.put({ ...image, repository: B });
    const tag = (at: number) => ({ repository: A, reference: { kind: "tag", tag: V1 }, at }) as const;
    const manifest = (at: number) =>
      ({ repository: A, reference: { kind: "digest", digest: image.digest }, at }) as const;
    const times = async () => [
      await pulledAt(metadata, V1),
      (await metadata.inventory.manifest(A, image.digest, 10))?.pulledAt,
    ];
    expect(await times()).toEqual([null, null]);
    await metadata.retention.recordPulls([tag(20), manifest(30)]);
    expect(await times()).toEqual([20, 30]);
    await metadata.retention.recordPulls([tag(10), manifest(10), tag(25), manifest(29)]);
    expect(await times()).toEqual([25, 30]);
    expect(await pulledAt(metadata, V2)).toBeNull();
    expect((await metadata.inventory.manifest(B, image.digest, 10))?.pulledAt).toBeNull();
  });

  test("pulls of what is gone are not noted, and what comes anew was never pulled", async () => {
    const { metadata } = get();
    const image = manifestOf("image", { tags: [V1] });
    const pulls = [
      { repository: A, reference: { kind: "tag", tag: V1 }, at: 20 },
      { repository: A, reference: { kind: "digest", digest: image.digest }, at: 20 },
    ] as const;
    await metadata.retention.recordPulls(pulls);
    await metadata.manifests.put(image);
    await metadata.retention.recordPulls(pulls);
    await metadata.manifests.delete(A, image.digest, DELETE);
    await metadata.retention.recordPulls(pulls);
    await metadata.manifests.put(image);
    expect(await pulledAt(metadata, V1)).toBeNull();
    expect((await metadata.inventory.manifest(A, image.digest, 10))?.pulledAt).toBeNull();
  });
}

function testJudgedTags(get: () => MetadataUnderTest): void {
  /** Three tags of one manifest, pushed one after the other. */
  async function pushThree(): Promise<readonly JudgedTag[]> {
    const { metadata, advanceClock } = get();
    for (const tag of [V1, V2, V3]) {
      await metadata.manifests.put(manifestOf("image", { tags: [tag] }));
      advanceClock(10);
    }
    return await metadata.retention.listTags(A, EVERYTHING);
  }

  test("tags are listed by name with what they are judged by, page by page", async () => {
    const { metadata } = get();
    const now = await metadata.garbage.now();
    const tags = await pushThree();
    expect(tags).toEqual(
      [V1, V2, V3].map((tag, at) => ({
        tag,
        digest: digest("image"),
        pushedAt: now + 10 * at,
        pulledAt: null,
      })),
    );
    const page = { entriesMax: 1, after: V1 };
    expect(await metadata.retention.listTags(A, page)).toEqual(tags.slice(1, 2));
    expect(await metadata.retention.listTags(B, page)).toEqual([]);
  });

  test("a tag that was pushed anew or moved since it was judged is not deleted", async () => {
    const { metadata } = get();
    const judged = await pushThree();
    await metadata.manifests.put(manifestOf("image", { tags: [V1] }));
    await metadata.manifests.put(manifestOf("another", { tags: [V2] }));
    expect(await metadata.retention.deleteTags(B, judged)).toEqual([]);
    expect(await metadata.retention.deleteTags(A, judged)).toEqual([V3]);
    expect(await metadata.retention.deleteTags(A, judged)).toEqual([]);
    expect(await metadata.manifests.listTags(A, EVERYTHING)).toEqual([V1, V2]);
  });

  test("each deleted tag has a record that brings it back as it was", async () => {
    const { metadata, advanceClock } = get();
    await pushThree();
    await metadata.retention.recordPulls([{ repository: A, reference: { kind: "tag", tag: V1 }, at: 7 }]);
    const judged = await metadata.retention.listTags(A, EVERYTHING);
    advanceClock(100);
    expect(await metadata.retention.deleteTags(A, judged.slice(0, 2))).toEqual([V1, V2]);
    const records = await metadata.deletions.list({ before: null, entriesMax: 10 });
    expect(records).toMatchObject([
      { kind: "tag", reason: "retention", deletedBy: null, tags: [V2] },
      { kind: "tag", reason: "retention", deletedBy: null, tags: [V1] },
    ]);
    for (const { id } of records) await metadata.deletions.undo(id);
    expect(await metadata.retention.listTags(A, EVERYTHING)).toEqual(judged);
  });
}

function testAmong(get: () => MetadataUnderTest): void {
  test("manifests with a subject and those without are deleted apart", async () => {
    const { metadata, advanceClock } = get();
    const [image, referrer] = [
      manifestOf("image", {}),
      manifestOf("referrer", { subject: digest("nobody") }),
    ] as const;
    for (const manifest of [image, referrer]) await metadata.manifests.put(manifest);
    advanceClock(TEST_DURATIONS.leaseMs);
    const collect = (among: "without-subject" | "referrers") =>
      metadata.garbage.collectUntagged(A, { delayMs: 0, max: 10, among });
    const isThere = async (manifest: { digest: typeof image.digest }) =>
      (await metadata.manifests.find(A, { kind: "digest", digest: manifest.digest })) !== null;
    expect(await collect("without-subject")).toEqual({ reviewed: 1, deleted: 1 });
    expect([await isThere(image), await isThere(referrer)]).toEqual([false, true]);
    expect(await collect("without-subject")).toEqual({ reviewed: 0, deleted: 0 });
    expect(await collect("referrers")).toEqual({ reviewed: 1, deleted: 1 });
    expect(await isThere(referrer)).toBe(false);
  });
}
