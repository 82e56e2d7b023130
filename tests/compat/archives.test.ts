import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { blobOf, digestOf, seededBytes } from "../support/content.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { program, root, suite } from "../support/suite.ts";
import { savedImage, tarOfParts } from "../support/tar.ts";
import { ContainerStorage } from "./container-storage.ts";
import { uploadContent } from "./content-upload.ts";
import { Dockerd } from "./dockerd.ts";
import { differencesInLayout, imageIndex, layeredImage, writeLayout } from "./images.ts";
import { fetchManifest, parseManifest, run, runAny, temporaryFolder, until } from "./support.ts";

const curl = program("curl");
const docker = program("docker");
const dockerd = program("dockerd");
const ctr = program("ctr");
const podman = program("podman");
const skopeo = program("skopeo");
const crane = program("crane");
const TEST_MS_MAX = 90_000;

const TAR = "Content-Type: application/x-tar";
const ACCEPT = "Accept: application/x-tar";

let registry: RegistryProcess;

beforeAll(async () => {
  registry = await RegistryProcess.start();
}, TEST_MS_MAX);

afterAll(async () => {
  await registry?.[Symbol.asyncDispose]();
}, TEST_MS_MAX);

const addressOf = (path: string) => `${registry.url}/v2/${path}`;

/** Sends a file as people do; resolves with the status. */
async function putFile(path: string, file: string): Promise<string> {
  const { stdout } = await run([
    curl.path,
    "-sS",
    "-w",
    "%{http_code}",
    "-T",
    file,
    "-H",
    TAR,
    addressOf(path),
  ]);
  return stdout;
}

async function getFile(path: string, file: string): Promise<void> {
  await run([curl.path, "-fsS", "-o", file, "-H", ACCEPT, addressOf(path)]);
}

