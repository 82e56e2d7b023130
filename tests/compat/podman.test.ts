import { expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { digestOf } from "../support/content.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { program, root, suite } from "../support/suite.ts";
import { ContainerStorage } from "./container-storage.ts";
import { uploadContent } from "./content-upload.ts";
import { imageIndex, layeredImage, OCI_INDEX } from "./images.ts";
import { blobWrites, fetchBlob, fetchManifest, logMark, parseManifest, requestsSince } from "./support.ts";

const podman = program("podman");
const buildah = program("buildah");
const LAYERS = 3;
const TEST_MS_MAX = 60_000;

suite("podman", [podman, root()], () => {
  for (const format of ["oci", "docker"] as const) {
    test(
      `an image built in the ${format} format comes back with the same ID and digest`,
      async () => {
        await using registry = await RegistryProcess.start();
        await using storage = await ContainerStorage.create();
        const image = `${registry.host}/podman/${format}:v1`;
        const id = await build(storage, image, format);
        const pushed = await push(storage, image);

        const stored = await fetchManifest(registry, `podman/${format}`, "v1");
        expect<string>(digestOf(stored.bytes)).toBe(pushed);
        const { config, layers = [] } = parseManifest(stored.bytes);
        expect(config?.digest).toBe(`sha256:${id}`);
        expect(layers).toHaveLength(LAYERS);
        for (const { digest } of layers) {
          const blob = await fetchBlob(registry, `podman/${format}`, digest);
          expect<string>(digestOf(blob.bytes)).toBe(digest);
        }

        await storage.podman("rmi", "--force", id);
        await storage.podman("pull", "--tls-verify=false", image);
        const pulled = await storage.podman("inspect", "--format", "{{.Id}} {{.Digest}}", image);
        expect(pulled.trim()).toBe(`${id} ${pushed}`);
      },
      TEST_MS_MAX,
    );
  }

  test(
    "a second push of the same image uploads nothing",
    async () => {
      await using registry = await RegistryProcess.start();
      await using storage = await ContainerStorage.create();
      const image = `${registry.host}/podman/twice:v1`;
      await build(storage, image, "oci");
      const before = logMark(registry);
      const first = await push(storage, image);
      expect(blobWrites(await requestsSince(registry, before))).not.toBeEmpty();
      const mark = logMark(registry);
      expect(await push(storage, image)).toBe(first);
      expect(blobWrites(await requestsSince(registry, mark))).toEqual([]);
    },
    TEST_MS_MAX,
  );

  test(
    "zstd:chunked layers come back with the same ID",
    async () => {
      await using registry = await RegistryProcess.start();
      await using storage = await ContainerStorage.create();
      const image = `${registry.host}/podman/zstd:v1`;
      const id = await build(storage, image, "oci");
      const pushed = await push(storage, image, "--compression-format", "zstd:chunked");
      const stored = await fetchManifest(registry, "podman/zstd", "v1");
      expect<string>(digestOf(stored.bytes)).toBe(pushed);
      const types = parseManifest(stored.bytes).layers?.map(({ mediaType }) => mediaType);
      expect(types).toEqual(Array(LAYERS).fill("application/vnd.oci.image.layer.v1.tar+zstd"));
      await storage.podman("rmi", "--force", id);
      await storage.podman("pull", "--tls-verify=false", image);
      expect((await storage.podman("inspect", "--format", "{{.Id}}", image)).trim()).toBe(id);
    },
    TEST_MS_MAX,
  );

  test(
    "a multi-arch index is pulled, and the image is the one of the platform",
    async () => {
      await using registry = await RegistryProcess.start();
      await using storage = await ContainerStorage.create();
      const images = [
        layeredImage({ architecture: "amd64", layerCount: 3, seed: 11 }),
        layeredImage({ architecture: "arm64", layerCount: 2, seed: 12 }),
      ];
      await uploadContent(registry, "podman/multi", imageIndex(images), "v1");
      for (const image of images) {
        const platform = `linux/${image.descriptor.platform?.architecture}`;
        const name = `${registry.host}/podman/multi:v1`;
        const id = await storage.podman(
          "pull",
          "--tls-verify=false",
          "--quiet",
          "--platform",
          platform,
          name,
        );
        expect(`sha256:${id.trim()}`).toBe(image.config.digest);
      }
    },
    TEST_MS_MAX,
  );

  test(
    "a manifest list that podman made is stored with all its images",
    async () => {
      await using registry = await RegistryProcess.start();
      await using storage = await ContainerStorage.create();
      const ids = new Set<string>();
      await storage.podman("manifest", "create", "local-list");
      for (const architecture of ["amd64", "arm64"]) {
        const image = `localhost/${architecture}:v1`;
        ids.add(await build(storage, image, "oci", "--platform", `linux/${architecture}`));
        await storage.podman("manifest", "add", "local-list", `containers-storage:${image}`);
      }
      const target = `docker://${registry.host}/podman/list:v1`;
      await storage.podman("manifest", "push", "--all", "--tls-verify=false", "local-list", target);
      const stored = await fetchManifest(registry, "podman/list", "v1");
      expect(stored.mediaType).toBe(OCI_INDEX);
      const { manifests = [] } = parseManifest(stored.bytes);
      const storedIds = new Set<string>();
      for (const { digest } of manifests) {
        const child = await fetchManifest(registry, "podman/list", digest);
        expect<string>(digestOf(child.bytes)).toBe(digest);
        const config = parseManifest(child.bytes).config?.digest ?? "no config";
        expect<string>(digestOf((await fetchBlob(registry, "podman/list", config)).bytes)).toBe(config);
        storedIds.add(config.replace("sha256:", ""));
      }
      expect(ids.size).toBe(2);
      expect(storedIds).toEqual(ids);
    },
    TEST_MS_MAX,
  );
});

suite("buildah", [buildah, root()], () => {
  test(
    "an image made without a Dockerfile comes back with the same ID and digest",
    async () => {
      await using registry = await RegistryProcess.start();
      await using storage = await ContainerStorage.create();
      const file = join(storage.folder, "hello.txt");
      await Bun.write(file, "made by buildah");
      const container = (await storage.buildah("from", "scratch")).trim();
      await storage.buildah("copy", container, file, "/hello.txt");
      await storage.buildah("config", "--label", "made=by-hand", container);
      const id = (await storage.buildah("commit", "--quiet", "--rm", container, "by-hand")).trim();

      const image = `docker://${registry.host}/buildah/by-hand:v1`;
      const digestFile = join(storage.folder, "digest");
      await storage.buildah("push", "--tls-verify=false", "--digestfile", digestFile, id, image);
      const { bytes } = await fetchManifest(registry, "buildah/by-hand", "v1");
      expect<string>(digestOf(bytes)).toBe(await Bun.file(digestFile).text());

      await storage.buildah("rmi", "--force", id);
      expect((await storage.buildah("images", "--quiet")).trim()).toBe("");
      const pulled = await storage.buildah("pull", "--quiet", "--tls-verify=false", image);
      expect(pulled.trim()).toBe(id);
    },
    TEST_MS_MAX,
  );
});

/** Builds an image of LAYERS layers; resolves with its ID. */
async function build(
  storage: ContainerStorage,
  image: string,
  format: "oci" | "docker",
  ...args: readonly string[]
): Promise<string> {
  const context = join(storage.folder, "context");
  await mkdir(context, { recursive: true });
  const lines = ["FROM scratch"];
  for (let layer = 0; layer < LAYERS; layer++) {
    await Bun.write(join(context, `file-${layer}`), `${image} ${layer}`);
    lines.push(`COPY file-${layer} /file-${layer}`);
  }
  await Bun.write(join(context, "Dockerfile"), `${lines.join("\n")}\n`);
  const options = ["--quiet", "--isolation", "chroot", "--layers", "--format", format, "--tag", image];
  return (await storage.podman("build", ...options, ...args, context)).trim();
}

/** Pushes; resolves with the digest that podman computed. */
async function push(storage: ContainerStorage, image: string, ...args: readonly string[]): Promise<string> {
  const digestFile = join(storage.folder, "digest");
  await storage.podman("push", "--tls-verify=false", "--digestfile", digestFile, ...args, image);
  return await Bun.file(digestFile).text();
}
