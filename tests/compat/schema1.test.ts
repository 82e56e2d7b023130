import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { blobOf, digestOf } from "../support/content.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { openSchema1, PRETTY_JWS } from "../support/schema1.ts";
import { program, root, suite } from "../support/suite.ts";
import { type Content, describe, layeredImage, OCI_MANIFEST, writeLayout } from "./images.ts";
import { ContainerStorage } from "./container-storage.ts";
import { Dockerd } from "./dockerd.ts";
import { Distribution } from "./distribution.ts";
import { run, temporaryFolder } from "./support.ts";

const skopeo = program("skopeo");
const distribution = program("docker-registry");
const docker = program("docker");
const dockerd = program("dockerd");
const podman = program("podman");
const TEST_MS_MAX = 60_000;

suite("schema 1 with skopeo", [skopeo], () => {
  test(
    "skopeo converts an image and pushes it, and it comes back with every layer",
    async () => {
      await using registry = await RegistryProcess.start();
      await using folder = await temporaryFolder();
      const image = withHistory(1);
      await writeLayout(join(folder.path, "in"), image, "v1");
      const remote = `docker://${registry.host}/schema1/pushed:v1`;
      await copy("--format", "v2s1", `oci:${folder.path}/in:v1`, remote);
      const stored = await fetch(`${registry.url}/v2/schema1/pushed/manifests/v1`);
      const { payload } = openSchema1(await stored.bytes());
      expect(stored.headers.get("Content-Type")).toBe(PRETTY_JWS);
      expect<string | null>(stored.headers.get("Docker-Content-Digest")).toBe(digestOf(payload));
      await copy(remote, `dir:${folder.path}/out`);
      await requireLayers(join(folder.path, "out"), image);
    },
    TEST_MS_MAX,
  );

  test(
    "skopeo reads and copies what the registry converts",
    async () => {
      await using registry = await RegistryProcess.start({ args: ["--schema1", "table"] });
      await using folder = await temporaryFolder();
      const image = withHistory(2);
      await writeLayout(join(folder.path, "in"), image, "v1");
      await copy("--format", "oci", `oci:${folder.path}/in:v1`, `docker://${registry.host}/schema1/oci:v1`);
      // skopeo asks for schema 2 before schema 1, so what it shall read as schema 1 comes out of a folder.
      const answer = await fetch(`${registry.url}/v2/schema1/oci/manifests/v1`);
      const bytes = await answer.bytes();
      await Bun.write(join(folder.path, "converted", "manifest.json"), bytes);
      await Bun.write(join(folder.path, "converted", "version"), "Directory Transport Version: 1.1\n");
      for (const { blobSum } of JSON.parse(openSchema1(bytes).payload).fsLayers as { blobSum: string }[]) {
        const blob = await fetch(`${registry.url}/v2/schema1/oci/blobs/${blobSum}`);
        await Bun.write(join(folder.path, "converted", blobSum.slice("sha256:".length)), await blob.bytes());
      }
      const there = `dir:${folder.path}/converted`;
      const inspected = JSON.parse((await run([...SKOPEO, "inspect", there])).stdout);
      expect(inspected).toMatchObject({ Architecture: "amd64", Os: "linux", Env: ["A=1"] });
      await copy(there, `docker://${registry.host}/schema1/oci:again`);
      await copy("--format", "oci", there, `oci:${folder.path}/back:v1`);
      await requireLayers(join(folder.path, "back", "blobs", "sha256"), image);
    },
    TEST_MS_MAX,
  );
});

suite("schema 1 with docker and podman", [skopeo, docker, dockerd, podman, root()], () => {
  test(
    "both pull what was pushed as schema 1, and what the registry converted",
    async () => {
      await using registry = await RegistryProcess.start({ args: ["--schema1", "table"] });
      await using folder = await temporaryFolder();
      await using engine = await Dockerd.start({ docker: docker.path, dockerd: dockerd.path });
      await using storage = await ContainerStorage.create();
      const image = withHistory(5);
      await writeLayout(join(folder.path, "in"), image, "v1");
      const name = `${registry.host}/schema1/pulled`;
      await copy("--format", "v2s1", `oci:${folder.path}/in:v1`, `docker://${name}:pushed`);
      await copy("--format", "oci", `oci:${folder.path}/in:v1`, `docker://${name}:converted`);
      // Both would ask for the image as it is; pushed again it is nothing but schema 1.
      const path = `${registry.url}/v2/schema1/pulled/manifests/converted`;
      const body = await (await fetch(path)).bytes();
      const headers = { "Content-Type": PRETTY_JWS };
      expect((await fetch(path, { method: "PUT", headers, body })).status).toBe(201);
      for (const tag of ["pushed", "converted"]) {
        await engine.docker("pull", `${name}:${tag}`);
        const [inspected] = JSON.parse((await engine.docker("inspect", `${name}:${tag}`)).stdout);
        expect(inspected.RootFS.Layers).toEqual(image.diffIds);
        expect(inspected.Config.Env).toEqual(["A=1"]);
        await storage.podman("pull", "--tls-verify=false", `${name}:${tag}`);
        const [pulled] = JSON.parse(await storage.podman("inspect", `${name}:${tag}`));
        // podman 4 does not say which layers an image of schema 1 has.
        expect([pulled.RootFS.Layers.length, pulled.Config.Env]).toEqual([image.diffIds.length, ["A=1"]]);
      }
    },
    TEST_MS_MAX,
  );
});

