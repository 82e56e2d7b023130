import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { digestOf, seededBytes } from "../support/content.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { program, root, suite } from "../support/suite.ts";
import { bytesOnDisk } from "./bytes-on-disk.ts";
import { uploadContent } from "./content-upload.ts";
import { Dockerd } from "./dockerd.ts";
import { imageIndex, layeredImage, tarOf } from "./images.ts";
import {
  blobWrites,
  fetchBlob,
  fetchManifest,
  logMark,
  parseManifest,
  requestsSince,
  until,
} from "./support.ts";

const docker = program("docker");
const dockerd = program("dockerd");
const LAYERS = 4;
const TEST_MS_MAX = 60_000;
const MEBIBYTE = 1024 * 1024;

suite("docker", [docker, dockerd, root()], () => {
  let engine: Dockerd;
  let registry: RegistryProcess;

  beforeAll(async () => {
    registry = await RegistryProcess.start();
    engine = await Dockerd.start({ docker: docker.path, dockerd: dockerd.path });
  }, TEST_MS_MAX);

  afterAll(async () => {
    await engine?.[Symbol.asyncDispose]();
    await registry?.[Symbol.asyncDispose]();
  }, TEST_MS_MAX);

  test(
    "a built image with four layers comes back with the same ID and digest",
    async () => {
      const image = `${registry.host}/docker/built:v1`;
      await build(engine, image, "built");
      const { stdout } = await engine.docker("push", image);
      const pushed = digestIn(stdout);

      const stored = await fetchManifest(registry, "docker/built", "v1");
      expect<string>(digestOf(stored.bytes)).toBe(pushed);
      const { config, layers = [] } = parseManifest(stored.bytes);
      expect(layers).toHaveLength(LAYERS);
      for (const { digest } of layers) {
        const blob = await fetchBlob(registry, "docker/built", digest);
        expect<string>(digestOf(blob.bytes)).toBe(digest);
      }

      const before = await inspect(engine, image);
      expect(before.Id).toBe(config?.digest ?? "no config");
      await engine.docker("rmi", "--force", before.Id);
      expect((await engine.try("inspect", image)).exitCode).not.toBe(0);
      await engine.docker("pull", image);
      const after = await inspect(engine, image);
      expect(after.Id).toBe(before.Id);
      expect(after.RepoDigests).toEqual([`${registry.host}/docker/built@${pushed}`]);
      expect(after.RootFS.Layers).toEqual(before.RootFS.Layers);
    },
    TEST_MS_MAX,
  );

  test(
    "a second push of the same image skips every layer and uploads nothing",
    async () => {
      const image = `${registry.host}/docker/twice:v1`;
      await build(engine, image, "twice");
      const before = logMark(registry);
      const first = await engine.docker("push", image);
      expect(first.stdout.match(/: Pushed/g)).toHaveLength(LAYERS);
      expect(blobWrites(await requestsSince(registry, before))).not.toBeEmpty();

      const mark = logMark(registry);
      const second = await engine.docker("push", image);
      expect(second.stdout.match(/: Layer already exists/g)).toHaveLength(LAYERS);
      expect(second.stdout).not.toContain(": Pushed");
      expect(digestIn(second.stdout)).toBe(digestIn(first.stdout));
      const requests = await requestsSince(registry, mark);
      expect(blobWrites(requests)).toEqual([]);
      expect(requests.filter(({ method }) => method === "PUT").map(({ path }) => path)).toEqual([
        "/v2/docker/twice/manifests/v1",
      ]);
    },
    TEST_MS_MAX,
  );

  test(
    "layers are mounted from another repository of the registry",
    async () => {
      const source = `${registry.host}/docker/source:v1`;
      const target = `${registry.host}/docker/target:v1`;
      await build(engine, source, "mounted");
      const first = await engine.docker("push", source);
      await engine.docker("tag", source, target);
      const mark = logMark(registry);
      const second = await engine.docker("push", target);
      expect(second.stdout.match(/: Mounted from docker\/source/g)).toHaveLength(LAYERS);
      expect(digestIn(second.stdout)).toBe(digestIn(first.stdout));
      const requests = await requestsSince(registry, mark);
      const mounts = requests.filter(({ method, status }) => method === "POST" && status === 201);
      expect(mounts).toHaveLength(LAYERS);
    },
    TEST_MS_MAX,
  );

  test(
    "a multi-arch OCI index is pulled, and the image is the one of this platform",
    async () => {
      const images = [
        layeredImage({ architecture: "amd64", layerCount: 3, seed: 1 }),
        layeredImage({ architecture: "arm64", layerCount: 2, seed: 2 }),
      ] as const;
      const index = imageIndex(images);
      await uploadContent(registry, "docker/multi", index, "v1");
      const name = `${registry.host}/docker/multi`;
      for (const [at, platform] of ["linux/amd64", "linux/arm64"].entries()) {
        const { stdout } = await engine.docker("pull", "--platform", platform, `${name}:v1`);
        expect(stdout).toContain(`Digest: ${index.descriptor.digest}`);
        const pulled = await inspect(engine, `${name}:v1`);
        expect(pulled.Id).toBe(images[at]?.config.digest ?? "no image");
        expect(pulled.RootFS.Layers).toEqual([...(images[at]?.diffIds ?? [])]);
      }
    },
    TEST_MS_MAX,
  );

  test(
    "a manifest list that docker made keeps its children and its digest",
    async () => {
      const name = `${registry.host}/docker/list`;
      for (const architecture of ["amd64", "arm64"]) {
        await build(engine, `${name}:${architecture}`, architecture);
        await engine.docker("push", `${name}:${architecture}`);
      }
      await engine.docker("manifest", "create", "--insecure", `${name}:v1`, `${name}:amd64`, `${name}:arm64`);
      await engine.docker("manifest", "annotate", "--arch", "arm64", `${name}:v1`, `${name}:arm64`);
      const { stdout } = await engine.docker("manifest", "push", "--insecure", `${name}:v1`);
      const stored = await fetchManifest(registry, "docker/list", "v1");
      expect(stdout).toContain(digestOf(stored.bytes));
      expect(stored.mediaType).toBe("application/vnd.docker.distribution.manifest.list.v2+json");
      const { manifests = [] } = parseManifest(stored.bytes);
      expect(manifests.map(({ platform }) => platform?.architecture)).toEqual(["amd64", "arm64"]);
      for (const { digest } of manifests) {
        const child = await fetchManifest(registry, "docker/list", digest);
        expect<string>(digestOf(child.bytes)).toBe(digest);
      }
    },
    TEST_MS_MAX,
  );

  test(
    "a push goes on by itself when the registry is killed in the middle of a layer and comes back",
    async () => {
      await using fragile = await RegistryProcess.start();
      const image = `${fragile.host}/docker/killed:v1`;
      const tar = tarOf({ "data.bin": seededBytes(64 * MEBIBYTE, 5) });
      const file = join(engine.folder, "killed.tar");
      await Bun.write(file, tar);
      await engine.docker("import", file, image);

      const push = engine.docker("push", image);
      await until("a part of the layer is on disk", async () => {
        return (await bytesOnDisk(fragile.dataDir)) > 8 * MEBIBYTE;
      });
      await fragile.kill("SIGKILL");
      expect(await bytesOnDisk(fragile.dataDir)).toBeLessThan(64 * MEBIBYTE);
      await fragile.start();

      const pushed = digestIn((await push).stdout);
      const { bytes } = await fetchManifest(fragile, "docker/killed", "v1");
      expect<string>(digestOf(bytes)).toBe(pushed);
      const layer = parseManifest(bytes).layers?.[0]?.digest ?? "no layer";
      const stored = await fetchBlob(fragile, "docker/killed", layer);
      expect(digestOf(Bun.gunzipSync(stored.bytes))).toBe(digestOf(tar));
    },
    TEST_MS_MAX,
  );
});

