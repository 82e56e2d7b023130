import { expect, test } from "bun:test";
import { mkdtemp, open, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FaultyBlobStore } from "@stowage/server/blobstore/faulty";
import { FilesystemBlobStore } from "@stowage/server/blobstore/filesystem/filesystem-blob-store";
import { MemoryBlobStore } from "@stowage/server/blobstore/memory";
import { blobOf, imageOf, seededBytes, type TestBlob } from "../support/content.ts";
import { Random } from "../support/random.ts";
import { errorCode, TestApp } from "../support/test-app.ts";

/** Blobs that are damaged, and sound ones beside them. */
const DAMAGED = 1_000;
const SOUND = 300;
const BLOB_BYTES_MAX = 20_000;

const EVERYTHING = { all: true };
const NEVER = new AbortController().signal;

interface Damage {
  readonly problem: "missing" | "size" | "digest";
  readonly make: (path: string, bytes: Uint8Array, random: Random) => Promise<void>;
}

const DAMAGES: readonly Damage[] = [
  {
    problem: "digest",
    make: async (path, bytes, random) => {
      const at = random.below(bytes.byteLength);
      const flipped = (bytes[at] ?? 0) ^ (1 << random.below(8));
      const file = await open(path, "r+");
      await file.write(Uint8Array.of(flipped), 0, 1, at);
      await file.close();
    },
  },
  { problem: "size", make: (path, bytes, random) => truncate(path, random.below(bytes.byteLength)) },
  { problem: "size", make: (path, bytes) => writeFile(path, Buffer.concat([bytes, Buffer.from("more")])) },
  { problem: "missing", make: (path) => rm(path) },
  { problem: "digest", make: (path, bytes) => writeFile(path, new Uint8Array(bytes.byteLength)) },
];

async function keyOf(app: TestApp, { digest }: TestBlob): Promise<string> {
  const [page] = await Promise.all([app.metadata.scrub.next(Number.MAX_SAFE_INTEGER, 100_000)]);
  const found = page.find((blob) => blob.digest === digest);
  if (found === undefined) throw new Error(`no blob ${digest}`);
  return found.storageKey;
}

test(`scrub finds ${DAMAGED} random corruptions of ${DAMAGED}, and takes nothing else for one`, async () => {
  const seed = Number(process.env.STOWAGE_SEED ?? Date.now() % 1_000_000);
  const random = new Random(seed);
  const folder = await mkdtemp(join(tmpdir(), "stowage-scrub-"));
  await using app = new TestApp({ store: await FilesystemBlobStore.open(folder) });
  const blobs = Array.from({ length: DAMAGED + SOUND }, (_, at) =>
    blobOf(seededBytes(1 + random.below(BLOB_BYTES_MAX), seed + at)),
  );
  for (let at = 0; at < blobs.length; at += 50) {
    await Promise.all(blobs.slice(at, at + 50).map((blob) => app.pushBlob("t/r", blob)));
  }
  const listed = await app.metadata.scrub.next(Number.MAX_SAFE_INTEGER, 10_000);
  const keys = new Map(listed.map((blob) => [blob.digest, blob.storageKey]));
  const wanted = new Map<string, string>();
  for (const blob of blobs.slice(0, DAMAGED)) {
    const { problem, make } = random.pick(DAMAGES);
    const path = join(folder, keys.get(blob.digest) ?? "");
    await make(path, blob.bytes, random);
    // Zeroes over a blob of zeroes would be no damage; the generator makes none.
    wanted.set(blob.digest, problem);
  }
  await app.registry.scrubber.run(NEVER, EVERYTHING);
  const findings = await app.registry.scrubber.findings(null, 10_000);
  const found = new Map(findings.map(({ digest, problem }) => [String(digest), String(problem)]));
  process.stderr.write(
    `>>> scrub: seed ${seed}, ${wanted.size} corruptions, ${found.size} found, ${app.registry.scrubber.status().blobs} blobs read\n`,
  );
  expect(found).toEqual(wanted);
  expect(app.registry.scrubber.status()).toMatchObject({ running: false, findings: DAMAGED });
  for (const blob of blobs) {
    const isDamaged = wanted.has(blob.digest);
    const { status } = await app.request("HEAD", `/v2/t/r/blobs/${blob.digest}`);
    expect(status).toBe(isDamaged ? 404 : 200);
  }
  await rm(folder, { recursive: true });
}, 60_000);

