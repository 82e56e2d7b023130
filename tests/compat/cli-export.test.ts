import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RegistryClient } from "@stowage/client";
import { startRegistry, type TestRegistry } from "@stowage/server/testing";
import { cli } from "../support/cli.ts";
import { pushLayers } from "../support/layer.ts";
import { program, root, suite } from "../support/suite.ts";
import { ContainerStorage } from "./container-storage.ts";
import { run } from "./support.ts";

const dir = (name: string) => ({ name, kind: "directory" as const, mode: 0o755 });
const link = (name: string, linkName: string) => ({ name, kind: "symlink" as const, mode: 0o777, linkName });
const hard = (name: string, linkName: string) => ({ name, kind: "hardlink" as const, linkName });

/** Whiteouts, folders in place of files and the other way round, paths through links, hard links whose first name goes. */
const LAYERS = [
  [
    ...[dir("etc/"), { name: "etc/a", text: "1", uid: 7, mode: 0o4755 }, { name: "etc/b", text: "1" }],
    ...[dir("usr/"), dir("usr/bin/"), link("bin", "usr/bin"), link("sbin", "/usr/bin")],
    ...[dir("var/"), { name: "var/x", text: "1" }, dir("var/sub/"), { name: "var/sub/y", text: "1" }],
    ...[{ name: "hard1", text: "shared" }, hard("hard2", "hard1"), { name: "file-to-folder", text: "f" }],
    ...[dir("folder-to-file/"), { name: "folder-to-file/z", text: "z" }],
  ],
  [
    ...[{ name: "bin/tool", text: "t" }, { name: "sbin/tool2", text: "t" }, { name: "etc/.wh.b" }],
    ...[{ name: "var/.wh..wh..opq" }, { name: "var/new", text: "n" }, { name: ".wh.hard1" }],
    ...[
      dir("file-to-folder/"),
      { name: "file-to-folder/in", text: "i" },
      { name: "folder-to-file", text: "now" },
    ],
  ],
  [hard("hard3", "hard2"), { name: "etc/a", text: "22" }, { ...dir("usr/"), mode: 0o700 }],
];

suite("the files of an image as podman sees them", [program("podman"), root()], () => {
  let registry: TestRegistry;
  let folder = "";

  beforeAll(async () => {
    registry = await startRegistry();
    folder = await mkdtemp(join(tmpdir(), "stowage-export-"));
  });

  afterAll(async () => {
    await registry[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  /** Type, mode, owner, size, name and link of everything in an archive, by name. */
  async function listing(tar: string): Promise<readonly string[]> {
    const lines = (await run(["tar", "--numeric-owner", "-tvf", tar])).stdout.trim().split("\n");
    return lines
      .map((line) => line.replace(/ +\d{4}-\d\d-\d\d \d\d:\d\d /, " ").replace(/ +/g, " "))
      .toSorted();
  }

  test("stowage export writes what podman export writes", async () => {
    const repository = new RegistryClient().repository(`${registry.host}/team/odd`);
    await pushLayers(repository, LAYERS, { tags: ["1"] });
    const image = `${repository.label}:1`;
    const at = (name: string) => join(folder, name);
    await using storage = await ContainerStorage.create();
    await storage.podman("pull", "-q", "--tls-verify=false", image);
    await storage.podman("create", "--name", "x", image, "/x");
    await storage.podman("export", "-o", at("podman.tar"), "x");
    await storage.podman("rm", "-f", "x");
    expect((await cli(["export", image, at("stowage.tar")])).code).toBe(0);
    expect(await listing(at("stowage.tar"))).toEqual(await listing(at("podman.tar")));
  }, 60_000);
});
