import { describe, expect, test } from "bun:test";
import { mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { createWriteStream } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { pack } from "tar-stream";
import { stowage } from "../support/command.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { Random, SEED } from "./load.ts";
import { Client, findBroken, Ledger, LONG } from "./support.ts";

const ROUNDS = LONG ? 100 : 4;
const PUSHERS = 3;
const LAYER_BYTES_MAX = 60_000;

/** A collector in a hurry: what is deleted is gone while the backup that still names it is under way. */
const HURRY = ["--gc-interval", "100ms", "--gc-lease", "5s", "--gc-grace", "200ms", "--undo-time", "300ms"];

/** Images of one pusher that stay for many rounds, and what its others come to: a registry that grows proves no more. */
const STAYING_MAX = 40;
const PASSING_MAX = 4;

interface Pushed {
  readonly image: ReturnType<Random["image"]>;
  readonly tag: string;
}

/** Pushes images and deletes older ones until it is told to stop. */
async function churn(client: Client, random: Random, signal: AbortSignal): Promise<void> {
  const staying: Pushed[] = [];
  const passing: Pushed[] = [];
  for (let at = 0; !signal.aborted; at++) {
    const image = random.image(LAYER_BYTES_MAX);
    const tag = `v${at}-${random.between(0, 0x7fffffff)}`;
    if (!(await client.pushImage(image, tag))) return;
    // Every third image stays: what must be in the backups.
    (at % 3 === 0 ? staying : passing).push({ image, tag });
    const doomed = [
      ...(staying.length > STAYING_MAX ? staying.splice(0, 1) : []),
      ...(passing.length > PASSING_MAX ? passing.splice(random.between(0, 2), 1) : []),
    ];
    for (const old of doomed) await client.deleteManifest(old.image, old.tag);
  }
}

/** What a restored registry must have: what was acknowledged before the backup began and was not deleted since. */
function promisedIn(before: Ledger, after: Ledger): Ledger {
  const promised = before.copy();
  // Blobs alone may be collected when their lease ends, and sessions are not part of a backup.
  promised.blobs.clear();
  promised.sessions.clear();
  promised.gone.clear();
  for (const path of promised.manifests.keys())
    if (!after.manifests.has(path)) promised.manifests.delete(path);
  return promised;
}

describe("backup and restore", () => {
  test(
    `${ROUNDS} rounds under load: what was acknowledged before a backup is in it, and a check finds nothing`,
    async () => {
      const folder = await mkdtemp(join(tmpdir(), "stowage-backup-"));
      await using registry = await RegistryProcess.start({ args: HURRY });
      const stop = new AbortController();
      const random = new Random(SEED);
      const ledger = new Ledger();
      const pushers = Array.from({ length: PUSHERS }, (_, at) =>
        churn(new Client(registry, `load/r${at}`, ledger), new Random(random.between(1, 1e9)), stop.signal),
      );
      let [blobs, references] = [0, 0];
      for (let round = 0; round < ROUNDS; round++) {
        await ledger.reaches(ledger.count + 40);
        const before = ledger.copy();
        const target = round % 2 === 0 ? join(folder, "copy") : join(folder, `${round}.tar`);
        const data = ["--data-dir", registry.dataDir];
        const made = await stowage("server", "backup", target, ...data, "--format", "json");
        expect(made).toMatchObject({ code: 0, stderr: "" });
        blobs += (JSON.parse(made.stdout) as { blobs: number }).blobs;
        const promised = promisedIn(before, ledger);
        references += promised.manifests.size;
        await requireRestored(target, join(folder, `restored-${round}`), promised);
        const live = await stowage("server", "check", ...data);
        expect(live).toMatchObject({ code: 0 });
      }
      stop.abort();
      await Promise.all(pushers);
      expect(ledger.refusals).toEqual([]);
      const collected = [...registry.log.matchAll(/"objectsDeleted":(\d+)/g)];
      const deleted = collected.reduce((sum, match) => sum + Number(match[1]), 0);
      process.stderr.write(
        `>>> backup: seed ${SEED}, ${ROUNDS} backups and restores of ${blobs} blobs, ${references} references as promised, ` +
          `${deleted} objects collected meanwhile, 0 findings\n`,
      );
      expect(deleted).toBeGreaterThan(0);
      await rm(folder, { recursive: true });
    },
    60_000 + ROUNDS * 20_000,
  );

  test("an archive that is no backup is refused, and leaves nothing", async () => {
    const folder = await mkdtemp(join(tmpdir(), "stowage-hostile-"));
    const cases: readonly (readonly [
      string,
      { name: string; type?: "symlink"; linkname?: string }[],
      string,
    ])[] = [
      ["traversal", [{ name: "../../evil" }], "belongs to no backup"],
      ["absolute", [{ name: "/etc/evil" }], "belongs to no backup"],
      ["deep", [{ name: `blobs/sha256/aa/../../../evil` }], "belongs to no backup"],
      ["link", [{ name: "stowage.sqlite", type: "symlink", linkname: "/etc/passwd" }], "wanted files only"],
      ["empty", [], "no backup.json"],
      ["half", [{ name: "stowage.sqlite" }], "no backup.json"],
    ];
    for (const [name, entries, text] of cases) {
      const path = join(folder, `${name}.tar`);
      const archive = pack();
      for (const { type = "file", ...entry } of entries)
        archive.entry({ ...entry, type }, type === "file" ? "x" : "");
      archive.finalize();
      await pipeline(archive, createWriteStream(path));
      await requireRefused(path, join(folder, "data"), text);
    }
    await writeFile(join(folder, "cut.tar"), new Uint8Array(700).fill(65));
    await requireRefused(join(folder, "cut.tar"), join(folder, "data"), "error: server restore");
    await symlink("/etc", join(folder, "no-backup"));
    await requireRefused(join(folder, "no-backup"), join(folder, "data"), "no backup.json");
    await rm(folder, { recursive: true });
  });

  test("a damaged or cut backup is refused, and a registry is not overwritten", async () => {
    const folder = await mkdtemp(join(tmpdir(), "stowage-damaged-"));
    await using registry = await RegistryProcess.start();
    const client = new Client(registry, "a", new Ledger());
    await client.pushImage(new Random(1).image(5_000), "v1");
    const data = ["--data-dir", registry.dataDir];
    const tar = join(folder, "whole.tar");
    expect((await stowage("server", "backup", tar, ...data)).code).toBe(0);
    const bytes = await Bun.file(tar).bytes();
    const cut = join(folder, "cut.tar");
    await writeFile(cut, bytes.slice(0, bytes.byteLength - 4_000));
    await requireRefused(cut, join(folder, "data"), "error: server restore");
    const flipped = join(folder, "flipped.tar");
    bytes[600] = (bytes[600] ?? 0) ^ 1;
    await writeFile(flipped, bytes);
    await requireRefused(flipped, join(folder, "data"), "damaged");
    const over = await stowage("server", "restore", tar, ...data);
    expect(over).toMatchObject({ code: 1 });
    expect(over.stderr).toContain("is not empty");
    await rm(folder, { recursive: true });
  });
});

async function requireRestored(source: string, dataDir: string, promised: Ledger): Promise<void> {
  expect(await stowage("server", "restore", source, "--data-dir", dataDir)).toMatchObject({
    code: 0,
    stderr: "",
  });
  const check = await stowage("server", "check", "--bytes", "--data-dir", dataDir);
  expect(check.stdout).toStartWith("ok: ");
  await using restored = await RegistryProcess.start({ dataDir });
  expect(await findBroken(restored, promised)).toEqual([]);
  await restored.kill("SIGTERM");
  await rm(dataDir, { recursive: true });
}

async function requireRefused(source: string, dataDir: string, text: string): Promise<void> {
  const { code, stderr } = await stowage("server", "restore", source, "--data-dir", dataDir);
  expect({ source, code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining(text) });
  expect(await readdir(dataDir).catch(() => [])).toEqual([]);
}