suite("archives over HTTP and docker", [curl, docker, dockerd, root()], () => {
  let engine: Dockerd;

  beforeAll(async () => {
    engine = await Dockerd.start({ docker: docker.path, dockerd: dockerd.path });
  }, TEST_MS_MAX);

  afterAll(async () => {
    await engine?.[Symbol.asyncDispose]();
  }, TEST_MS_MAX);

  const shell = (command: string) =>
    run(["sh", "-c", command], {
      env: {
        D: `${docker.path} --host unix://${join(engine.folder, "socket")}`,
        U: registry.url,
        C: curl.path,
      },
    });
  const idOf = async (image: string) =>
    (await engine.docker("inspect", "--format", "{{.Id}}", image)).stdout.trim();

  test(
    "docker save | curl imports an image that docker pulls with the same ID; twice it has the same digest",
    async () => {
      const id = await build(engine, "saved:1.0", 4);
      for (const pack of ["cat", "gzip"]) {
        await shell(
          `$D save saved:1.0 | ${pack} | $C -fsS -T - -H '${TAR}' $U/v2/docker/saved/manifests/${pack}`,
        );
      }
      const [one, two] = [
        await fetchManifest(registry, "docker/saved", "cat"),
        await fetchManifest(registry, "docker/saved", "gzip"),
      ];
      expect(one.digestHeader).toBe(two.digestHeader);
      expect(parseManifest(one.bytes).config?.digest).toBe(id);
      await engine.docker("rmi", "--force", id);
      const image = `${registry.host}/docker/saved:cat`;
      await engine.docker("pull", image);
      expect(await idOf(image)).toBe(id);
    },
    TEST_MS_MAX,
  );

  test(
    "PUT by the form of --data-binary takes application/tar, and a digest as the reference",
    async () => {
      await build(engine, "binary:1.0", 2);
      const file = join(engine.folder, "binary.tar");
      await engine.docker("save", "-o", file, "binary:1.0");
      const args = ["-sS", "-X", "PUT", "-H", "Content-Type: application/tar", "--data-binary", `@${file}`];
      const wrong = await run([
        curl.path,
        ...args,
        addressOf(`docker/binary/manifests/sha256:${"0".repeat(64)}`),
      ]);
      expect(wrong.stdout).toContain("DIGEST_INVALID");
      const digest = /image is (sha256:[0-9a-f]{64})/.exec(wrong.stdout)?.[1] ?? "";
      await run([curl.path, "-f", ...args, addressOf(`docker/binary/manifests/${digest}?tag=1.0`)]);
      expect((await fetchManifest(registry, "docker/binary", "1.0")).digestHeader).toBe(digest);
    },
    TEST_MS_MAX,
  );

  test(
    "curl | docker load gives a pushed image its name and the same ID",
    async () => {
      const image = `${registry.host}/docker/exported:1.0`;
      const id = await build(engine, image, 3);
      await engine.docker("push", image);
      await engine.docker("rmi", "--force", id);
      const { stdout } = await shell(`$C -fsS -H '${ACCEPT}' $U/v2/docker/exported/manifests/1.0 | $D load`);
      expect(stdout).toContain(`Loaded image: ${image}`);
      expect(await idOf(image)).toBe(id);
    },
    TEST_MS_MAX,
  );

  test(
    "docker load takes one platform of an index; containerd takes all",
    async () => {
      const images = (["amd64", "arm64"] as const).map((architecture, at) =>
        layeredImage({ architecture, layerCount: 2, seed: 40 + at }),
      );
      await uploadContent(registry, "docker/multi", imageIndex(images), "1.0");
      for (const [at, platform] of ["linux/amd64", "linux/arm64"].entries()) {
        const query = `?platform=${platform}`;
        await shell(`$C -fsS -H '${ACCEPT}' "$U/v2/docker/multi/manifests/1.0${query}" | $D load`);
        expect(await idOf(`${registry.host}/docker/multi:1.0`)).toBe(images[at]?.config.digest ?? "");
      }
      await shell(`$C -fsS -H '${ACCEPT}' $U/v2/docker/multi/manifests/1.0 | $D load`);
      expect(await idOf(`${registry.host}/docker/multi:1.0`)).toBe(images[0]?.config.digest ?? "");
      const file = join(engine.folder, "multi.tar");
      await getFile("docker/multi/manifests/1.0", file);
      const imported = await engine.containerd(
        ctr.path,
        "images",
        "import",
        "--no-unpack",
        "--all-platforms",
        file,
      );
      expect(imported.exitCode).toBe(0);
      const listed = await engine.containerd(ctr.path, "images", "list");
      expect(listed.stdout).toContain(`${registry.host}/docker/multi:1.0`);
    },
    TEST_MS_MAX,
  );

  test(
    "of several saved images the one of that name is imported",
    async () => {
      const ids = [await build(engine, "many/a:1.0", 1), await build(engine, "many/b:1.0", 2)];
      const save = "$D save many/a:1.0 many/b:1.0";
      await shell(`${save} | $C -fsS -T - -H '${TAR}' $U/v2/many/b/manifests/1.0`);
      const stored = await fetchManifest(registry, "many/b", "1.0");
      expect(parseManifest(stored.bytes).config?.digest).toBe(ids[1] ?? "");
      const { stdout } = await shell(`${save} | $C -sS -T - -H '${TAR}' $U/v2/many/c/manifests/2.0`);
      expect(stdout).toContain("many/a:1.0");
      expect(stdout).toContain("MANIFEST_UNKNOWN");
    },
    TEST_MS_MAX,
  );
});

suite("archives over HTTP and podman", [curl, podman, root()], () => {
  test(
    "podman save in both formats is imported; podman load gives the name and the same ID",
    async () => {
      await using storage = await ContainerStorage.create();
      const context = join(storage.folder, "context");
      await mkdir(context, { recursive: true });
      await Bun.write(join(context, "file"), seededBytes(50_000, 5));
      await Bun.write(join(context, "Dockerfile"), "FROM scratch\nCOPY file /file\nCOPY file /again\n");
      const build = [
        "build",
        "--quiet",
        "--isolation",
        "chroot",
        "--layers",
        "--tag",
        "podman-app:1.0",
        context,
      ];
      for (const format of ["docker-archive", "oci-archive"]) {
        const id = (await storage.podman(...build)).trim();
        const file = join(storage.folder, format);
        await storage.podman("save", "--format", format, "-o", file, "podman-app:1.0");
        expect(await putFile(`podman/saved/manifests/${format}`, file)).toBe("201");
        const stored = await fetchManifest(registry, "podman/saved", format);
        const config = parseManifest(stored.bytes).config?.digest;
        if (format === "oci-archive") expect(config).toBe(`sha256:${id}`);
        await storage.podman("rmi", "--all", "--force");
        const exported = join(storage.folder, `${format}.exported`);
        await getFile(`podman/saved/manifests/${format}`, exported);
        const output = await storage.podman("load", "--input", exported);
        expect(output).toContain(`${registry.host}/podman/saved:${format}`);
        const loaded = await storage.podman(
          "inspect",
          "--format",
          "{{.Id}}",
          `${registry.host}/podman/saved:${format}`,
        );
        expect(`sha256:${loaded.trim()}`).toBe(config ?? "");
      }
    },
    TEST_MS_MAX,
  );
});