/** Builds an image of LAYERS layers with the engine's own builder; another `salt` makes other layers. */
async function build(engine: Dockerd, image: string, salt: string): Promise<void> {
  const context = join(engine.folder, `context-${salt}`);
  await mkdir(context, { recursive: true });
  const lines = ["FROM scratch"];
  for (let layer = 0; layer < LAYERS; layer++) {
    await Bun.write(join(context, `file-${layer}`), `${salt} ${layer}`);
    lines.push(`COPY file-${layer} /file-${layer}`);
  }
  await Bun.write(join(context, "Dockerfile"), `${lines.join("\n")}\n`);
  await engine.docker("build", "--tag", image, context);
}

interface Inspected {
  readonly Id: string;
  readonly RepoDigests: readonly string[];
  readonly RootFS: { readonly Layers: readonly string[] };
}

async function inspect(engine: Dockerd, image: string): Promise<Inspected> {
  const { stdout } = await engine.docker("inspect", image);
  const [inspected] = JSON.parse(stdout) as Inspected[];
  if (inspected === undefined) throw new Error(`docker inspect ${image} gave nothing`);
  return inspected;
}

/** The digest in the last line of `docker push`. */
function digestIn(output: string): string {
  return /digest: (sha256:[0-9a-f]{64}) size/.exec(output)?.[1] ?? `no digest in ${output}`;
}
