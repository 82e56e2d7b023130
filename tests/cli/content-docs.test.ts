import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RegistryClient, type Repository } from "@stowage/client";
import { startRegistry, type TestRegistry } from "@stowage/server/testing";
import { pushLayers } from "../support/layer.ts";
import { WORKSPACE } from "../support/registry-process.ts";

/** Pages whose commands are typed as they stand there, from the first to the last. */

let registry: TestRegistry;
let other: TestRegistry;
let closed: TestRegistry;
let folder = "";

beforeAll(async () => {
  [registry, other] = await Promise.all([startRegistry(), startRegistry()]);
  closed = await startRegistry({ args: ["--auth", "accounts"] });
  folder = await mkdtemp(join(tmpdir(), "stowage-docs-"));
  await mkdir(join(folder, "bin"));
  const main = join(WORKSPACE, "packages", "cli", "src", "main.ts");
  await Bun.write(join(folder, "bin", "stowage"), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`);
  await chmod(join(folder, "bin", "stowage"), 0o755);
});

afterAll(async () => {
  for (const one of [registry, other, closed]) await one[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** Runs the blocks of a page in one shell; a block of YAML whose first line names a file is that file. */
async function typePage(page: string, hosts: Readonly<Record<string, string>>) {
  const named = (text: string) =>
    Object.entries(hosts).reduce((all, [host, real]) => all.replaceAll(host, real), text);
  const text = await Bun.file(join(WORKSPACE, "docs", page)).text();
  const cwd = await mkdtemp(join(folder, "page-"));
  const commands: string[] = [];
  for (const [, language, block = ""] of text.matchAll(/^```(\w+)\n(.*?)^```$/gms)) {
    const [, file] = /^# (\S+)\n/.exec(block) ?? [];
    if (language === "sh") commands.push(named(block));
    else if (file !== undefined) await Bun.write(join(cwd, file), named(block));
  }
  await Bun.write(join(cwd, "password.txt"), /password {2}(\S+)/.exec(closed.told)?.[1] ?? "");
  const child = Bun.spawn(["bash", "-c", `set -e -o pipefail\n${commands.join("\n")}`], {
    cwd,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: `${join(folder, "bin")}:${process.env.PATH}`, HOME: cwd },
  });
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, stdout, stderr, commands: commands.length };
}

async function pushApp(repository: Repository): Promise<void> {
  const files = [{ name: "etc/os-release", text: "ID=test\n" }];
  await pushLayers(repository, [files], { tags: ["1.0"] });
  await pushLayers(repository, [files, [{ name: "new" }]], { tags: ["1.1"] });
  await pushLayers(repository, [files], { tags: ["arm"], config: { architecture: "arm64" } });
}

test("docs/copying-images.md: every command works", async () => {
  const client = new RegistryClient();
  await pushApp(client.repository(`${registry.host}/team/app`));
  await pushApp(client.repository(`${registry.host}/team/tools`));
  const ran = await typePage("copying-images.md", {
    "localhost:5000": registry.host,
    "localhost:5001": other.host,
  });
  expect({ code: ran.code, stderr: ran.code === 0 ? "" : ran.stderr }).toEqual({ code: 0, stderr: "" });
  expect(ran.commands).toBe(5);
}, 60_000);

test("docs/signing-in.md: every command works", async () => {
  const password = /password {2}(\S+)/.exec(closed.told)?.[1] ?? "";
  const client = new RegistryClient({
    credentials: async () => ({ kind: "password", username: "admin", password }),
  });
  await pushApp(client.repository(`${closed.host}/team/app`));
  const ran = await typePage("signing-in.md", { "localhost:5000": closed.host });
  expect({ code: ran.code, stderr: ran.code === 0 ? "" : ran.stderr }).toEqual({ code: 0, stderr: "" });
  expect(ran.stdout).toContain("admin\n");
  expect(ran.commands).toBe(3);
}, 60_000);
