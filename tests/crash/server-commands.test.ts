import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test, setDefaultTimeout } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FilesystemBlobStore } from "@stowage/server/blobstore/filesystem/filesystem-blob-store";
import { stowage, stowageIn } from "../support/command.ts";
import { blobOf, imageOf, seededBytes } from "../support/content.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { TestApp } from "../support/test-app.ts";

// A test here starts twenty processes, and other suites run beside it.
setDefaultTimeout(30_000);

const LAYER = blobOf(seededBytes(5_000, 1));
const IMAGE = imageOf([LAYER, blobOf("another layer")]);

let folder = "";
/** A registry with one image, on which no server runs. */
let data = "";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "stowage-commands-"));
  data = join(folder, "data");
  const store = await FilesystemBlobStore.open(data);
  await using app = new TestApp({ store, databasePath: join(data, "stowage.sqlite") });
  await app.pushImage("t/r", "v1", IMAGE);
});

afterEach(async () => await rm(folder, { recursive: true, force: true }));

async function fileOf(root: string, { digest }: { readonly digest: string }): Promise<string> {
  const files = await readdir(join(root, "blobs"), { recursive: true });
  const name = files.find((file) => file.includes(digest.slice("sha256:".length)));
  if (name === undefined) throw new Error(`no file of ${digest}`);
  return join(root, "blobs", name);
}

describe("the socket of a server", () => {
  test("is the owner's alone, is replaced after a crash and removed at the end", async () => {
    const socket = join(data, "stowage.sock");
    await using registry = await RegistryProcess.start({ dataDir: data });
    expect((await stat(socket)).mode & 0o777).toBe(0o600);
    await registry.kill("SIGKILL");
    expect(existsSync(socket)).toBe(true);
    // Nobody listens: the command takes the folder itself.
    expect(await stowage("server", "gc", "--data-dir", data)).toMatchObject({ code: 0, stderr: "" });
    await registry.start();
    expect(await stowage("server", "gc", "--data-dir", data)).toMatchObject({ code: 0, stderr: "" });
    expect(await registry.kill("SIGTERM")).toBe(0);
    expect(existsSync(socket)).toBe(false);
  });

  test("is done without where the path is too long, and commands say that the folder is in use", async () => {
    const long = join(folder, "d".repeat(110));
    await using registry = await RegistryProcess.start({ dataDir: long });
    expect(registry.log).toContain("too long for a socket");
    const { code, stderr } = await stowage("server", "gc", "--data-dir", long);
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("another Stowage server"),
    });
    expect((await stowage("server", "check", "--data-dir", long)).code).toBe(0);
  });
});

describe("stowage server gc and scrub", () => {
  test("do the same with a server and without", async () => {
    for (const isRunning of [false, true]) {
      await using _ = isRunning ? await RegistryProcess.start({ dataDir: data }) : null;
      const preview = await stowage("server", "gc", "--dry-run", "--format", "json", "--data-dir", data);
      expect(JSON.parse(preview.stdout)).toMatchObject({ collectable: { blobs: 0 }, holds: 0 });
      const report = await stowage("server", "gc", "--format=json", "--data-dir", data);
      expect(JSON.parse(report.stdout)).toMatchObject({ pausedMs: 0, objectsDeleted: 0 });
      const scrub = await stowage("server", "scrub", "--all", "--data-dir", data);
      expect(scrub).toMatchObject({ code: 0, stdout: expect.stringContaining("3 blobs, ") });
    }
  });

  test("in a folder without a registry say so, and make none", async () => {
    const empty = join(folder, "empty");
    await mkdir(empty);
    for (const command of ["gc", "scrub", "check"]) {
      const { code, stderr } = await stowage("server", command, "--data-dir", empty);
      expect({ command, code }).toEqual({ command, code: 1 });
      expect(stderr).toContain("has no stowage.sqlite");
    }
    expect(await readdir(empty)).toEqual([]);
  });

  test("scrub prints what is damaged and says so by its exit code", async () => {
    await truncate(await fileOf(data, LAYER), 17);
    const { code, stdout } = await stowage("server", "scrub", "--all", "--data-dir", data);
    expect(code).toBe(9);
    expect(stdout).toContain(`${LAYER.digest}: size; push it again\n`);
  });

  test("wrong use is told apart from failure", async () => {
    for (const args of [[], ["nonsense"], ["gc", "--format", "xml"], ["backup"], ["gc", "--nonsense"]]) {
      expect(await stowage("server", ...args)).toMatchObject({ code: 2 });
    }
    expect(await stowage("server", "--help")).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("Examples:"),
    });
  });
});

