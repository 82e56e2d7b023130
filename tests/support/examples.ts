import { chmod, cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { copy, descriptorOf, manifestFrom, RegistryClient } from "@stowage/client";
import { FilesystemBlobStore } from "@stowage/server/blobstore/filesystem/filesystem-blob-store";
import { startRegistry, type TestRegistry } from "@stowage/server/testing";
import { type Commands, type Example, isGroup } from "../../packages/cli/src/command.ts";
import { TREE, TREE_EXAMPLES } from "../../packages/cli/src/tree.ts";
import { type Blob, blobOf, putBlob, pushImage } from "../client/images.ts";
import { cli, wordsOf } from "./cli.ts";
import type { Ran } from "./command.ts";
import { layerOf, pushLayers } from "./layer.ts";
import { WORKSPACE } from "./registry-process.ts";
import { TestApp } from "./test-app.ts";

/** The examples of every help, each line once. */
export async function allExamples(): Promise<readonly Example[]> {
  const all = [...TREE_EXAMPLES, ...(await examplesOf(TREE))];
  return [...new Map(all.map((example) => [example.line, example])).values()];
}

async function examplesOf(commands: Commands): Promise<readonly Example[]> {
  const all: Example[] = [];
  for (const { load } of Object.values(commands)) {
    const node = await load();
    all.push(...node.examples);
    if (isGroup(node)) all.push(...(await examplesOf(node.commands)));
  }
  return all;
}

const SIGN_IN = "stowage login localhost:5000 -u ann --password-stdin < password.txt";
const ARCHIVE = "stowage pull localhost:5000/team/app:1.0 docker-archive:app.tar";

/** Commands that work with a registry and write no file, nor read one, unless a word of theirs has a slash behind a dot. */
const IN_PROCESS =
  /^(?:catalog|ls|digest|inspect|config|layers|history|copy|cp|tag|untag|delete|manifest|blob|search|du|size|tree|diff|cat|index|version|help|__complete)(?: (?!-o |--output)[\w/:@,=*'{}-][\w./:@,=*'{}-]*)*$/;

/** What an example needs besides the registry and the files of the folder: made by what the same page says. */
const BEFORE: Readonly<Record<string, string>> = {
  "digest -c SUMS": "stowage digest ./README.md > SUMS",
  "server restore": "stowage server backup registry-backup",
  "admin access check":
    "stowage admin user create alice; stowage admin access grant user:alice push 'team/**'",
  "admin workload set": "stowage admin workload get > workloads.json",
  "admin user create alice --password-stdin": "echo 'a long password of alice' > password.txt",
  "admin user set-password admin": "stowage admin user create admin",
  "admin token list": "stowage admin user create alice",
  "admin robot rotate": "stowage admin robot create ci",
  "auth get": SIGN_IN,
  "auth helper get": `${SIGN_IN}; echo localhost:5000 > host.txt`,
  "push docker-archive:app.tar": ARCHIVE,
  "push app.tar": ARCHIVE,
  "push -": ARCHIVE,
  "validate docker-archive:app.tar": ARCHIVE,
  "push oci:layout": "stowage pull localhost:5000/team/app:1.0 oci:layout",
};

/** Types examples as they stand there, in a shell. `localhost:5000` is a registry that has what they speak of. */
export class ExampleShell implements AsyncDisposable {
  readonly #registry: TestRegistry;
  readonly #folder: string;

  private constructor(registry: TestRegistry, folder: string) {
    this.#registry = registry;
    this.#folder = folder;
  }

  static async start(): Promise<ExampleShell> {
    const folder = await mkdtemp(join(tmpdir(), "stowage-examples-"));
    await mkdir(join(folder, "bin"));
    const stowage = join(folder, "bin", "stowage");
    const main = join(WORKSPACE, "packages", "cli", "src", "main.ts");
    await Bun.write(stowage, `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`);
    await chmod(stowage, 0o755);
    await prepareFolder(join(folder, "template"));
    return new ExampleShell(await startRegistry(), folder);
  }

  async run({ line }: Example): Promise<Ran> {
    const { host } = this.#registry;
    const prepared = await prepareRegistry(host);
    // What needs no shell and no file is done in this process, which is ten times faster.
    if (IN_PROCESS.test(line) && !line.includes("SUMS")) {
      return await cli(wordsOf(line.replaceAll("localhost:5000", host)));
    }
    return await this.#type(line, prepared);
  }

  async #type(line: string, { manifest = "", ...variables }: Readonly<Record<string, string>>): Promise<Ran> {
    const cwd = await mkdtemp(join(this.#folder, "run-"));
    await cp(join(this.#folder, "template"), cwd, { recursive: true });
    await Bun.write(join(cwd, "manifest.json"), manifest);
    const before = Object.entries(BEFORE).find(([start]) => line.startsWith(start))?.[1] ?? ":";
    const folders = "mkdir -p ~/.local/share/bash-completion/completions ~/.config/fish/completions ~/.zfunc";
    const hosted = (text: string) => text.replaceAll("localhost:5000", this.#registry.host);
    const mirror = join(cwd, "mirror.yml");
    await Bun.write(mirror, hosted(await Bun.file(mirror).text()));
    const child = Bun.spawn(
      [
        "bash",
        "-c",
        `set -e -o pipefail; { ${folders}; ${hosted(before)}; } > /dev/null; ${hosted(`stowage ${line}`)}`,
      ],
      {
        cwd,
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
        env: { PATH: `${join(this.#folder, "bin")}:${process.env.PATH}`, HOME: cwd, ...variables },
      },
    );
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    const code = await child.exited;
    await rm(cwd, { recursive: true, force: true });
    return { code, stdout, stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#registry[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** A data folder, and files that examples read. */
async function prepareFolder(folder: string): Promise<void> {
  const data = join(folder, "stowage-data");
  await mkdir(data, { recursive: true });
  const store = await FilesystemBlobStore.open(data);
  await using _ = new TestApp({ store, databasePath: join(data, "stowage.sqlite") });
  const files = {
    "README.md": "# hello\n",
    "password.txt": "a long password\n",
    "sbom.json": '{"spdxVersion":"SPDX-2.3"}\n',
    "report.txt": "all is well\n",
    "mirror.yml": '- source: localhost:5000/team/app\n  target: localhost:5000/mirror/app\n  tags: ["1.*"]\n',
  };
  for (const [name, text] of Object.entries(files)) await Bun.write(join(folder, name), text);
}

/** What the examples speak of, put there again before each of them; resolves with variables that they use. */
async function prepareRegistry(host: string): Promise<Readonly<Record<string, string>>> {
  const repository = new RegistryClient().repository(`${host}/team/app`);
  const release = { name: "etc/os-release", text: "ID=example\n" };
  const layers = [[release, { name: "app", text: "x".repeat(70_000) }], [{ name: "data", text: "1" }]].map(
    (entries) => blobOf(layerOf(entries)),
  );
  const config = blobOf(
    JSON.stringify({
      os: "linux",
      architecture: "amd64",
      created: "2026-01-02T03:04:05Z",
      config: { Env: ["PATH=/usr/bin"], Cmd: ["/app"], Labels: { "org.opencontainers.image.title": "app" } },
      rootfs: { type: "layers", diff_ids: layers.map(({ digest }) => digest) },
      history: [
        { created: "2026-01-02T03:04:05Z", created_by: "COPY app /" },
        { created_by: 'CMD ["/app"]', empty_layer: true },
        { created_by: "COPY data /" },
      ],
    }),
  );
  const loose = blobOf("nobody names it");
  for (const blob of [config, loose, ...layers]) await putBlob(repository, blob);
  const describe = (mediaType: string, { digest, size }: Blob) => ({ mediaType, digest, size });
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = manifestFrom(
    {
      schemaVersion: 2,
      mediaType,
      config: describe("application/vnd.oci.image.config.v1+json", config),
      layers: layers.map((layer) => describe("application/vnd.oci.image.layer.v1.tar", layer)),
    },
    mediaType,
  );
  await repository.putManifest(manifest, { tags: ["1.0", "stable"] });
  for (const [tag, seed] of [
    ["old", 3],
    ["gone", 4],
    ["2.0", 5],
  ] as const) {
    await pushImage(repository, { tag, seed, layers: [100] });
  }
  await pushLayers(repository, [[release], [{ name: "data", text: "2" }]], { tags: ["1.1"] });
  const multi = new RegistryClient().repository(`${host}/team/multi`);
  await copy(repository, manifest.digest, multi);
  const platform = { os: "linux", architecture: "amd64" };
  const type = "application/vnd.oci.image.index.v1+json";
  const index = { schemaVersion: 2, mediaType: type, manifests: [{ ...descriptorOf(manifest), platform }] };
  await multi.putManifest(manifestFrom(index, type), { tags: ["1.0"] });
  const doomed = await pushImage(repository, { tag: null, seed: 6, layers: [10] });
  return {
    DIGEST: doomed.manifest.digest,
    BLOB: layers[1]?.digest ?? "",
    LOOSE: loose.digest,
    manifest: new TextDecoder().decode(manifest.bytes),
  };
}
