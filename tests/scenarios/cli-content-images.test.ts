import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RegistryClient, type Repository } from "@stowage/client";
import { manifestFrom } from "@stowage/client/image-manifests";
import { readLayer } from "@stowage/client/layers/layer-tar";
import { startRegistry, type TestRegistry } from "@stowage/server/testing";
import { cli } from "../support/cli.ts";
import { type LayeredImage, pushLayers } from "../support/layer.ts";

let registry: TestRegistry;
let repository: Repository;
let base: LayeredImage;
let folder = "";
let image = "";

const BASE = [
  { name: "etc/", kind: "directory" as const, mode: 0o755 },
  { name: "etc/os-release", kind: "symlink" as const, linkName: "../usr/lib/os-release" },
  { name: "usr/lib/os-release", text: "ID=test\n" },
  { name: "etc/passwd", text: "root\n" },
  { name: "bin", kind: "symlink" as const, linkName: "usr/bin" },
];
const UPPER = [
  { name: "etc/.wh.passwd" },
  { name: "bin/tool", text: "tool\n", mode: 0o755 },
  { name: "etc/motd", text: "\u001b[2Jhello\n" },
];

beforeAll(async () => {
  registry = await startRegistry();
  folder = await mkdtemp(join(tmpdir(), "stowage-cli-content-"));
  repository = new RegistryClient().repository(`${registry.host}/team/app`);
  base = await pushLayers(repository, [BASE, UPPER], { tags: ["1.0"], config: { config: { Env: ["A=1"] } } });
  await pushLayers(repository, [BASE, [...UPPER, { name: "new", text: "n" }]], {
    tags: ["1.1"],
    config: { config: { Env: ["A=2"], User: "ann" } },
  });
  image = `${repository.label}:1.0`;
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function namesIn(tar: Uint8Array<ArrayBuffer>): Promise<readonly string[]> {
  const names: string[] = [];
  async function* whole() {
    yield tar;
  }
  for await (const { name } of readLayer(whole())) names.push(name);
  return names;
}

describe("stowage cat", () => {
  test.each([
    ["usr/lib/os-release", "ID=test\n"],
    ["/etc/os-release", "ID=test\n"],
    ["./usr/../etc/os-release", "ID=test\n"],
    ["/bin/tool", "tool\n"],
    ["../../usr/bin/tool", "tool\n"],
  ])("%s", async (path, text) => {
    expect(await cli(["cat", image, path])).toEqual({
      code: 0,
      stdout: text,
      stderr: "",
      bytes: Buffer.from(text),
    });
  });

  test("a file that a layer deleted, and one that never was, are 3; a folder is 2", async () => {
    expect((await cli(["cat", image, "/etc/passwd"])).code).toBe(3);
    expect((await cli(["cat", image, "/nope"])).stderr).toContain('has no file "/nope"');
    expect((await cli(["cat", image, "/etc"])).code).toBe(2);
    expect((await cli(["cat", `${repository.label}:none`, "x"])).code).toBe(3);
  });

  test("a terminal obeys nothing that an image says", async () => {
    const { stdout } = await cli(["cat", image, "/etc/motd"], { columns: 80 });
    expect(stdout).toBe("?[2Jhello\n");
    expect((await cli(["cat", image, "/etc/motd"])).stdout).toBe("\u001b[2Jhello\n");
  });

  test.each(["gzip", "zstd", "none"] as const)("layers that are packed with %s are read", async (packing) => {
    await pushLayers(repository, [[{ name: "x", text: packing }]], { tags: [packing], packing });
    expect((await cli(["cat", `${repository.label}:${packing}`, "x"])).stdout).toBe(packing);
  });

  test("an artifact has no files, and that is said", async () => {
    const file = join(folder, "sbom.json");
    await writeFile(file, "{}");
    const attached = await cli(["attach", image, file, "--type", "application/spdx+json"]);
    const ran = await cli(["cat", attached.stdout.trim(), "x"]);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain("has no files: its layers are application/spdx+json");
  });
});

describe("stowage export", () => {
  test("writes what a container would see, to a file or standard output", async () => {
    const target = join(folder, "out.tar");
    expect(await cli(["export", image, target])).toMatchObject({ code: 0, stdout: "", stderr: "" });
    const { bytes } = await cli(["export", image, "-"]);
    expect(new Uint8Array(await readFile(target))).toEqual(new Uint8Array(bytes));
    expect(await namesIn(new Uint8Array(bytes))).toEqual([
      "etc/",
      "etc/os-release",
      "usr/lib/os-release",
      "bin",
      "usr/bin/tool",
      "etc/motd",
    ]);
    expect((await readdir(folder)).filter((name) => name.startsWith("out.tar"))).toEqual(["out.tar"]);
  });

  test("tar itself reads it", async () => {
    await cli(["export", image, join(folder, "tar.tar")]);
    const child = Bun.spawn(["tar", "-tf", join(folder, "tar.tar")], { stdout: "pipe" });
    expect((await child.stdout.text()).split("\n")).toContain("usr/bin/tool");
    expect(await child.exited).toBe(0);
  });

  test("a hostile image writes nothing outside, and what is left out is told", async () => {
    const label = `${repository.label}:hostile`;
    await pushLayers(
      repository,
      [
        [
          { name: "../../../tmp/stowage-escaped", text: "x" },
          { name: "/etc/cron.d/evil", text: "x" },
          { name: "out", kind: "symlink", linkName: "/" },
          { name: "out/../../up", text: "x" },
          { name: "out/through", text: "x" },
          { name: "shadow", kind: "hardlink", linkName: "../../../etc/shadow" },
          { name: "dev/sda", kind: "block", major: 8, minor: 0 },
          { name: "\u001b[2Jred", text: "x" },
          { name: ".wh...", text: "" },
        ],
      ],
      { tags: ["hostile"] },
    );
    const ran = await cli(["export", label, "-"]);
    expect(ran.code).toBe(0);
    expect(await namesIn(new Uint8Array(ran.bytes))).toEqual([
      "etc/cron.d/evil",
      "out",
      "through",
      "dev/sda",
      "\u001b[2Jred",
    ]);
    expect(ran.stderr).toContain('"../../../tmp/stowage-escaped"');
    expect(ran.stderr).toContain('"out/../../up"');
    expect(ran.stderr).toContain('"shadow"');
    expect(ran.stderr).not.toContain("\u001b");
    expect((await cli(["cat", label, "shadow"])).code).toBe(3);
  });

  test("a terminal is refused, and a file that cannot be made leaves nothing", async () => {
    expect((await cli(["export", image, "-"], { columns: 80 })).code).toBe(2);
    expect((await cli(["export", image, join(folder, "none", "x.tar")])).code).toBe(1);
    expect((await readdir(folder)).some((name) => name.includes("x.tar"))).toBe(false);
  });

  test("a layer that is no tar file is told", async () => {
    const broken = join(folder, "broken.json");
    await writeFile(broken, "no tar");
    const { stdout: digest } = await cli(["blob", "put", repository.label, broken, "-q"]);
    const layer = {
      mediaType: "application/vnd.oci.image.layer.v1.tar",
      digest: digest.trim().replace(/^.*@/, ""),
      size: 6,
    };
    const { config } = JSON.parse(new TextDecoder().decode(base.manifest.bytes));
    const manifest = manifestFrom({ schemaVersion: 2, config, layers: [layer] }, base.manifest.mediaType);
    await repository.putManifest(manifest, { tags: ["broken"] });
    const ran = await cli(["export", `${repository.label}:broken`, "-"]);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain("cannot read the layer");
    const checked = await cli(["validate", `${repository.label}:broken`]);
    expect(checked.code).toBe(9);
    expect(checked.stdout).toContain("the config is of 2 layers; the manifest has 1");
  });
});

describe("stowage diff", () => {
  test("tells layers and config, and with --fs files", async () => {
    const other = `${repository.label}:1.1`;
    const ran = await cli(["diff", image, other]);
    expect(ran.code).toBe(1);
    expect(ran.stdout).toContain("layers: 1 shared\n- sha256:");
    expect(ran.stdout).toContain('- config.Env[0]: "A=1"\n+ config.Env[0]: "A=2"\n+ config.User: "ann"\n');
    const files = await cli(["diff", image, other, "--fs"]);
    expect(files).toMatchObject({ code: 1, stdout: "+ /new\n" });
    expect(await cli(["diff", image, image, "--fs", "--config"])).toMatchObject({
      code: 0,
      stdout: "",
    });
    const json = JSON.parse((await cli(["diff", image, other, "--fs", "--format", "json"])).stdout);
    expect(json.files).toEqual([{ change: "added", path: "new", what: [] }]);
  });

  test("mode, owner, link and content are differences, times are not", async () => {
    const [a, b] = [`${repository.label}:a`, `${repository.label}:b`];
    const file = { name: "f", text: "1", mtime: 1 };
    const link = { name: "l", kind: "symlink" as const, linkName: "a" };
    await pushLayers(
      repository,
      [[file, { name: "m" }, { name: "o" }, link, { name: "gone" }, { name: "t" }]],
      {
        tags: ["a"],
      },
    );
    const changed = [
      { ...file, text: "2" },
      { name: "m", mode: 0o600 },
      { name: "o", uid: 7 },
      { ...link, linkName: "b" },
      { name: "t", mtime: 99 },
    ];
    await pushLayers(repository, [changed], { tags: ["b"] });
    expect((await cli(["diff", a, b, "--fs"])).stdout).toBe(
      "~ /f (content)\n- /gone\n~ /l (link)\n~ /m (mode)\n~ /o (owner)\n",
    );
  });
});

describe("stowage size, tree, attach and validate", () => {
  test("size sums up what is to pull", async () => {
    const json = JSON.parse((await cli(["size", image, "--format", "json"])).stdout);
    expect(json.images).toEqual([
      { digest: base.manifest.digest, platform: null, layers: 2, bytes: json.bytes },
    ]);
    expect((await cli(["size", image, "-q"])).stdout).toBe(`${json.bytes}\n`);
  });

  test("tree shows what was attached, and what was attached to that", async () => {
    const label = `${repository.label}:treed`;
    await pushLayers(repository, [[{ name: "treed" }]], { tags: ["treed"] });
    const file = join(folder, "report.txt");
    await writeFile(file, "all well\n");
    const first = await cli([
      "attach",
      label,
      file,
      "--type",
      "application/vnd.example.report",
      "--annotation",
      "by=ann",
    ]);
    expect(first.code).toBe(0);
    const artifact = first.stdout.trim();
    expect(artifact).toMatch(new RegExp(`^${repository.label}@sha256:[0-9a-f]{64}$`));
    await cli(["attach", artifact, file, "--type", "application/vnd.example.signature"]);
    const tree = await cli(["tree", label]);
    expect(tree.stdout).toMatch(
      /^\S+:treed\nsha256:\S+ {2}\S+ \S+\n└── sha256:\S+ {2}application\/vnd.example.report {2}.*\n {4}└── sha256:\S+ {2}application\/vnd.example.signature {2}/,
    );
    const json = JSON.parse((await cli(["tree", label, "--format", "json"])).stdout);
    expect(json.referrers[0].annotations).toMatchObject({ by: "ann" });
    expect((await cli(["tree", label, "-q"])).stdout.split("\n")).toHaveLength(4);
  });

  test.each([
    [["attach", "R:1.0", "none.txt", "--type", "a/b"], 2],
    [["attach", "R:1.0", "none.txt"], 2],
    [["attach", "R:1.0", "none.txt", "--type", "nonsense"], 2],
    [["attach", "R:missing", "none.txt", "--type", "a/b"], 3],
  ])("%p ends with %d", async (words, code) => {
    expect((await cli(words.map((word) => word.replace(/^R/, repository.label)))).code).toBe(code);
  });

  test("validate finds nothing in a good image", async () => {
    const ran = await cli(["validate", image]);
    expect(ran).toMatchObject({ code: 0, stdout: "" });
    expect(ran.stderr).toContain("1 manifests, 3 blobs");
  });

  test("validate tells layers that are not those of the config", async () => {
    const wrong = { rootfs: { type: "layers", diff_ids: [`sha256:${"0".repeat(64)}`] } };
    const { layers } = await pushLayers(repository, [[{ name: "w" }]], { tags: ["wrong"], config: wrong });
    const ran = await cli(["validate", `${repository.label}:wrong`, "--format", "json"]);
    expect(ran.code).toBe(9);
    expect(JSON.parse(ran.stdout).findings).toMatchObject([
      { digest: layers[0], problem: expect.stringContaining("unpacked it is") },
    ]);
  });

  test("of a layer that is damaged on the way nothing is printed", async () => {
    await pushLayers(repository, [[{ name: "f", text: "x".repeat(2_000) }]], {
      tags: ["torn"],
      packing: "none",
    });
    registry.faults.add({ kind: "corrupt", at: 700, path: /\/blobs\//, method: "GET", times: 10 });
    const ran = await cli(["cat", `${repository.label}:torn`, "f"]);
    registry.faults.clear();
    expect(ran).toMatchObject({ code: 9, stdout: "" });
  });

  test("validate tells bytes that are damaged on the way", async () => {
    await pushLayers(repository, [[{ name: "damaged", text: "x".repeat(5_000) }]], {
      tags: ["damaged"],
      packing: "none",
    });
    registry.faults.add({ kind: "corrupt", at: 600, path: /\/blobs\//, method: "GET", times: 10 });
    const ran = await cli(["validate", `${repository.label}:damaged`]);
    registry.faults.clear();
    expect(ran.code).toBe(9);
  });
});