test("a push of the damaged image repairs it, for every repository", async () => {
  const folder = await mkdtemp(join(tmpdir(), "stowage-scrub-"));
  await using app = new TestApp({ store: await FilesystemBlobStore.open(folder) });
  const layer = blobOf(seededBytes(5_000, 1));
  const image = imageOf([layer]);
  await app.pushImage("t/r", "v1", image);
  await app.pushImage("t/other", "v1", image);
  await truncate(join(folder, await keyOf(app, layer)), 10);
  await app.registry.scrubber.run(NEVER, EVERYTHING);
  for (const repository of ["t/r", "t/other"]) {
    expect((await app.request("GET", `/v2/${repository}/blobs/${layer.digest}`)).status).toBe(404);
  }
  const mount = `/v2/t/new/blobs/uploads/?mount=${layer.digest}&from=t/r`;
  expect((await app.request("POST", mount)).status).toBe(202);
  expect(await errorCode(await app.pushManifest("t/r", "v2", image))).toBe("MANIFEST_BLOB_UNKNOWN");
  expect((await app.pushImage("t/r", "v2", image)).status).toBe(201);
  for (const repository of ["t/r", "t/other"]) {
    const response = await app.request("GET", `/v2/${repository}/blobs/${layer.digest}`);
    expect(Buffer.from(await response.bytes()).equals(layer.bytes)).toBe(true);
  }
  const [finding] = await app.registry.scrubber.findings(null, 10);
  expect(finding).toMatchObject({ digest: layer.digest, problem: "size" });
  expect(finding?.repairedAt).not.toBeNull();
  await app.registry.scrubber.run(NEVER, EVERYTHING);
  expect(app.registry.scrubber.status()).toMatchObject({ blobs: 2, findings: 0 });
  await rm(folder, { recursive: true });
});

test("scrub reads a blob again when its interval has passed, and not before", async () => {
  await using app = new TestApp();
  await app.pushBlob("t/r", blobOf("abc"));
  await app.pushBlob("t/r", blobOf(""));
  const run = async () => (await app.registry.scrubber.run(NEVER, { all: false })).blobs;
  expect(await run()).toBe(0);
  app.clockAhead += 30 * 24 * 3_600_000 + 1;
  expect(await run()).toBe(2);
  expect(await run()).toBe(0);
  // A look that found nothing due does not hide what the last run did.
  expect(app.registry.scrubber.status()).toMatchObject({ running: false, blobs: 2 });
});

test("a file that was swapped for another one's is found, and put back it is served again after a push", async () => {
  const folder = await mkdtemp(join(tmpdir(), "stowage-scrub-"));
  await using app = new TestApp({ store: await FilesystemBlobStore.open(folder) });
  const [one, two] = [blobOf(seededBytes(700, 1)), blobOf(seededBytes(700, 2))];
  for (const blob of [one, two]) await app.pushBlob("t/r", blob);
  const [first, second] = [join(folder, await keyOf(app, one)), join(folder, await keyOf(app, two))];
  await rename(first, `${first}.tmp`);
  await rename(second, first);
  await rename(`${first}.tmp`, second);
  expect(Buffer.from(await readFile(first)).equals(Buffer.from(two.bytes))).toBe(true);
  await app.registry.scrubber.run(NEVER, EVERYTHING);
  expect(app.registry.scrubber.status().findings).toBe(2);
  expect((await app.pushBlob("t/r", one)).status).toBe(201);
  expect((await app.request("GET", `/v2/t/r/blobs/${one.digest}`)).status).toBe(200);
  await rm(folder, { recursive: true });
});

