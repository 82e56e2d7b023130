import { expect, test } from "bun:test";
import type { Descriptor } from "@stowage/oci/descriptor";
import type { Digest } from "@stowage/oci/digest";
import { MANIFEST_BYTES_MAX } from "@stowage/oci/manifest";
import { MEDIA_TYPE } from "@stowage/oci/media-type";
import { ClientError } from "./client-error.ts";
import type { ContentSource, ContentTarget, RawManifest } from "./content.ts";
import { copy } from "./copy.ts";
import { descriptorOf, manifestFrom } from "./image-manifests.ts";
import { readBlob, resolveImage } from "./image.ts";
import { inspectImage } from "./inspect-image.ts";
import { RegistryClient } from "./registry-client.ts";
import { digestOf } from "./hasher.ts";

interface Content {
  readonly get: (digest: Digest) => RawManifest | null;
  readonly referrers?: (digest: Digest) => Iterable<Descriptor>;
}

/** A source that has `root` under any tag. */
function sourceOf(root: RawManifest, { get, referrers = () => [] }: Content) {
  const asked: Digest[] = [];
  const source: ContentSource = {
    label: "hostile",
    getManifest: async (reference) => {
      if (reference === null || !reference.includes(":")) return root;
      return reference === root.digest ? root : get(reference as Digest);
    },
    openBlob: async () => null,
    referrers: async function* (digest) {
      asked.push(digest);
      yield* referrers(digest);
    },
    tags: async function* () {
      yield "1";
    },
  };
  return { source, asked };
}

const TARGET: ContentTarget = {
  label: "target",
  hasBlob: async () => true,
  headManifest: async () => null,
  mountBlob: async () => false,
  putBlob: async () => undefined,
  putManifest: async () => undefined,
};

const entryOf = (manifest: RawManifest): Descriptor => ({
  ...descriptorOf(manifest),
  artifactType: null,
  annotations: null,
  platform: null,
});
const index = (manifests: readonly object[], more = {}) =>
  manifestFrom({ schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests, ...more }, MEDIA_TYPE.ociIndex);
const image = (more: object) =>
  manifestFrom(
    { schemaVersion: 2, mediaType: MEDIA_TYPE.ociManifest, layers: [], ...more },
    MEDIA_TYPE.ociManifest,
  );

function storeOf(manifests: readonly RawManifest[]) {
  const all = new Map(manifests.map((manifest) => [manifest.digest, manifest]));
  return { get: (digest: Digest) => all.get(digest) ?? null };
}

async function failureOf(work: Promise<unknown>): Promise<ClientError> {
  const failure: unknown = await work.catch((error: unknown) => error);
  if (failure instanceof ClientError) return failure;
  throw new Error(`no ClientError: ${String(failure)}`);
}

test("copy of referrers that name each other, themselves and their subject again and again ends", async () => {
  const root = image({ annotations: { at: "root" } });
  const others = Array.from({ length: 200 }, (_, at) => image({ annotations: { at: String(at) } }));
  const entries = [root, ...others].map(entryOf);
  // Each lists all of them again and again.
  const referrers = function* () {
    for (let times = 0; times < 20; times++) yield* entries;
  };
  const { source, asked } = sourceOf(root, { ...storeOf(others), referrers });
  const result = await copy(source, "1", TARGET, { referrers: true });
  expect(result.manifests).toBe(202);
  expect(new Set(asked).size).toBe(asked.length);
  expect(asked.length).toBe(201);
});

test("copy of an index with more manifests than an image has is refused", async () => {
  const root = index(
    Array.from({ length: 11_000 }, (_, at) => ({
      mediaType: MEDIA_TYPE.ociManifest,
      digest: digestOf(new TextEncoder().encode(String(at))),
      size: 1,
    })),
  );
  const { source } = sourceOf(root, { get: () => image({}) });
  expect((await failureOf(copy(source, "1", TARGET))).message).toContain("more than 10000 manifests");
});

test("copy keeps a bounded number of bytes of manifests, and reads none beyond it", async () => {
  const digests = Array.from({ length: 500 }, (_, at) => digestOf(new TextEncoder().encode(String(at))));
  const root = index(digests.map((digest) => ({ mediaType: MEDIA_TYPE.ociManifest, digest, size: 1 })));
  let reads = 0;
  const bytes = new Uint8Array(MANIFEST_BYTES_MAX).fill(0x20);
  bytes.set(new TextEncoder().encode('{"layers":[]}'));
  const { source } = sourceOf(root, {
    get: (digest) => {
      reads += 1;
      return { mediaType: MEDIA_TYPE.ociManifest, digest, bytes };
    },
  });
  expect((await failureOf(copy(source, "1", TARGET))).message).toContain("bytes of manifests in one copy");
  expect(reads).toBeLessThan(80);
});

test("copy and resolveImage of indexes in each other end", async () => {
  const chain: RawManifest[] = [image({})];
  for (let depth = 0; depth < 50; depth++) chain.unshift(index(chain.slice(0, 1).map(descriptorOf)));
  const [root = image({})] = chain;
  const { source } = sourceOf(root, storeOf(chain));
  expect((await failureOf(copy(source, "1", TARGET))).message).toContain("more than 8 indexes in each other");
  expect((await failureOf(resolveImage(source, "1"))).message).toContain("more than 8 indexes in each other");
});

test("copy of an index whose levels all list the next one twice reads each once", async () => {
  let level: RawManifest[] = [image({ annotations: { a: "1" } }), image({ annotations: { a: "2" } })];
  const all = [...level];
  for (let depth = 0; depth < 6; depth++) {
    const entries = [...level, ...level].map(descriptorOf);
    level = [index(entries, { annotations: { a: "1" } }), index(entries, { annotations: { a: "2" } })];
    all.push(...level);
  }
  const root = index(level.map(descriptorOf));
  const { source } = sourceOf(root, storeOf(all));
  expect((await copy(source, "1", TARGET)).manifests).toBe(15);
});

test("a config that is declared empty is not read further than that", async () => {
  let sent = 0;
  const client = new RegistryClient({
    fetch: async () =>
      new Response(
        new ReadableStream(
          {
            pull(controller) {
              sent += 1;
              controller.enqueue(new Uint8Array(1024 * 1024));
            },
          },
          { highWaterMark: 0 },
        ),
      ),
  });
  const blob = { digest: digestOf(new Uint8Array()), size: 0 };
  const read = readBlob(client.repository("registry.test/app"), blob, { bytesMax: 1024 });
  expect((await failureOf(read)).message).toEndWith("more than the 0 bytes came");
  expect(sent).toBe(1);
});

test("what stands in a config in place of text is shown as nothing, and does not crash", async () => {
  const evil = { toString: 1, valueOf: 1 };
  const config = new TextEncoder().encode(
    JSON.stringify({ config: { Labels: { a: evil, b: 7, c: [[evil]] }, Env: [evil, "A=1"], Cmd: [[evil]] } }),
  );
  const descriptor = { mediaType: MEDIA_TYPE.ociConfig, digest: digestOf(config), size: config.byteLength };
  const root = image({ config: descriptor });
  const { source } = sourceOf(root, { get: () => null });
  const openBlob = async () => new Blob([config]).stream() as ReadableStream<Uint8Array<ArrayBuffer>>;
  const summary = await inspectImage({ ...source, openBlob }, "1");
  expect(summary).toMatchObject({
    labels: { a: "", b: "7", c: "" },
    environment: ["", "A=1"],
    command: [""],
  });
});
