import { expect, test } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { blobOf, type TestBlob, type TestImage } from "../support/content.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { root, suite } from "../support/suite.ts";
import { MemoryDisk, memoryDisks } from "./disks.ts";
import { Random, SEED } from "./load.ts";
import { type Answer, Client, findBroken, Ledger, offsetOf, say, send, sessionOf } from "./support.ts";

const DISK_MIB = 12;
const LAYER_BYTES = 1024 * 1024;

/** More pushes than the disk can hold. */
const PUSHES_MAX = 4 * DISK_MIB;

const TIMEOUT_MS = 60_000;

suite("a full disk", [root(), memoryDisks()], () => {
  test(
    "pushes are refused with 507, everything acknowledged is read on, deletions are answered (A1)",
    async () => {
      await using full = await FullRegistry.open();
      const { registry, client, ledger, random } = full;
      const pushed = await full.fill();
      say(`seed ${SEED}: ${pushed.length} images on ${DISK_MIB} MiB, then ${ledger.refusals.join(", ")}`);
      expect(await findBroken(registry, ledger)).toEqual([]);
      expect((await send(`${registry.url}/readyz`))?.status).toBe(200);

      const [first] = pushed;
      if (first === undefined) throw new Error("the disk was full before the first image");
      expect((await client.deleteManifest(first, "v0"))?.status).toBe(202);
      for (const { digest } of [...first.layers, first.config]) {
        expect((await client.deleteBlob(digest))?.status).toBe(202);
      }
      for (let again = 0; again < 5; again++) {
        expectFull(await putWhole(client, blobOf(random.bytes(LAYER_BYTES))));
      }
      expect(await findBroken(registry, ledger)).toEqual([]);

      // Not even a restart is harder on a full disk.
      await registry.kill("SIGKILL");
      await registry.start();
      expect(await findBroken(registry, ledger)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    "a cancelled upload gives its space back at once, without a restart",
    async () => {
      await using full = await FullRegistry.open();
      const { client, ledger, random, registry } = full;
      const hoard = await full.hoard(4 * LAYER_BYTES);
      await full.fill();
      expect((await client.cancel(hoard))?.status).toBe(204);
      expect(await client.pushImage(random.image(LAYER_BYTES), "after")).toBe(true);
      expect(await findBroken(registry, ledger)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    "an upload that hit the end of the disk is where it was, or has ended; with space it succeeds",
    async () => {
      await using full = await FullRegistry.open();
      const { client, ledger, random, registry } = full;
      const session = await client.startUpload();
      if (session === null) throw new Error("the first upload was refused");
      const blob = blobOf(random.bytes(6 * LAYER_BYTES));
      expect((await client.patch(session, blob.bytes.slice(0, 1000)))?.status).toBe(202);
      const hoard = await full.hoard(7 * LAYER_BYTES);
      // More than is left, so the end of the disk comes while the bytes do.
      expectFull(await client.patch(session, blob.bytes.slice(1000)));
      expect((await client.cancel(hoard))?.status).toBe(204);
      const answer = await client.get(session);
      if (answer?.status === 204) {
        expect(offsetOf(answer)).toBe(1000);
        expect((await client.finish(session, blob.digest, blob.bytes.slice(1000)))?.status).toBe(201);
      } else {
        expect(answer?.status).toBe(404);
        expect(await client.pushBlob(blob)).toBe(true);
      }
      expect(await findBroken(registry, ledger)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    "bytes of a push that was refused do not stay on the disk",
    async () => {
      await using full = await FullRegistry.open();
      const { client, random } = full;
      const session = await client.startUpload();
      if (session === null) throw new Error("the first upload was refused");
      expect((await client.patch(session, random.bytes(1000)))?.status).toBe(202);
      expectFull(await client.patch(session, random.bytes(2 * DISK_MIB * LAYER_BYTES)));
      expectFull(await putWhole(client, blobOf(random.bytes(2 * DISK_MIB * LAYER_BYTES))));
      // What was acknowledged may stay: the client can go on from there.
      expect(full.uploadBytes()).toBeLessThanOrEqual(1000);
      expect(await client.pushImage(random.image(LAYER_BYTES), "after")).toBe(true);
    },
    TIMEOUT_MS,
  );
});

/** A registry on a disk that is soon full, and who pushes to it. */
class FullRegistry implements AsyncDisposable {
  readonly ledger = new Ledger();
  readonly random = new Random(SEED);
  readonly registry: RegistryProcess;
  readonly client: Client;
  readonly #disk: MemoryDisk;

  private constructor(disk: MemoryDisk, registry: RegistryProcess) {
    this.#disk = disk;
    this.registry = registry;
    this.client = new Client(registry, "full/r", this.ledger);
  }

  static async open(): Promise<FullRegistry> {
    await using opened = new AsyncDisposableStack();
    const disk = opened.use(new MemoryDisk(DISK_MIB));
    const registry = await RegistryProcess.start({ dataDir: disk.path });
    opened.move();
    return new FullRegistry(disk, registry);
  }

  /**
   * Pushes images until one does not fit, a blob that could never fit, and ever smaller ones; resolves with the
   * images that did.
   */
  async fill(): Promise<readonly TestImage[]> {
    const pushed: TestImage[] = [];
    for (let at = 0; at < PUSHES_MAX; at++) {
      const image = this.random.image(LAYER_BYTES);
      if (!(await this.client.pushImage(image, `v${at}`))) break;
      pushed.push(image);
    }
    expectFull(await putWhole(this.client, blobOf(this.random.bytes(2 * DISK_MIB * LAYER_BYTES))));
    for (let bytes = LAYER_BYTES; bytes >= 1024; bytes /= 2) {
      let answer = await putWhole(this.client, blobOf(this.random.bytes(bytes)));
      while (answer.status === 201) answer = await putWhole(this.client, blobOf(this.random.bytes(bytes)));
      expectFull(answer);
    }
    expect(this.ledger.refusals.filter((refusal) => !refusal.endsWith(" 507"))).toEqual([]);
    return pushed;
  }

  /** An open upload that takes up space. */
  async hoard(bytes: number): Promise<string> {
    const session = await this.client.startUpload();
    if (session === null) throw new Error("the upload was refused");
    expect((await this.client.patch(session, this.random.bytes(bytes)))?.status).toBe(202);
    return session;
  }

  /** Bytes in files of upload sessions. */
  uploadBytes(): number {
    const folder = join(this.#disk.path, "uploads");
    return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.registry[Symbol.asyncDispose]();
    await this.#disk[Symbol.asyncDispose]();
  }
}

/** A blob in one PUT; the answer of whichever request was the last. */
async function putWhole(client: Client, blob: TestBlob): Promise<Answer> {
  const opened = await client.post();
  const session = sessionOf(opened);
  const answer = session === null ? opened : await client.finish(session, blob.digest, blob.bytes);
  if (answer === null) throw new Error(`no answer; so far ${client.ledger.refusals.join(", ")}`);
  return answer;
}

function expectFull(answer: Answer | null): void {
  expect(answer?.status).toBe(507);
  expect(answer?.headers.get("Content-Type")).toStartWith("application/json");
  const body = JSON.parse(new TextDecoder().decode(answer?.bytes)) as { errors: { code: string }[] };
  expect(body.errors.map(({ code }) => code)).toEqual(["STORAGE_FULL"]);
}
