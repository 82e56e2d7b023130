import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RegistryClient } from "@stowage/client";
import { startRegistry, type TestRegistry } from "@stowage/server/testing";
import { pushImage } from "../client/images.ts";
import { cli } from "../support/cli.ts";
import { program, suite } from "../support/suite.ts";
import { run } from "./support.ts";

const tool = program("crane");

/** Verbs that both have mean the same, so that scripts can be moved from one to the other. */
suite("stowage beside crane", [tool], () => {
  let registry: TestRegistry;
  let image = "";
  let folder = "";

  beforeAll(async () => {
    registry = await startRegistry();
    folder = await mkdtemp(join(tmpdir(), "stowage-crane-"));
    const repository = new RegistryClient().repository(`${registry.host}/team/app`);
    image = `${repository.label}:1.0`;
    await pushImage(repository, { tag: "1.0" });
    await pushImage(repository, { tag: "1.1", seed: 2 });
  });

  afterAll(async () => {
    await registry[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const crane = async (...args: readonly string[]) => (await run([tool.path, ...args])).stdout;
  const stowage = async (...args: readonly string[]) => {
    const ran = await cli(args);
    expect({ args, code: ran.code, stderr: ran.stderr }).toMatchObject({ args, code: 0 });
    return ran.stdout;
  };

  test("digest, manifest, ls and catalog print what crane prints", async () => {
    const [repository = ""] = image.split(":1.0");
    expect(await stowage("digest", image)).toBe(await crane("digest", image));
    expect((await stowage("manifest", "get", image)).trim()).toBe((await crane("manifest", image)).trim());
    expect(await stowage("ls", repository)).toBe(await crane("ls", repository));
    expect(await stowage("catalog", registry.host)).toBe(await crane("catalog", registry.host));
    const config: unknown = JSON.parse(await crane("config", image));
    expect(JSON.parse(await stowage("config", image))).toEqual(config);
  });

  test("what one copied, tagged and deleted, the other finds so", async () => {
    const target = `${registry.host}/mirror/app`;
    const copied = (await stowage("copy", image, `${target}:1.0`)).trim();
    expect(await crane("digest", copied)).toBe(await crane("digest", image));
    await stowage("tag", `${target}:1.0`, "stable");
    expect(await crane("ls", target)).toBe("1.0\nstable\n");
    await crane("copy", image, `${target}:crane`);
    expect(await stowage("manifest", "diff", `${target}:crane`, image)).toBe("");
    await stowage("delete", `${target}:1.0`, "--all-tags", "--yes");
    expect(await stowage("ls", target)).toBe("");
  });
});
