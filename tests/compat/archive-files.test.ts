import { expect, test } from "bun:test";
import { join } from "node:path";
import { RegistryClient } from "@stowage/client";
import { copy } from "@stowage/client/copy";
import { pushArchive } from "@stowage/client/archive/push-archive";
import { openSource, openTarget } from "@stowage/client/node/open-transport";
import { parseTransport, type Transport } from "@stowage/client/node/transport";
import { RegistryProcess } from "../support/registry-process.ts";
import { program, suite } from "../support/suite.ts";
import { uploadContent } from "./content-upload.ts";
import { type Content, differencesInLayout, imageIndex, layeredImage } from "./images.ts";
import { fetchManifest, parseManifest, run, temporaryFolder } from "./support.ts";

const skopeo = program("skopeo");
const crane = program("crane");
const TEST_MS_MAX = 90_000;

const image = layeredImage({ architecture: "amd64", layerCount: 3, seed: 91 });
const index = imageIndex([image, layeredImage({ architecture: "arm64", layerCount: 2, seed: 92 })]);

function transport(text: string): Transport {
  const parsed = parseTransport(text);
  if (parsed === null) throw new Error(`${text} is no transport`);
  return parsed;
}

async function skopeoCopy(...args: readonly string[]): Promise<void> {
  await run([skopeo.path, "--insecure-policy", "copy", "--quiet", "--all", ...args]);
}

/** Copies with the client's library, from a repository to a transport or back. */
async function pull(registry: RegistryProcess, repository: string, to: string, names: readonly string[]) {
  await using target = await openTarget(transport(to));
  await copy(new RegistryClient().repository(`${registry.host}/${repository}`), "1.0", target, {
    tags: names,
  });
  await target.close();
}

async function push(registry: RegistryProcess, from: string, repository: string) {
  await using source = await openSource(transport(from));
  const target = new RegistryClient().repository(`${registry.host}/${repository}`);
  return await copy(source, transport(from).reference, target, { tags: ["1.0"] });
}

suite("layouts and archives of the client and skopeo", [skopeo], () => {
  for (const [what, content] of Object.entries<Content>({ image, index })) {
    test(
      `an ${what} that the client pulled is read by skopeo, and what skopeo wrote is pushed`,
      async () => {
        await using registry = await RegistryProcess.start();
        await using folder = await temporaryFolder();
        await uploadContent(registry, "files/app", content, "1.0");
        for (const kind of ["oci", "oci-archive"]) {
          const [ours, theirs, back] = ["ours", "theirs", "back"].map((name) =>
            join(folder.path, `${kind}-${name}`),
          );
          await pull(registry, "files/app", `${kind}:${ours}`, ["1.0"]);
          await skopeoCopy(`${kind}:${ours}:1.0`, `oci:${back}:1.0`);
          expect(await differencesInLayout(back ?? "", content)).toEqual([]);
          await skopeoCopy(`${kind}:${ours}:1.0`, `${kind}:${theirs}:2.0`);
          const pushed = await push(registry, `${kind}:${theirs}:2.0`, `files/${kind}`);
          expect<string>(pushed.digest).toBe(content.descriptor.digest);
        }
      },
      TEST_MS_MAX,
    );
  }

  test(
    "docker-archives go both ways, also through the push of a stream",
    async () => {
      await using registry = await RegistryProcess.start();
      await using folder = await temporaryFolder();
      await uploadContent(registry, "files/app", image, "1.0");
      const [ours, theirs] = [join(folder.path, "ours"), join(folder.path, "theirs")];
      await pull(registry, "files/app", `docker-archive:${ours}`, [`${registry.host}/files/app:1.0`]);
      await run([
        skopeo.path,
        "--insecure-policy",
        "copy",
        "--quiet",
        `docker-archive:${ours}`,
        `docker-archive:${theirs}:app:1.0`,
      ]);
      const pushed = await push(registry, `docker-archive:${theirs}`, "files/pushed");
      const repository = new RegistryClient().repository(`${registry.host}/files/streamed`);
      const streamed = await pushArchive(Bun.file(theirs).stream(), repository, { tags: ["1.0", "2.0"] });
      expect(streamed.digest).toBe(pushed.digest);
      for (const tag of ["1.0", "2.0"]) {
        const { bytes } = await fetchManifest(registry, "files/streamed", tag);
        expect(parseManifest(bytes).config?.digest).toBe(image.config.digest);
      }
    },
    TEST_MS_MAX,
  );

  test(
    "a stream that is refused leaves no session and no blob",
    async () => {
      await using registry = await RegistryProcess.start();
      await using folder = await temporaryFolder();
      await uploadContent(registry, "files/app", image, "1.0");
      const file = join(folder.path, "archive");
      await pull(registry, "files/app", `oci-archive:${file}`, ["1.0"]);
      const bytes = await Bun.file(file).bytes();
      const repository = new RegistryClient().repository(`${registry.host}/files/refused`);
      async function* broken() {
        yield bytes.subarray(0, bytes.byteLength - 3_000);
      }
      const refused = await pushArchive(broken(), repository, { tags: ["1.0"] }).catch(
        (error: unknown) => error,
      );
      expect(refused).toMatchObject({ kind: "invalid" });
      for (const { digest } of image.layers) expect(await repository.headBlob(digest)).toBeNull();
      expect(await Array.fromAsync(new Bun.Glob("uploads/*").scan(registry.dataDir))).toEqual([]);
    },
    TEST_MS_MAX,
  );
});

suite("layouts and archives of the client and crane", [crane], () => {
  test(
    "crane pushes our layout and archive, and we push its",
    async () => {
      await using registry = await RegistryProcess.start();
      await using folder = await temporaryFolder();
      await uploadContent(registry, "files/app", image, "1.0");
      const at = (name: string) => join(folder.path, name);
      await pull(registry, "files/app", `oci:${at("ours")}`, ["1.0"]);
      await pull(registry, "files/app", `docker-archive:${at("ours.tar")}`, ["files/app:1.0"]);
      for (const name of ["ours", "ours.tar"]) {
        await run([crane.path, "push", "--insecure", at(name), `${registry.host}/crane/${name}:1.0`]);
      }
      expect((await fetchManifest(registry, "crane/ours", "1.0")).digestHeader).toBe(image.descriptor.digest);
      const remote = `${registry.host}/files/app:1.0`;
      await run([crane.path, "pull", "--insecure", "--format", "oci", remote, at("theirs")]);
      await run([crane.path, "pull", "--insecure", remote, at("theirs.tar")]);
      const layout = await push(registry, `oci:${at("theirs")}`, "crane/layout");
      expect<string>(layout.digest).toBe(image.descriptor.digest);
      const tarball = await push(registry, `docker-archive:${at("theirs.tar")}`, "crane/tarball");
      const { bytes } = await fetchManifest(registry, "crane/tarball", tarball.digest);
      expect(parseManifest(bytes).config?.digest).toBe(image.config.digest);
    },
    TEST_MS_MAX,
  );
});
