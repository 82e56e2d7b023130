import { expect, test } from "bun:test";
import { join } from "node:path";
import { digestOf, seededBytes } from "../support/content.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { program, suite } from "../support/suite.ts";
import { uploadContent } from "./content-upload.ts";
import { differencesInLayout, imageIndex, layeredImage, OCI_INDEX, tarOf, writeLayout } from "./images.ts";
import {
  blobWrites,
  blobWritesDuring,
  fetchBlob,
  fetchManifest,
  logMark,
  parseManifest,
  requestsSince,
  run,
  runAny,
  temporaryFolder,
} from "./support.ts";

const tool = program("crane");
const TEST_MS_MAX = 60_000;

suite("crane", [tool], () => {
  test(
    "an image appended layer by layer has the layers that went in",
    async () => {
      await using registry = await RegistryProcess.start();
      await using folder = await temporaryFolder();
      const tars = [1, 2, 3].map((seed) => tarOf({ [`file-${seed}`]: seededBytes(100_000, seed) }));
      const image = `${registry.host}/crane/appended:v1`;
      for (const [at, tar] of tars.entries()) {
        const file = join(folder.path, `layer-${at}.tar`);
        await Bun.write(file, tar);
        const base = at === 0 ? ["--oci-empty-base"] : ["--base", image];
        await crane("append", ...base, "--new_layer", file, "--new_tag", image);
      }
      const { bytes } = await fetchManifest(registry, "crane/appended", "v1");
      expect<string>((await crane("digest", image)).trim()).toBe(digestOf(bytes));
      const { layers = [] } = parseManifest(bytes);
      const contents = await Promise.all(
        layers.map(async ({ digest }) => Bun.gunzipSync((await blobBytes(registry, digest)).bytes)),
      );
      expect(contents.map((content) => digestOf(content))).toEqual(tars.map((tar) => digestOf(tar)));
      await crane("validate", "--remote", image);
    },
    TEST_MS_MAX,
  );

  test(
    "a multi-arch index is pushed from a layout and pulled bit for bit",
    async () => {
      await using registry = await RegistryProcess.start();
      await using folder = await temporaryFolder();
      const index = multiArch(1);
      await writeLayout(join(folder.path, "in"), index, "v1");
      const image = `${registry.host}/crane/multi:v1`;
      await crane("push", "--index", join(folder.path, "in"), image);
      expect((await crane("digest", image)).trim()).toBe(digestOf(await layoutIndex(folder.path)));

      await crane("pull", "--format", "oci", image, join(folder.path, "out"));
      expect(await differencesInLayout(join(folder.path, "out"), index)).toEqual([]);
      await crane("validate", "--remote", image);
    },
    TEST_MS_MAX,
  );

  test(
    "a copy to another repository mounts every blob and keeps the digest",
    async () => {
      await using registry = await RegistryProcess.start();
      const index = multiArch(2);
      await uploadContent(registry, "crane/source", index, "v1");
      const mark = logMark(registry);
      await crane("copy", `${registry.host}/crane/source:v1`, `${registry.host}/crane/target:v1`);
      const stored = await fetchManifest(registry, "crane/target", "v1");
      expect<string>(digestOf(stored.bytes)).toBe(index.descriptor.digest);
      const manifests = 3;
      const posts = blobWrites(await requestsSince(registry, mark));
      expect(posts).toEqual(
        Array(index.blobs.length - manifests).fill("POST /v2/crane/target/blobs/uploads/ 201"),
      );
    },
    TEST_MS_MAX,
  );

  test(
    "an index appended from pushed images lists them",
    async () => {
      await using registry = await RegistryProcess.start();
      const images = [
        layeredImage({ architecture: "amd64", layerCount: 2, seed: 43 }),
        layeredImage({ architecture: "arm64", layerCount: 2, seed: 44 }),
      ];
      const sources: string[] = [];
      for (const [at, image] of images.entries()) {
        await uploadContent(registry, "crane/list", image, `image-${at}`);
        sources.push("--manifest", `${registry.host}/crane/list:image-${at}`);
      }
      await crane("index", "append", ...sources, "--tag", `${registry.host}/crane/list:v1`);
      const stored = await fetchManifest(registry, "crane/list", "v1");
      expect(stored.mediaType).toBe(OCI_INDEX);
      expect(stored.digestHeader).toBe(digestOf(stored.bytes));
      const { manifests = [] } = parseManifest(stored.bytes);
      expect(manifests.map(({ digest }) => digest)).toEqual(images.map((image) => image.descriptor.digest));
    },
    TEST_MS_MAX,
  );

  test(
    "a second push of the same index uploads nothing",
    async () => {
      await using registry = await RegistryProcess.start();
      await using folder = await temporaryFolder();
      await writeLayout(folder.path, multiArch(3), "v1");
      const image = `${registry.host}/crane/twice`;
      expect(
        await blobWritesDuring(registry, () => crane("push", "--index", folder.path, `${image}:v1`)),
      ).not.toBeEmpty();
      expect(
        await blobWritesDuring(registry, () => crane("push", "--index", folder.path, `${image}:v2`)),
      ).toEqual([]);
    },
    TEST_MS_MAX,
  );

  test(
    "tags and repositories are listed, and what crane deletes is gone",
    async () => {
      await using registry = await RegistryProcess.start();
      const image = layeredImage({ architecture: "amd64", layerCount: 1, seed: 45 });
      await uploadContent(registry, "crane/tags", image, "v1");
      const name = `${registry.host}/crane/tags`;
      await crane("tag", `${name}:v1`, "v2");
      expect((await crane("ls", name)).trim().split("\n")).toEqual(["v1", "v2"]);
      expect((await crane("catalog", registry.host)).trim()).toBe("crane/tags");
      await crane("delete", `${name}@${image.descriptor.digest}`);
      const gone = await runAny([tool.path, "digest", `${name}:v1`]);
      expect(gone.exitCode).not.toBe(0);
      expect((await fetch(`${registry.url}/v2/crane/tags/manifests/v1`)).status).toBe(404);
    },
    TEST_MS_MAX,
  );
});

/** Runs crane and resolves with its output. @throws Error unless it succeeds */
async function crane(...args: readonly string[]): Promise<string> {
  return (await run([tool.path, ...args])).stdout;
}

async function blobBytes(registry: RegistryProcess, digest: string) {
  const blob = await fetchBlob(registry, "crane/appended", digest);
  expect<string>(digestOf(blob.bytes)).toBe(digest);
  return blob;
}

/** crane pushes a layout's own index, not the one in it. */
async function layoutIndex(folder: string): Promise<Uint8Array<ArrayBuffer>> {
  return await Bun.file(join(folder, "in", "index.json")).bytes();
}

function multiArch(seed: number) {
  return imageIndex([
    layeredImage({ architecture: "amd64", layerCount: 3, seed: 50 + seed }),
    layeredImage({ architecture: "arm64", layerCount: 2, seed: 60 + seed }),
  ]);
}
