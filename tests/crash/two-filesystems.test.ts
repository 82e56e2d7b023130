import { expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { RegistryProcess } from "../support/registry-process.ts";
import { suite } from "../support/suite.ts";
import { MemoryDisk, memoryDisks } from "./disks.ts";

suite("uploads and blobs on different filesystems", [memoryDisks()], () => {
  test("the registry refuses to start and says why: renaming would not be atomic (D9)", async () => {
    await using one = new MemoryDisk(4);
    await using other = new MemoryDisk(4);
    const uploads = join(one.path, "uploads");
    await mkdir(uploads);
    expect(Bun.spawnSync(["mount", "--bind", other.path, uploads]).success).toBe(true);
    try {
      const failure = await RegistryProcess.start({ dataDir: one.path }).then(
        () => "it started",
        (error: Error) => error.message,
      );
      expect(failure).toContain('"uploads" and "blobs" are on different filesystems; wanted one for both');
    } finally {
      Bun.spawnSync(["umount", uploads]);
    }
  });
});