suite("archives over HTTP and skopeo", [curl, skopeo], () => {
  const copy = async (...args: readonly string[]) =>
    await run([skopeo.path, "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", ...args]);

  test(
    "skopeo reads both forms of what is exported, and what it writes is imported",
    async () => {
      await using folder = await temporaryFolder();
      const image = layeredImage({ architecture: "amd64", layerCount: 3, seed: 50 });
      await uploadContent(registry, "skopeo/app", image, "1.0");
      const file = join(folder.path, "exported.tar");
      await getFile("skopeo/app/manifests/1.0", file);
      const layout = join(folder.path, "layout");
      await copy(`oci-archive:${file}`, `oci:${layout}:1.0`);
      expect(await differencesInLayout(layout, image)).toEqual([]);
      await copy(`docker-archive:${file}`, `dir:${join(folder.path, "dir")}`);
      for (const transport of ["oci-archive", "docker-archive"]) {
        const written = join(folder.path, `${transport}.tar`);
        await copy(`docker://${registry.host}/skopeo/app:1.0`, `${transport}:${written}:some/name:1.0`);
        expect(await putFile(`skopeo/app/manifests/${transport}`, written)).toBe("201");
      }
      const same = await fetchManifest(registry, "skopeo/app", "oci-archive");
      expect<string>(digestOf(same.bytes)).toBe(image.descriptor.digest);
      const made = await fetchManifest(registry, "skopeo/app", "docker-archive");
      const { config, layers = [] } = parseManifest(made.bytes);
      expect(config?.digest).toBe(image.config.digest);
      expect(layers.map(({ digest }) => digest)).toEqual([...image.diffIds]);
      const again = `docker://${registry.host}/skopeo/app:docker-archive`;
      await copy(again, `oci:${join(folder.path, "again")}:1.0`);
    },
    TEST_MS_MAX,
  );

  test(
    "an index survives the way out and in",
    async () => {
      await using folder = await temporaryFolder();
      const index = imageIndex(
        (["amd64", "arm64"] as const).map((architecture, at) =>
          layeredImage({ architecture, layerCount: 2, seed: 60 + at }),
        ),
      );
      const layout = join(folder.path, "layout");
      await writeLayout(layout, index, "1.0");
      const file = join(folder.path, "layout.tar");
      await run(["tar", "-C", layout, "-cf", file, "."]);
      expect(await putFile("skopeo/index/manifests/1.0", file)).toBe("201");
      await getFile("skopeo/index/manifests/1.0", file);
      await copy("--all", `oci-archive:${file}`, `oci:${join(folder.path, "out")}:1.0`);
      expect(await differencesInLayout(join(folder.path, "out"), index)).toEqual([]);
    },
    TEST_MS_MAX,
  );
});

suite("archives over HTTP and crane", [curl, crane], () => {
  test(
    "crane pushes what is exported, and what it pulls is imported",
    async () => {
      await using folder = await temporaryFolder();
      const image = layeredImage({ architecture: "amd64", layerCount: 3, seed: 70 });
      await uploadContent(registry, "crane/app", image, "1.0");
      const file = join(folder.path, "exported.tar");
      await getFile("crane/app/manifests/1.0", file);
      await run([crane.path, "push", "--insecure", file, `${registry.host}/crane/pushed:1.0`]);
      const pushed = await fetchManifest(registry, "crane/pushed", "1.0");
      expect(parseManifest(pushed.bytes).config?.digest).toBe(image.config.digest);
      const pulled = join(folder.path, "pulled.tar");
      await run([crane.path, "pull", "--insecure", `${registry.host}/crane/app:1.0`, pulled]);
      expect(await putFile("crane/app/manifests/pulled", pulled)).toBe("201");
      const imported = await fetchManifest(registry, "crane/app", "pulled");
      const { config, layers = [] } = parseManifest(imported.bytes);
      expect(config?.digest).toBe(image.config.digest);
      expect(layers.map(({ digest }) => digest)).toEqual(image.layers.map(({ digest }) => digest));
      await run([crane.path, "validate", "--insecure", "--remote", `${registry.host}/crane/app:pulled`]);
    },
    TEST_MS_MAX,
  );
});

