import { expect, test } from "bun:test";
import { join } from "node:path";
import { blobOf, digestOf, seededBytes } from "../support/content.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { suite } from "../support/suite.ts";
import { uploadContent } from "./content-upload.ts";
import {
  artifactOf,
  differencesInLayout,
  imageIndex,
  layeredImage,
  OCI_INDEX,
  writeLayout,
} from "./images.ts";
import {
  blobWritesDuring,
  fetchBlob,
  fetchManifest,
  logMark,
  parseManifest,
  requestsSince,
  runAny,
  temporaryFolder,
} from "./support.ts";
import { regctl, regctlCommand, regctlProgram } from "./regctl.ts";

const TEST_MS_MAX = 60_000;

suite("regctl", [regctlProgram], () => {
  test(
    "a multi-arch index is copied in from a layout and out to another bit for bit, and again without uploads",
    async () => {
      await using registry = await RegistryProcess.start();
      await using folder = await temporaryFolder();
      const index = multiArch(1);
      await writeLayout(join(folder.path, "in"), index, "v1");
      const image = `${registry.host}/regctl/multi`;
      await regctl(registry, ["image", "copy", `ocidir://${folder.path}/in:v1`, `${image}:v1`]);
      const digest = await regctl(registry, ["image", "digest", `${image}:v1`]);
      expect(digest.trim()).toBe(index.descriptor.digest);
      await regctl(registry, ["image", "copy", `${image}:v1`, `ocidir://${folder.path}/out:v1`]);
      expect(await differencesInLayout(join(folder.path, "out"), index)).toEqual([]);

      expect(
        await blobWritesDuring(registry, () =>
          regctl(registry, ["image", "copy", `ocidir://${folder.path}/in:v1`, `${image}:v2`]),
        ),
      ).toEqual([]);
    },
    TEST_MS_MAX,
  );

  test(
    "an artifact with a subject is found through it and comes along with a copy, also by digest tag",
    async () => {
      await using registry = await RegistryProcess.start();
      const image = layeredImage({ architecture: "amd64", layerCount: 3, seed: 81 });
      await uploadContent(registry, "regctl/subject", image, "v1");
      const name = `${registry.host}/regctl/subject`;
      const type = "application/vnd.example.sbom";
      const put = ["artifact", "put", "--artifact-type", type, "--subject", `${name}:v1`];
      await regctl(registry, put, "bill of materials");
      // What cosign did before there were referrers.
      const signature = artifactOf(image, "application/vnd.example.signature", "signed");
      const digestTag = `${image.descriptor.digest.replace(":", "-")}.sig`;
      await uploadContent(registry, "regctl/subject", signature, digestTag);

      const get = ["artifact", "get", "--filter-artifact-type", type, "--subject"];
      expect(await regctl(registry, [...get, `${name}:v1`])).toBe("bill of materials");
      const target = `${registry.host}/regctl/copied`;
      await regctl(registry, ["image", "copy", "--referrers", "--digest-tags", `${name}:v1`, `${target}:v1`]);
      expect(await regctl(registry, [...get, `${target}:v1`])).toBe("bill of materials");
      const stored = await fetchManifest(registry, "regctl/copied", digestTag);
      expect<string>(digestOf(stored.bytes)).toBe(signature.descriptor.digest);
    },
    TEST_MS_MAX,
  );

  test(
    "an index created from pushed images lists them",
    async () => {
      await using registry = await RegistryProcess.start();
      const name = `${registry.host}/regctl/list`;
      const digests: string[] = [];
      for (const architecture of ["amd64", "arm64"] as const) {
        const image = layeredImage({ architecture, layerCount: 2, seed: 82 });
        await uploadContent(registry, "regctl/list", image, architecture);
        digests.push(image.descriptor.digest);
      }
      const refs = ["--ref", `${name}:amd64`, "--ref", `${name}:arm64`];
      await regctl(registry, ["index", "create", ...refs, `${name}:v1`]);
      const stored = await fetchManifest(registry, "regctl/list", "v1");
      expect(stored.mediaType).toBe(OCI_INDEX);
      expect(stored.digestHeader).toBe(digestOf(stored.bytes));
      expect(parseManifest(stored.bytes).manifests?.map(({ digest }) => digest)).toEqual(digests);
    },
    TEST_MS_MAX,
  );

  test(
    "an image modified in the registry has sha512 digests throughout",
    async () => {
      await using registry = await RegistryProcess.start();
      const image = layeredImage({ architecture: "amd64", layerCount: 2, seed: 83 });
      await uploadContent(registry, "regctl/sha512", image, "v1");
      const name = `${registry.host}/regctl/sha512`;
      await regctl(registry, ["image", "mod", "--digest-algo", "sha512", "--create", "v2", `${name}:v1`]);
      const { bytes } = await fetchManifest(registry, "regctl/sha512", "v2");
      const { config, layers = [] } = parseManifest(bytes);
      expect(layers).toHaveLength(2);
      for (const digest of [config?.digest ?? "no config", ...layers.map((layer) => layer.digest)]) {
        const stored = await fetchBlob(registry, "regctl/sha512", digest);
        expect<string>(digestOf(stored.bytes, "sha512")).toBe(digest);
      }
      const head = await regctl(registry, ["image", "digest", `${name}@${digestOf(bytes, "sha512")}`]);
      expect(head.trim()).toBe(digestOf(bytes, "sha512"));
    },
    TEST_MS_MAX,
  );

  test(
    "a blob is uploaded in chunks, read back and mounted elsewhere",
    async () => {
      await using registry = await RegistryProcess.start();
      const blob = blobOf(seededBytes(5_000_000, 84));
      const mark = logMark(registry);
      const put = await regctl(registry, ["blob", "put", `${registry.host}/regctl/blobs`], blob.bytes);
      expect(put.trim()).toBe(blob.digest);
      const requests = await requestsSince(registry, mark);
      // 5,000,000 bytes in chunks of 1 MiB, which is what regctl takes from a stream of unknown length.
      expect(requests.filter(({ method, status }) => method === "PATCH" && status === 202)).toHaveLength(5);
      expect(digestOf((await fetchBlob(registry, "regctl/blobs", blob.digest)).bytes)).toBe(blob.digest);

      const names = ["regctl/blobs", "regctl/mounted"].map((name) => `${registry.host}/${name}`);
      expect(
        await blobWritesDuring(registry, () => regctl(registry, ["blob", "copy", ...names, blob.digest])),
      ).toEqual(["POST /v2/regctl/mounted/blobs/uploads/ 201"]);
      expect(digestOf((await fetchBlob(registry, "regctl/mounted", blob.digest)).bytes)).toBe(blob.digest);
    },
    TEST_MS_MAX,
  );

  test(
    "tags and repositories are listed, and a deleted tag leaves the other tags of its manifest",
    async () => {
      await using registry = await RegistryProcess.start();
      const image = layeredImage({ architecture: "amd64", layerCount: 1, seed: 85 });
      for (const tag of ["v1", "v2"]) await uploadContent(registry, "regctl/tags", image, tag);
      const name = `${registry.host}/regctl/tags`;
      expect((await regctl(registry, ["repo", "ls", registry.host])).trim()).toBe("regctl/tags");
      expect((await regctl(registry, ["tag", "ls", name])).trim().split("\n")).toEqual(["v1", "v2"]);
      await regctl(registry, ["tag", "delete", `${name}:v1`]);
      expect((await regctl(registry, ["tag", "ls", name])).trim()).toBe("v2");
      const kept = await fetchManifest(registry, "regctl/tags", "v2");
      expect<string>(digestOf(kept.bytes)).toBe(image.descriptor.digest);
      const gone = await runAny(regctlCommand(registry.host, ["image", "digest", `${name}:v1`]));
      expect(gone.exitCode).not.toBe(0);
    },
    TEST_MS_MAX,
  );
});

function multiArch(seed: number) {
  return imageIndex([
    layeredImage({ architecture: "amd64", layerCount: 3, seed: 90 + seed }),
    layeredImage({ architecture: "arm64", layerCount: 2, seed: 95 + seed }),
  ]);
}