/** A store whose `open` fails once in a while with an error of the system. */
function failingStore(code: () => string | null): FaultyBlobStore {
  return new FaultyBlobStore(new MemoryBlobStore(), (operation) => {
    const failure = operation === "open" ? code() : null;
    if (failure !== null) throw Object.assign(new Error(failure), { code: failure });
  });
}

test("a bad sector is a finding; a machine that has no more files, or a store that is away, takes no blob out of sight", async () => {
  let code: string | null = null;
  await using app = new TestApp({ store: failingStore(() => code) });
  const blob = blobOf("abc");
  await app.pushBlob("t/r", blob);
  const head = async () => (await app.request("HEAD", `/v2/t/r/blobs/${blob.digest}`)).status;
  for (code of ["EMFILE", "ENFILE", "ENOMEM", "EACCES", "ECONNRESET"]) {
    expect(app.registry.scrubber.run(NEVER, EVERYTHING)).rejects.toThrow(code);
    await app.registry.scrubber.run(NEVER, EVERYTHING).catch(() => null);
    expect(app.registry.scrubber.status()).toMatchObject({ running: false, findings: 0, endedEarly: true });
    code = null;
    expect(await head()).toBe(200);
  }
  code = "EIO";
  expect(await app.registry.scrubber.run(NEVER, EVERYTHING)).toMatchObject({
    findings: 1,
    endedEarly: false,
  });
  code = null;
  expect(await head()).toBe(404);
  expect(await app.registry.scrubber.findings(null, 10)).toMatchObject([{ problem: "unreadable" }]);
});

test("scrub of everything that comes while another run is under way reads everything, each blob once", async () => {
  await using app = new TestApp();
  for (let at = 0; at < 100; at++) await app.pushBlob("t/r", blobOf(`old ${at}`));
  app.clockAhead += 30 * 24 * 3_600_000 + 1;
  for (let at = 0; at < 100; at++) await app.pushBlob("t/r", blobOf(`new ${at}`));
  app.clockAhead += 1;
  const due = app.registry.scrubber.run(NEVER, { all: false });
  expect(app.registry.scrubber.start(EVERYTHING, () => null)).toMatchObject({ running: true });
  expect(await due).toMatchObject({ blobs: 200, endedEarly: false });
});

test("a clock that is set back while everything is read does not make scrub go on for ever", async () => {
  await using app = new TestApp();
  for (let at = 0; at < 100; at++) await app.pushBlob("t/r", blobOf(`blob ${at}`));
  const run = app.registry.scrubber.run(NEVER, EVERYTHING);
  app.wallAhead = -3_600_000;
  expect(await run).toMatchObject({ blobs: 100 });
});

test("a blob that was collected, or pushed again, while it was read is no finding", async () => {
  await using app = new TestApp();
  const [collected, pushed] = [blobOf("collected"), blobOf("pushed again")];
  for (const blob of [collected, pushed]) await app.pushBlob("t/r", blob);
  const stale = await app.metadata.scrub.next(Number.MAX_SAFE_INTEGER, 10);
  await app.request("DELETE", `/v2/t/r/blobs/${collected.digest}`);
  for (const blob of stale) await app.metadata.scrub.quarantine(blob, "missing");
  await app.pushBlob("t/r", pushed);
  const before = await app.registry.scrubber.findings(null, 10);
  for (const blob of stale) expect(await app.metadata.scrub.quarantine(blob, "missing")).toBe(false);
  expect(await app.registry.scrubber.findings(null, 10)).toEqual(before);
  expect((await app.request("HEAD", `/v2/t/r/blobs/${pushed.digest}`)).status).toBe(200);
});