suite("schema 1 with distribution's registry", [skopeo, distribution], () => {
  test(
    "both convert an image to the same bytes but for the signature",
    async () => {
      await using registry = await RegistryProcess.start({ args: ["--schema1", "table"] });
      await using folder = await temporaryFolder();
      await using other = await Distribution.withSchema1(folder.path);
      await writeLayout(join(folder.path, "in"), withHistory(3), "v1");
      const accepts = [
        ["", "*/*", "application/json", "application/vnd.docker.distribution.manifest.v1+json"],
        ["application/vnd.docker.distribution.manifest.list.v2+json", "text/html"],
        ["application/vnd.docker.distribution.manifest.v2+json"],
      ].flat();
      for (const { host } of [registry, other]) {
        await copy("--format", "v2s2", `oci:${folder.path}/in:v1`, `docker://${host}/schema1/same:v1`);
      }
      for (const Accept of accepts) {
        const [ours, theirs] = await Promise.all(
          [registry, other].map(async ({ host }) => {
            const answer = await fetch(`http://${host}/v2/schema1/same/manifests/v1`, {
              headers: { Accept },
            });
            const type = answer.headers.get("Content-Type");
            const bytes = await answer.bytes();
            const payload = type === PRETTY_JWS ? openSchema1(bytes).payload : Buffer.from(bytes).toString();
            return { type, payload, digest: answer.headers.get("Docker-Content-Digest") };
          }),
        );
        expect(ours).toEqual(theirs ?? { type: null, payload: "", digest: null });
      }
    },
    TEST_MS_MAX,
  );

  test(
    "what skopeo pushes to one goes from there to the other",
    async () => {
      await using registry = await RegistryProcess.start();
      await using folder = await temporaryFolder();
      await using other = await Distribution.withSchema1(folder.path);
      const image = withHistory(4);
      await writeLayout(join(folder.path, "in"), image, "v1");
      const [here, there] = [registry, other].map(({ host }) => `docker://${host}/schema1/moved:v1`);
      if (here === undefined || there === undefined) throw new Error("two registries");
      await copy("--format", "v2s1", `oci:${folder.path}/in:v1`, there);
      await copy(there, here);
      await copy(here, `docker://${other.host}/schema1/moved:v2`);
      await copy(`docker://${other.host}/schema1/moved:v2`, `dir:${folder.path}/out`);
      await requireLayers(join(folder.path, "out"), image);
    },
    TEST_MS_MAX,
  );
});

const POLICY = "--insecure-policy";
const SKOPEO = [skopeo.path, POLICY];

async function copy(...args: readonly string[]): Promise<void> {
  await run([...SKOPEO, "copy", "--src-tls-verify=false", "--dest-tls-verify=false", ...args]);
}

interface ImageWithHistory extends Content {
  readonly layers: readonly { readonly digest: string }[];
  readonly diffIds: readonly string[];
}

/** An image of two layers with a step between them that changed no file, and text that Go escapes. */
function withHistory(seed: number): ImageWithHistory {
  const plain = layeredImage({ architecture: "amd64", layerCount: 2, seed });
  const created = "2024-01-02T03:04:05.120Z";
  const config = blobOf(
    JSON.stringify({
      created,
      architecture: "amd64",
      os: "linux",
      config: { Env: ["A=1"], Cmd: ["sh", "-c", "echo <é> & true"], ExposedPorts: { "80/tcp": {} } },
      rootfs: { type: "layers", diff_ids: plain.diffIds },
      history: [
        { created, created_by: "ADD a <b> && c" },
        { created, created_by: "ENV A=1", empty_layer: true, comment: "why", author: "me" },
        { created: "2024-01-02T03:04:06Z", created_by: "COPY d" },
      ],
    }),
  );
  const gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
  const manifest = blobOf(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: describe("application/vnd.oci.image.config.v1+json", config),
      layers: plain.layers.map((layer) => describe(gzip, layer)),
    }),
  );
  const { layers, diffIds } = plain;
  return {
    descriptor: describe(OCI_MANIFEST, manifest),
    blobs: [manifest, config, ...layers],
    layers,
    diffIds,
  };
}

async function requireLayers(
  folder: string,
  image: { readonly layers: readonly { readonly digest: string }[] },
): Promise<void> {
  const files = await readdir(folder);
  for (const { digest } of image.layers) {
    const hex = digest.slice("sha256:".length);
    expect(files).toContain(hex);
    expect<string>(digestOf(await Bun.file(join(folder, hex)).bytes())).toBe(digest);
  }
}
