import { expect, test } from "bun:test";
import { join } from "node:path";
import { digestOf } from "../support/content.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { program, suite } from "../support/suite.ts";
import { differencesInLayout, imageIndex, layeredImage, writeLayout } from "./images.ts";
import {
  blobWritesDuring,
  fetchManifest,
  logMark,
  parseManifest,
  requestsSince,
  run,
  runAny,
  temporaryFolder,
} from "./support.ts";

const skopeo = program("skopeo");
const TEST_MS_MAX = 60_000;
/** Of both images of `multiArch` together. */
const LAYERS = 5;
/** Copies that change nothing: without this skopeo may compress or convert. */
const AS_IS = ["--all", "--preserve-digests", "--dest-tls-verify=false", "--src-tls-verify=false"];
const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";

suite("skopeo", [skopeo], () => {
  test(
    "a multi-arch index with multi-layer images goes to the registry and comes back bit for bit",
    async () => {
      await using registry = await RegistryProcess.start();
      await using folder = await temporaryFolder();
      const index = multiArch(1);
      await writeLayout(join(folder.path, "in"), index, "v1");
      const remote = `docker://${registry.host}/skopeo/multi:v1`;
      await copy(...AS_IS, `oci:${folder.path}/in:v1`, remote);

      const raw = await run([...SKOPEO, "inspect", "--raw", "--tls-verify=false", remote]);
      expect<string>(digestOf(raw.stdout)).toBe(index.descriptor.digest);
      await copy(...AS_IS, remote, `oci:${folder.path}/out:v1`);
      expect(await differencesInLayout(join(folder.path, "out"), index)).toEqual([]);
    },
    TEST_MS_MAX,
  );

  test(
    "a second copy of the same content uploads nothing",
    async () => {
      await using registry = await RegistryProcess.start();
      await using folder = await temporaryFolder();
      await writeLayout(folder.path, multiArch(2), "v1");
      const target = `docker://${registry.host}/skopeo/twice`;
      expect(
        await blobWritesDuring(registry, () => copy(...AS_IS, `oci:${folder.path}:v1`, `${target}:v1`)),
      ).not.toBeEmpty();
      expect(
        await blobWritesDuring(registry, () => copy(...AS_IS, `oci:${folder.path}:v1`, `${target}:v2`)),
      ).toEqual([]);
    },
    TEST_MS_MAX,
  );

  test(
    "a copy between repositories mounts the layers, keeps the digest and leaves no upload session behind",
    async () => {
      await using registry = await RegistryProcess.start();
      await using folder = await temporaryFolder();
      const index = multiArch(3);
      await writeLayout(folder.path, index, "v1");
      const source = `docker://${registry.host}/skopeo/source:v1`;
      await copy(...AS_IS, `oci:${folder.path}:v1`, source);
      const mark = logMark(registry);
      await copy(...AS_IS, source, `docker://${registry.host}/skopeo/target:v1`);
      const stored = await fetchManifest(registry, "skopeo/target", "v1");
      expect<string>(digestOf(stored.bytes)).toBe(index.descriptor.digest);
      const requests = await requestsSince(registry, mark);
      const mounted = requests.filter(({ method, status }) => method === "POST" && status === 201);
      expect(mounted).toHaveLength(LAYERS);
      const opened = requests.filter(({ method, status }) => method === "POST" && status === 202).length;
      const ended = requests.filter(
        ({ method, path, status }) =>
          path.includes("/blobs/uploads/") &&
          ((method === "PUT" && status === 201) || (method === "DELETE" && status === 204)),
      );
      expect(ended).toHaveLength(opened);
    },
    TEST_MS_MAX,
  );

  test(
    "an image converted to the Docker format keeps its layers",
    async () => {
      await using registry = await RegistryProcess.start();
      await using folder = await temporaryFolder();
      const image = layeredImage({ architecture: "amd64", layerCount: 3, seed: 4 });
      await writeLayout(folder.path, image, "v1");
      const remote = `docker://${registry.host}/skopeo/converted:v1`;
      await copy("--format", "v2s2", "--dest-tls-verify=false", `oci:${folder.path}:v1`, remote);
      const stored = await fetchManifest(registry, "skopeo/converted", "v1");
      expect(stored.mediaType).toBe(DOCKER_MANIFEST);
      expect(stored.digestHeader).toBe(digestOf(stored.bytes));
      const layers = parseManifest(stored.bytes).layers?.map(({ digest }) => digest);
      expect(layers).toEqual(image.layers.map(({ digest }) => digest));
    },
    TEST_MS_MAX,
  );

  test(
    "tags are listed, and what skopeo deletes is gone",
    async () => {
      await using registry = await RegistryProcess.start();
      await using folder = await temporaryFolder();
      const remote = `docker://${registry.host}/skopeo/tags`;
      for (const [seed, tag] of ["v1", "v2", "v3"].entries()) {
        const layout = join(folder.path, tag);
        await writeLayout(layout, layeredImage({ architecture: "amd64", layerCount: 1, seed }), tag);
        await copy(...AS_IS, `oci:${layout}:${tag}`, `${remote}:${tag}`);
      }
      expect(await tagsOf(remote)).toEqual(["v1", "v2", "v3"]);
      await run([...SKOPEO, "delete", "--tls-verify=false", `${remote}:v2`]);
      expect(await tagsOf(remote)).toEqual(["v1", "v3"]);
      const gone = await runAny([...SKOPEO, "inspect", "--raw", "--tls-verify=false", `${remote}:v2`]);
      expect(gone.exitCode).not.toBe(0);
      expect(gone.stderr).toContain("manifest unknown");
    },
    TEST_MS_MAX,
  );
});

/** The machine's own signature policy is not what is tested. */
const SKOPEO = [skopeo.path, "--insecure-policy"];

async function copy(...args: readonly string[]): Promise<void> {
  await run([...SKOPEO, "copy", "--quiet", ...args]);
}

async function tagsOf(remote: string): Promise<unknown> {
  const { stdout } = await run([...SKOPEO, "list-tags", "--tls-verify=false", remote]);
  const answer = JSON.parse(stdout) as { readonly Tags: readonly string[] };
  return answer.Tags;
}

function multiArch(seed: number) {
  return imageIndex([
    layeredImage({ architecture: "amd64", layerCount: 3, seed: 20 + seed }),
    layeredImage({ architecture: "arm64", layerCount: 2, seed: 30 + seed }),
  ]);
}