describe("stowage server backup", () => {
  const backup = async (...args: readonly string[]) =>
    await stowageIn(folder, "server", "backup", ...args, "--data-dir", data);
  const restoreAndCheck = async (source: string) => {
    const target = join(folder, "restored");
    await rm(target, { recursive: true, force: true });
    expect(await stowageIn(folder, "server", "restore", source, "--data-dir", target)).toMatchObject({
      code: 0,
      stderr: "",
    });
    return await stowage("server", "check", "--bytes", "--data-dir", target);
  };

  test("keeps the blobs however the folder is written, also the second time", async () => {
    for (const target of [
      "copy",
      "./copy/",
      "copy/../copy",
      join(folder, "copy"),
      `${join(folder, "copy")}/`,
    ]) {
      expect(await backup(target)).toMatchObject({ code: 0, stdout: expect.stringContaining("3 blobs, ") });
      expect((await restoreAndCheck(target)).stdout).toBe("ok: 1 manifests, 3 blobs, 3 objects\n");
    }
  });

  test("overwrites neither a data folder nor anything else that is no backup", async () => {
    const other = join(folder, "other");
    await mkdir(other);
    await writeFile(join(other, "precious"), "x");
    for (const target of [data, join(data, "blobs"), join(data, "new"), folder, other]) {
      const { code, stderr } = await backup(target);
      expect({ target, code, stderr }).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("cannot back up"),
      });
    }
    expect(await readdir(other)).toEqual(["precious"]);
    expect(existsSync(join(data, "new"))).toBe(false);
    expect((await stowage("server", "check", "--bytes", "--data-dir", data)).code).toBe(0);
  });

  test("does not run twice into one folder", async () => {
    const copy = join(folder, "copy");
    expect((await backup(copy)).code).toBe(0);
    const lock = new Database(join(copy, "backup.lock"));
    lock.run("BEGIN EXCLUSIVE");
    expect(await backup(copy)).toMatchObject({ code: 1, stderr: expect.stringContaining("is under way") });
    lock.close();
    expect((await backup(copy)).code).toBe(0);
  });

  test("goes on where one was interrupted, which is no backup until then", async () => {
    const copy = join(folder, "copy");
    expect((await backup(copy)).code).toBe(0);
    await rm(join(copy, "backup.json"));
    await rm(await fileOf(copy, LAYER));
    await writeFile(`${await fileOf(copy, IMAGE.config)}.partial`, "half");
    await mkdir(join(copy, "backup.tmp"));
    await writeFile(join(copy, "backup.tmp", "stowage.sqlite"), "half");
    const target = join(folder, "restored");
    expect(await stowage("server", "restore", copy, "--data-dir", target)).toMatchObject({ code: 1 });
    expect(existsSync(target)).toBe(false);
    expect((await backup(copy)).code).toBe(0);
    expect((await restoreAndCheck(copy)).code).toBe(0);
    expect((await readdir(copy)).toSorted()).toEqual([
      "backup.json",
      "backup.lock",
      "blobs",
      "stowage.sqlite",
    ]);
  });

  test("leaves a damaged blob out with a warning, unless an earlier backup has it", async () => {
    expect((await backup("earlier")).code).toBe(0);
    await truncate(await fileOf(data, LAYER), 17);
    const warned = await backup("later");
    expect(warned).toMatchObject({ code: 9, stderr: expect.stringContaining(LAYER.digest) });
    expect((await stowage("server", "scrub", "--all", "--data-dir", data)).code).toBe(9);
    // It is out of sight now, but what the registry lost is not lost.
    expect(await backup("earlier")).toMatchObject({ code: 0, stdout: expect.stringContaining("3 blobs, ") });
    expect((await restoreAndCheck("earlier")).stdout).toBe("ok: 1 manifests, 3 blobs, 3 objects\n");
  });

  test("to a reader that goes away ends with an error", async () => {
    const command = 'set -o pipefail; "$@" | head -c 100 > /dev/null';
    const main = join(import.meta.dir, "..", "..", "packages", "cli", "src", "main.ts");
    const args = [process.execPath, main, "server", "backup", "-", "--data-dir", data];
    // More than a pipe holds, so that writing has to go on after the reader has gone.
    const store = await FilesystemBlobStore.open(data);
    await using app = new TestApp({ store, databasePath: join(data, "stowage.sqlite") });
    await app.pushBlob("t/r", blobOf(seededBytes(2_000_000, 3)));
    const child = Bun.spawn(["bash", "-c", command, "bash", ...args], { stderr: "pipe" });
    const stderr = await child.stderr.text();
    expect(await child.exited).toBe(1);
    expect(stderr).toBe("error: server backup: EPIPE: broken pipe, write\n");
  });
});
