import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RegistryClient } from "@stowage/client";
import { startRegistry, type TestRegistry } from "@stowage/server/testing";
import { pushImage } from "../client/images.ts";
import { cli } from "../support/cli.ts";
import { WORKSPACE } from "../support/registry-process.ts";

let registry: TestRegistry;

beforeAll(async () => {
  registry = await startRegistry();
  const client = new RegistryClient();
  for (const name of ["team/app", "team/web", "other/app"]) {
    const repository = client.repository(`${registry.host}/${name}`);
    const { manifest } = await pushImage(repository, { tag: "1.0", layers: [10] });
    await repository.putManifest(manifest, { tags: ["1.1", `sha256-${"a".repeat(64)}.sig`] });
  }
});

afterAll(async () => await registry[Symbol.asyncDispose]());

/** What may stand in place of the last word of a line; `H` is the registry. */
async function complete(line: string): Promise<readonly string[]> {
  const ran = await cli(["__complete", ...line.replaceAll("H/", `${registry.host}/`).split(" ")]);
  expect(ran).toMatchObject({ code: 0, stderr: "" });
  const words = ran.stdout.split("\n").map((candidate) => candidate.split("\t")[0] ?? "");
  return words.filter((word) => word !== "").map((word) => word.replace(registry.host, "H"));
}

describe("stowage __complete", () => {
  const table: readonly (readonly [string, readonly string[]])[] = [
    ["co", ["config", "copy", "completion"]],
    ["manifest ", ["get", "head", "put", "delete", "diff"]],
    ["admin user cr", ["create"]],
    ["ls --so", ["--sort"]],
    ["ls --sort ", ["name", "semver", "pushed", "size"]],
    ["ls --sort=s", ["--sort=semver", "--sort=size"]],
    ["copy --progress=", ["--progress=auto", "--progress=plain", "--progress=json", "--progress=none"]],
    ["version --format j", ["json", "jsonl"]],
    ["completion ", ["bash", "zsh", "fish"]],
    ["ls H/te", ["H/team/app", "H/team/web"]],
    ["--debug ls H/o", ["H/other/app"]],
    ["inspect H/team/app:", ["H/team/app:1.0", "H/team/app:1.1"]],
    ["tag H/team/app:1.0 1", ["1.0", "1.1"]],
    ["copy H/team/app:1.0 H/team/w", ["H/team/web"]],
    ["ls H/team/app ", []],
    ["nonsense ", []],
    ["ls --nonsense x", []],
    ["manifest put H/team/app:1 ", [":file"]],
    ["blob get --output ", [":file"]],
    ["inspect 127.0.0.1:1/team/app:", []],
    ["inspect NO/such:", []],
  ];
  test.each(table)("%s", async (line, words) => {
    expect(await complete(line)).toEqual([...words]);
  });

  test("gives up on a registry that does not answer", async () => {
    const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    expect(await complete(`ls 127.0.0.1:${silent.port}/te`)).toEqual([]);
    silent.stop(true);
  });
});

test("bash completes references, whose colons it breaks words at", async () => {
  const folder = await mkdtemp(join(tmpdir(), "stowage-completion-"));
  const stowage = join(folder, "stowage");
  await Bun.write(
    stowage,
    `#!/bin/sh\nexec '${process.execPath}' '${WORKSPACE}/packages/cli/src/main.ts' "$@"\n`,
  );
  await chmod(stowage, 0o755);
  const script = `source <(stowage completion bash)
    t() { COMP_LINE=$1; COMP_POINT=\${#1}; COMPREPLY=(); _stowage; echo "\${COMPREPLY[*]}"; }
    t "stowage manif"; t "stowage inspect ${registry.host}/team/app:1"; t "stowage ls ${registry.host}/ot"; t "stowage ls --sort=p"`;
  const child = Bun.spawn(["bash", "-c", script], {
    env: { PATH: `${folder}:${process.env.PATH}`, HOME: folder },
    stdout: "pipe",
  });
  const [, port] = registry.host.split(":");
  expect(await child.stdout.text()).toBe(`manifest\n1.0 1.1\n${port}/other/app\npushed\n`);
  await rm(folder, { recursive: true, force: true });
}, 20_000);