suite("archives over HTTP and curl", [curl], () => {
  test(
    "a client that is still sending reads why it is refused",
    async () => {
      await using folder = await temporaryFolder();
      const file = join(folder.path, "bad.tar");
      await Bun.write(file, seededBytes(100_000_000, 1));
      for (const send of [
        ["-T", file],
        ["-H", "Expect:", "--data-binary", `@${file}`, "-X", "PUT"],
      ]) {
        const { stdout } = await runAny([
          curl.path,
          "-sS",
          "-H",
          TAR,
          ...send,
          addressOf("curl/bad/manifests/1"),
        ]);
        expect(stdout).toContain("is no tar header");
      }
    },
    TEST_MS_MAX,
  );

  test(
    "a sender that goes away in the middle leaves no byte",
    async () => {
      await using own = await RegistryProcess.start();
      await using folder = await temporaryFolder();
      const file = join(folder.path, "large.tar");
      await Bun.write(file, tarOfParts(savedImage([blobOf(seededBytes(40_000_000, 3))]).parts));
      const address = `${own.url}/v2/curl/gone/manifests/1`;
      const slow = [curl.path, "-sS", "-T", file, "-H", TAR, "--limit-rate", "20M", "-m", "0.7", address];
      expect((await runAny(slow)).exitCode).toBe(28);
      const files = () => Array.fromAsync(new Bun.Glob("{uploads,blobs}/**").scan(own.dataDir));
      await until("nothing is left", async () => (await files()).length === 0);
    },
    TEST_MS_MAX,
  );

  test(
    "a client that goes away in the middle leaves no file open",
    async () => {
      const layerBytes = seededBytes(50_000_000, 2);
      const blobs = [{ bytes: layerBytes, digest: digestOf(layerBytes) }];
      const { descriptor, blobs: own } = layeredImage({ architecture: "amd64", layerCount: 1, seed: 81 });
      await uploadContent(registry, "curl/large", { descriptor, blobs: own }, "small");
      const layer = {
        mediaType: "application/vnd.oci.image.layer.v1.tar",
        digest: blobs[0]?.digest,
        size: 50_000_000,
      };
      const manifest = { ...parseManifest(own[0]?.bytes ?? new Uint8Array()), layers: [layer] };
      const bytes = new TextEncoder().encode(JSON.stringify(manifest));
      const large = { bytes, digest: digestOf(bytes) };
      await uploadContent(
        registry,
        "curl/large",
        { descriptor: { ...descriptor, digest: large.digest }, blobs: [large, ...blobs] },
        "1",
      );
      const open = async () => (await readdir(`/proc/${registry.pid}/fd`)).length;
      const before = await open();
      const slow = [curl.path, "-sS", "-o", "/dev/null", "-H", ACCEPT, "--limit-rate", "1M", "-m", "0.5"];
      await Promise.all(
        Array.from({ length: 10 }, async () => await runAny([...slow, addressOf("curl/large/manifests/1")])),
      );
      await until("the files are closed", async () => (await open()) <= before);
    },
    TEST_MS_MAX,
  );

  test(
    "HEAD says how many bytes GET gives",
    async () => {
      await using folder = await temporaryFolder();
      await uploadContent(
        registry,
        "curl/app",
        layeredImage({ architecture: "amd64", layerCount: 1, seed: 80 }),
        "1.0",
      );
      const file = join(folder.path, "exported.tar");
      await getFile("curl/app/manifests/1.0", file);
      const { stdout } = await run([curl.path, "-fsSI", "-H", ACCEPT, addressOf("curl/app/manifests/1.0")]);
      expect(stdout.toLowerCase()).toContain(`content-length: ${Bun.file(file).size}`);
      expect((await run(["tar", "-tf", file])).stdout).toContain("manifest.json");
    },
    TEST_MS_MAX,
  );
});

/** Builds an image of that many layers; resolves with its ID. */
async function build(engine: Dockerd, image: string, layerCount: number): Promise<string> {
  const context = join(engine.folder, `context-${digestOf(image).slice(7, 19)}`);
  await mkdir(context, { recursive: true });
  const lines = ["FROM scratch"];
  for (let layer = 0; layer < layerCount; layer++) {
    await Bun.write(join(context, `file-${layer}`), `${image} ${layer} ${"x".repeat(20_000)}`);
    lines.push(`COPY file-${layer} /file-${layer}`);
  }
  await Bun.write(join(context, "Dockerfile"), `${lines.join("\n")}\n`);
  await engine.docker("build", "--quiet", "--tag", image, context);
  return (await engine.docker("inspect", "--format", "{{.Id}}", image)).stdout.trim();
}
