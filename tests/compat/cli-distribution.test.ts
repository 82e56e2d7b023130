import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RegistryClient } from "@stowage/client";
import { startRegistry, type TestRegistry } from "@stowage/server/testing";
import { cli } from "../support/cli.ts";
import { pushLayers } from "../support/layer.ts";
import { suite } from "../support/suite.ts";
import { Distribution, distribution } from "./distribution.ts";

/** What the command does for Stowage it does for other registries, with what those have. */
suite("stowage and a registry of the distribution project", [distribution], () => {
  let stowage: TestRegistry;
  let other: Distribution;
  let folder = "";
  let [here, there] = ["", ""];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "stowage-cli-distribution-"));
    other = await Distribution.start(folder);
    stowage = await startRegistry();
    const repository = new RegistryClient().repository(`${stowage.host}/team/app`);
    await pushLayers(repository, [[{ name: "a", text: "hello" }]], { tags: ["1.0"] });
    here = `${stowage.host}/team/app:1.0`;
    there = `${other.host}/team/app:1.0`;
    expect((await cli(["copy", here, there])).code).toBe(0);
  }, 60_000);

  afterAll(async () => {
    await other[Symbol.asyncDispose]();
    await stowage[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  test("an image is read, checked and compared", async () => {
    expect((await cli(["cat", there, "a"])).stdout).toBe("hello");
    expect((await cli(["validate", there])).code).toBe(0);
    expect(await cli(["diff", here, there, "--fs", "--config"])).toMatchObject({ code: 0, stdout: "" });
  });

  test("what is attached is found again, and copied along", async () => {
    const file = join(folder, "report.txt");
    await Bun.write(file, "all is well");
    for (const type of ["application/vnd.example.one", "application/vnd.example.two"])
      expect((await cli(["attach", there, file, "--type", type])).code).toBe(0);
    const tree = JSON.parse((await cli(["tree", there, "--format", "json"])).stdout);
    expect(tree.referrers.map(({ artifactType }: { artifactType: string }) => artifactType)).toEqual([
      "application/vnd.example.one",
      "application/vnd.example.two",
    ]);
    const back = `${stowage.host}/back/app:1.0`;
    expect((await cli(["copy", there, back, "--referrers"])).code).toBe(0);
    expect(JSON.parse((await cli(["tree", back, "--format", "json"])).stdout).referrers).toHaveLength(2);
  });

  test("files go there, and come back as they were", async () => {
    const archive = `oci-archive:${join(folder, "app.tar")}`;
    expect((await cli(["pull", there, archive])).code).toBe(0);
    expect((await cli(["push", archive, `${other.host}/from/file:1.0`])).code).toBe(0);
    const digest = async (reference: string) => (await cli(["digest", reference])).stdout;
    expect(await digest(`${other.host}/from/file:1.0`)).toBe(await digest(there));
    const tar = await cli(["pull", there, "-"]);
    const pushed = await cli(["push", "-", `${other.host}/from/pipe:1.0`], {
      stdin: new Uint8Array(tar.bytes),
    });
    expect(pushed.code).toBe(0);
    expect((await cli(["cat", `${other.host}/from/pipe:1.0`, "a"])).stdout).toBe("hello");
  });

  test("a mirror of it is brought up to date", async () => {
    const file = join(folder, "mirror.yml");
    await Bun.write(
      file,
      `- {source: "${other.host}/team/app", target: "${stowage.host}/mirror/app", tags: ["1.*"]}\n`,
    );
    expect((await cli(["sync", "-f", file, "-q"])).stdout).toBe(`${stowage.host}/mirror/app:1.0\n`);
    expect((await cli(["sync", "-f", file, "--only-changed", "-q"])).stdout).toBe("");
  });

  test("repositories are found in its catalog; what it does not say is told", async () => {
    expect((await cli(["search", other.host, "APP", "-q"])).stdout).toBe(`${other.host}/team/app\n`);
    expect(await cli(["du", other.host])).toMatchObject({ code: 1 });
    expect((await cli(["auth", "whoami", other.host])).stdout).toBe("nobody\n");
  });

  test("an index is made there", async () => {
    const index = `${other.host}/team/multi:1.0`;
    expect((await cli(["index", "create", index, here, there])).code).toBe(0);
    expect((await cli(["validate", index])).code).toBe(0);
  });
});
