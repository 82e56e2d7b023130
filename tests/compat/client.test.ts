import { expect, test } from "bun:test";
import {
  copy,
  descriptorOf,
  manifestFrom,
  RegistryClient,
  type Repository,
  requireManifest,
  resolveImage,
  untagImage,
} from "@stowage/client";
import { noise, pushImage } from "../client/images.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { suite } from "../support/suite.ts";
import { Distribution, distribution } from "./distribution.ts";
import { temporaryFolder } from "./support.ts";

const TEST_MS_MAX = 240_000;
const INDEX = "application/vnd.oci.image.index.v1+json";
const GIB = 1024 ** 3;

/** Most that a copy may add to this process, in bytes: pieces on their way, whatever the size of a layer. */
const MEMORY_BYTES_MAX = 200 * 1024 ** 2;

/** Bytes of a layer that are made while they are read. */
function largeBytes(size: number): (offset: number) => Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const piece = noise(1024 ** 2, 5);
  return async (offset) => {
    let at = offset;
    return new ReadableStream(
      {
        pull(controller) {
          if (at >= size) return controller.close();
          // Each piece has its place in it, so that a piece in another place is noticed.
          const next = piece.slice(0, Math.min(piece.byteLength, size - at));
          new DataView(next.buffer).setFloat64(0, at);
          at += next.byteLength;
          controller.enqueue(next);
        },
      },
      { highWaterMark: 0 },
    );
  };
}

/** Pushes an index of two images, one of them with a layer of 1 GiB. */
async function pushLarge(repository: Repository): Promise<string> {
  const open = largeBytes(GIB);
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const piece of await open(0)) hasher.update(piece);
  const layer = { digest: `sha256:${hasher.digest("hex")}` as never, size: GIB };
  await repository.putBlob(layer, open);
  const small = await pushImage(repository, { tag: null, seed: 3 });
  const extra = { layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar", ...layer }] };
  const large = await pushImage(repository, { tag: null, seed: 4, extra });
  const manifests = [small, large].map(({ manifest }, at) => ({
    ...descriptorOf(manifest),
    platform: { os: "linux", architecture: ["amd64", "arm64"][at] ?? "" },
  }));
  const index = manifestFrom({ schemaVersion: 2, mediaType: INDEX, manifests }, INDEX);
  await repository.putManifest(index, { tags: ["1.0"] });
  return index.digest;
}

suite("the client between registries", [distribution], () => {
  test(
    "an index with a layer of 1 GiB goes from distribution to Stowage and back, and is the same",
    async () => {
      await using folder = await temporaryFolder();
      await using theirs = await Distribution.start(folder.path);
      await using ours = await RegistryProcess.start();
      const client = new RegistryClient();
      const source = client.repository(`${theirs.host}/large/app`);
      const digest = await pushLarge(source);
      const before = process.memoryUsage().rss;
      let most = 0;
      const onProgress = () => {
        most = Math.max(most, process.memoryUsage().rss - before);
      };
      const target = client.repository(`${ours.host}/large/app`);
      const there = await copy(source, "1.0", target, { tags: ["1.0"], onProgress });
      expect<string>(there.digest).toBe(digest);
      expect(there.bytes).toBeGreaterThan(GIB);
      const back = client.repository(`${theirs.host}/back/app`);
      const returned = await copy(target, "1.0", back, { tags: ["1.0"], onProgress });
      expect<string>(returned.digest).toBe(digest);
      process.stderr.write(`>>> memory of a copy of 1 GiB: ${Math.round(most / 1024 ** 2)} MiB more\n`);
      expect(most).toBeLessThan(MEMORY_BYTES_MAX);
      const again = await copy(source, "1.0", target, { tags: ["1.0"] });
      expect([again.bytes, again.manifests]).toEqual([0, 0]);
      const { index, parts } = await resolveImage(back, "1.0");
      expect<string | undefined>(index?.digest).toBe(digest);
      expect(parts.layers.length).toBe(2);
    },
    TEST_MS_MAX,
  );

  test("mounts, tags, listings, deletion and referrers work on distribution as far as it can", async () => {
    await using folder = await temporaryFolder();
    await using theirs = await Distribution.start(folder.path);
    const client = new RegistryClient();
    const first = client.repository(`${theirs.host}/a/one`);
    const second = client.repository(`${theirs.host}/b/two`);
    const { manifest } = await pushImage(first, { tag: "1.0" });
    expect((await copy(first, "1.0", second, { tags: ["1.0", "1"] })).blobs.mounted).toBe(3);
    expect((await Array.fromAsync(second.tags({ pageSize: 1 }))).sort()).toEqual(["1", "1.0"]);
    expect(await Array.fromAsync(client.registry(theirs.host).repositories({ pageSize: 1 }))).toEqual([
      "a/one",
      "b/two",
    ]);

    // It lists no referrers: the fallback tag stands in.
    const subject = descriptorOf(manifest);
    const signature = await pushImage(first, {
      tag: null,
      layers: [9],
      seed: 8,
      extra: { artifactType: "application/x.sig", subject },
    });
    const found = await Array.fromAsync(first.referrers(manifest.digest));
    expect(found.map(({ digest }) => digest)).toEqual([signature.manifest.digest]);
    await copy(first, "1.0", second, { tags: ["signed"], referrers: true });
    expect((await Array.fromAsync(second.referrers(manifest.digest))).length).toBe(1);

    // Version 2 deletes by digest alone, which the error says.
    const failure: unknown = await untagImage(second, "1").catch((error: unknown) => error);
    expect(String(failure)).toContain("deletes images by digest");
    expect(await second.deleteManifest(manifest.digest)).toBe(true);
    expect(await second.getManifest("1.0")).toBeNull();
    expect((await requireManifest(first, "1.0")).digest).toBe(manifest.digest);
  });
});
