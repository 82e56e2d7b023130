import { expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { blobOf, digestOf, seededBytes } from "../support/content.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { program, suite } from "../support/suite.ts";
import { uploadContent } from "./content-upload.ts";
import { differencesInLayout, imageIndex, layeredImage, tarOf, writeLayout } from "./images.ts";
import {
  blobWritesDuring,
  fetchBlob,
  fetchManifest,
  parseManifest,
  run,
  runAny,
  temporaryFolder,
} from "./support.ts";

const tool = program("oras");
const TEST_MS_MAX = 60_000;
const HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json";
const HELM_CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

suite("oras", [tool], () => {
  test(
    "files of an artifact come back as they were pushed",
    async () => {
      await using registry = await RegistryProcess.start();
      await using folder = await temporaryFolder();
      const files = { "a.txt": "first", "b.bin": seededBytes(300_000, 1) };
      for (const [name, content] of Object.entries(files)) await Bun.write(join(folder.path, name), content);
      const reference = `${registry.host}/oras/files:v1`;
      const digest = await orasDigest(
        ["push", "--artifact-type", "application/vnd.example.files", reference, ...Object.keys(files)],
        folder.path,
      );
      const stored = await fetchManifest(registry, "oras/files", "v1");
      expect<string>(digestOf(stored.bytes)).toBe(digest);
      expect(parseManifest(stored.bytes).artifactType).toBe("application/vnd.example.files");

      await oras(["pull", "--plain-http", "--output", "out", reference], folder.path);
      for (const [name, content] of Object.entries(files)) {
        const pulled = await Bun.file(join(folder.path, "out", name)).bytes();
        expect(digestOf(pulled)).toBe(digestOf(content));
      }
    },
    TEST_MS_MAX,
  );

  test(
    "what is attached to an image is found through it and comes along with a recursive copy",
    async () => {
      await using registry = await RegistryProcess.start();
      await using folder = await temporaryFolder();
      const image = layeredImage({ architecture: "amd64", layerCount: 3, seed: 71 });
      await uploadContent(registry, "oras/subject", image, "v1");
      await Bun.write(join(folder.path, "sbom.json"), '{"packages":[]}');
      await Bun.write(join(folder.path, "signature"), "signed");
      const reference = `${registry.host}/oras/subject:v1`;
      const attach = async (type: string, file: string) =>
        await orasDigest(["attach", "--artifact-type", type, reference, file], folder.path);
      const sbom = await attach("application/vnd.example.sbom", "sbom.json");
      const signature = await attach("application/vnd.example.signature", "signature");
      const stored = await fetchManifest(registry, "oras/subject", sbom);
      expect<string>(digestOf(stored.bytes)).toBe(sbom);
      expect(parseManifest(stored.bytes).subject?.digest).toBe(image.descriptor.digest);

      expect(await referrersOf(reference)).toEqual([sbom, signature].sort());
      const type = "application/vnd.example.sbom";
      expect(await referrersOf(reference, "--artifact-type", type)).toEqual([sbom]);

      const target = `${registry.host}/oras/copied:v1`;
      await oras(["cp", "--recursive", "--from-plain-http", "--to-plain-http", reference, target]);
      expect(await referrersOf(target)).toEqual(await referrersOf(reference));
      const copied = await fetchManifest(registry, "oras/copied", "v1");
      expect<string>(digestOf(copied.bytes)).toBe(image.descriptor.digest);
    },
    TEST_MS_MAX,
  );

  test(
    "a chart is stored with the media types of Helm and comes back",
    async () => {
      await using registry = await RegistryProcess.start();
      await using folder = await temporaryFolder();
      const chart = blobOf(Bun.gzipSync(tarOf({ "app/Chart.yaml": "name: app\nversion: 1.0.0+build\n" })));
      const config = blobOf(JSON.stringify({ name: "app", version: "1.0.0+build", apiVersion: "v2" }));
      await Bun.write(join(folder.path, "app-1.0.0.tgz"), chart.bytes);
      await Bun.write(join(folder.path, "config.json"), config.bytes);
      // Helm turns the "+" of a version into "_", which tags may have.
      const reference = `${registry.host}/charts/app:1.0.0_build`;
      await orasDigest(
        ["push", "--config", `config.json:${HELM_CONFIG}`, reference, `app-1.0.0.tgz:${HELM_CHART}`],
        folder.path,
      );
      const { bytes } = await fetchManifest(registry, "charts/app", "1.0.0_build");
      const manifest = parseManifest(bytes);
      expect(manifest.config).toMatchObject({ mediaType: HELM_CONFIG, digest: config.digest });
      expect(manifest.layers).toMatchObject([{ mediaType: HELM_CHART, digest: chart.digest }]);
      await oras(["pull", "--plain-http", "--output", "out", reference], folder.path);
      const pulled = await Bun.file(join(folder.path, "out", "app-1.0.0.tgz")).bytes();
      expect(digestOf(pulled)).toBe(chart.digest);
    },
    TEST_MS_MAX,
  );

  test(
    "a multi-arch index is copied in from a layout and out to another bit for bit, and again without uploads",
    async () => {
      await using registry = await RegistryProcess.start();
      await using folder = await temporaryFolder();
      const index = imageIndex([
        layeredImage({ architecture: "amd64", layerCount: 3, seed: 72 }),
        layeredImage({ architecture: "arm64", layerCount: 2, seed: 73 }),
      ]);
      await writeLayout(join(folder.path, "in"), index, "v1");
      const reference = `${registry.host}/oras/multi`;
      const copyIn = async (tag: string) =>
        await oras(
          ["cp", "--from-oci-layout", "--to-plain-http", "in:v1", `${reference}:${tag}`],
          folder.path,
        );
      await copyIn("v1");
      expect((await oras(["resolve", "--plain-http", `${reference}:v1`])).trim()).toBe(
        index.descriptor.digest,
      );
      const copyOut = ["cp", "--from-plain-http", "--to-oci-layout", `${reference}:v1`, "out:v1"];
      await oras(copyOut, folder.path);
      expect(await differencesInLayout(join(folder.path, "out"), index)).toEqual([]);
      expect(await blobWritesDuring(registry, () => copyIn("v2"))).toEqual([]);
    },
    TEST_MS_MAX,
  );

  test(
    "blobs are pushed, fetched and deleted by digest, also an empty one",
    async () => {
      await using registry = await RegistryProcess.start();
      await using folder = await temporaryFolder();
      await mkdir(join(folder.path, "out"));
      for (const [name, blob] of Object.entries({
        large: blobOf(seededBytes(3_000_000, 7)),
        empty: blobOf(""),
      })) {
        await Bun.write(join(folder.path, name), blob.bytes);
        const reference = `${registry.host}/oras/blobs@${blob.digest}`;
        await oras(["blob", "push", "--plain-http", reference, name], folder.path);
        const stored = await fetchBlob(registry, "oras/blobs", blob.digest);
        expect(digestOf(stored.bytes)).toBe(blob.digest);
        await oras(["blob", "fetch", "--plain-http", "--output", `out/${name}`, reference], folder.path);
        const fetched = await Bun.file(join(folder.path, "out", name)).bytes();
        expect(digestOf(fetched)).toBe(blob.digest);
        await oras(["blob", "delete", "--plain-http", "--force", reference]);
        const gone = await runAny([tool.path, "blob", "fetch", "--plain-http", "--output", "-", reference]);
        expect(gone.exitCode).not.toBe(0);
      }
    },
    TEST_MS_MAX,
  );

  test(
    "tags and repositories are listed, and a deleted manifest is gone",
    async () => {
      await using registry = await RegistryProcess.start();
      const image = layeredImage({ architecture: "amd64", layerCount: 1, seed: 74 });
      for (const tag of ["v1", "v2"]) await uploadContent(registry, "oras/tags", image, tag);
      const name = `${registry.host}/oras/tags`;
      expect((await oras(["repo", "tags", "--plain-http", name])).trim().split("\n")).toEqual(["v1", "v2"]);
      expect((await oras(["repo", "ls", "--plain-http", registry.host])).trim()).toBe("oras/tags");
      const reference = `${name}@${image.descriptor.digest}`;
      await oras(["manifest", "delete", "--plain-http", "--force", reference]);
      const gone = await runAny([tool.path, "resolve", "--plain-http", `${name}:v1`]);
      expect(gone.exitCode).not.toBe(0);
    },
    TEST_MS_MAX,
  );
});

/** Runs oras and resolves with its output. @throws Error unless it succeeds */
async function oras(args: readonly string[], cwd?: string): Promise<string> {
  return (await run([tool.path, ...args], cwd === undefined ? {} : { cwd })).stdout;
}

/** Runs a command of oras that makes a manifest; resolves with the digest that oras computed. */
async function orasDigest([command = "", ...args]: readonly string[], cwd: string): Promise<string> {
  const output = await oras([command, "--plain-http", "--no-tty", "--format", "json", ...args], cwd);
  const answer = JSON.parse(output) as { readonly digest: string };
  return answer.digest;
}

/** Digests of what refers to `reference`, sorted. */
async function referrersOf(reference: string, ...args: readonly string[]): Promise<string[]> {
  const output = await oras(["discover", "--plain-http", "--format", "json", ...args, reference]);
  const answer = JSON.parse(output) as { readonly referrers?: readonly { readonly digest: string }[] };
  return (answer.referrers ?? []).map(({ digest }) => digest).sort();
}
