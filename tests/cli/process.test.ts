import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { RegistryClient } from "@stowage/client";
import { startRegistry, type TestRegistry } from "@stowage/server/testing";
import { blobOf, noise, putBlob, pushImage } from "../client/images.ts";
import { WORKSPACE } from "../support/registry-process.ts";

/** What only a process of its own shows: signals, pipes that close, versions. */

const MAIN = join(WORKSPACE, "packages", "cli", "src", "main.ts");
const BLOB = blobOf(noise(3_000_000, 8));

let registry: TestRegistry;
let name = "";

beforeAll(async () => {
  registry = await startRegistry();
  const repository = new RegistryClient().repository(`${registry.host}/team/app`);
  name = repository.label;
  await pushImage(repository, { tag: "1.0" });
  await putBlob(repository, BLOB);
});

afterAll(async () => await registry[Symbol.asyncDispose]());

async function shell(line: string) {
  const command = `set -o pipefail; stowage() { '${process.execPath}' '${MAIN}' "$@"; }; ${line}`;
  const child = Bun.spawn(["bash", "-c", command], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, stdout, stderr };
}

test("a pipe that is closed ends the command without a word", async () => {
  expect(await shell(`stowage blob get ${name}@${BLOB.digest} | head -c 3 | wc -c`)).toEqual({
    code: 141,
    stdout: "3\n",
    stderr: "",
  });
});

test("a blob goes through a slow pipe whole", async () => {
  const hex = BLOB.digest.slice("sha256:".length);
  const { stdout } = await shell(`stowage blob get ${name}@${BLOB.digest} | (sleep 0.3; sha256sum)`);
  expect(stdout).toBe(`${hex}  -\n`);
});

describe("a signal", () => {
  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s ends a copy with %d, and leaves no tag", async (signal, code) => {
    const target = `${registry.host}/late/${signal.toLowerCase()}`;
    // Nothing comes of the first upload before the signal does.
    registry.faults.add({ kind: "delay", ms: 5_000, method: "POST", path: /\/late\// });
    const child = Bun.spawn(
      [process.execPath, MAIN, "copy", "--progress=none", `${name}:1.0`, `${target}:1.0`],
      {
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    while (!registry.log.includes(`/v2/late/${signal.toLowerCase()}`)) await Bun.sleep(10);
    child.kill(signal);
    expect({
      code: await child.exited,
      stdout: await child.stdout.text(),
      stderr: await child.stderr.text(),
    }).toEqual({
      code,
      stdout: "",
      stderr: "",
    });
    registry.faults.clear();
    expect((await fetch(`${registry.url}/v2/late/${signal.toLowerCase()}/manifests/1.0`)).status).toBe(404);
  });
});

test("a signal ends a command that waits for standard input", async () => {
  for (const words of [["digest"], ["blob", "put", name, "-"], ["manifest", "put", `${name}:x`, "-"]]) {
    const child = Bun.spawn([process.execPath, MAIN, ...words], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    await Bun.sleep(400);
    child.kill("SIGINT");
    expect({ words, code: await child.exited, stderr: await child.stderr.text() }).toEqual({
      words,
      code: 130,
      stderr: "",
    });
  }
});

test("--version and version say the same", async () => {
  const { stdout } = await shell("stowage --version");
  expect(stdout).toMatch(/^stowage \d+\.\d+\.\d+ \(bun \d+\.\d+\.\d+\)\n$/);
  expect(await shell("stowage version")).toEqual({ code: 0, stdout, stderr: "" });
});

test("help goes to standard output, and what is wrong does not", async () => {
  expect(await shell("stowage copy --help")).toMatchObject({ code: 0, stderr: "" });
  expect(await shell("stowage copy")).toMatchObject({ code: 2, stdout: "" });
});
