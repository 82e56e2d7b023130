import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testBlobStore } from "./conformance.ts";
import { FilesystemBlobStore } from "./filesystem/filesystem-blob-store.ts";
import { MemoryBlobStore } from "./memory.ts";

testBlobStore("memory", async () => {
  const store = new MemoryBlobStore();
  return { store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
});

testBlobStore("filesystem", async () => {
  const folder = await mkdtemp(join(tmpdir(), "stowage-blobs-"));
  const store = await FilesystemBlobStore.open(folder);
  return { store, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
});
