import { afterAll, expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { layeredImage, writeLayout } from "../../../../tests/compat/images.ts";
import { ClientError } from "../client-error.ts";
import { copy } from "../copy.ts";
import { OciLayout } from "./oci-layout.ts";

const folder = await mkdtemp(join(tmpdir(), "stowage-layouts-"));
afterAll(async () => await rm(folder, { recursive: true, force: true }));
let count = 0;

const image = layeredImage({ architecture: "amd64", layerCount: 2, seed: 1 });
const layer = image.layers[0]?.digest.slice("sha256:".length) ?? "";

async function layout(): Promise<{ readonly path: string; readonly blob: string }> {
  const path = join(folder, String(count++));
  await writeLayout(path, image, "1.0");
  return { path, blob: join(path, "blobs", "sha256", layer) };
}

async function copied(path: string): Promise<string> {
  const target = join(folder, String(count++));
  try {
    await using source = await OciLayout.open(path);
    await using to = await OciLayout.create(target);
    await copy(source, "1.0", to, { tags: ["1.0"] });
    await to.close();
    return "copied";
  } catch (error) {
    if (error instanceof ClientError) return error.kind;
    throw error;
  }
}

async function pipe(path: string): Promise<void> {
  await rm(path, { force: true });
  expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
}

test.each([
  ["another file", (blob: string) => symlink("/etc/passwd", blob), "mismatch"],
  ["itself", (blob: string) => symlink(blob, blob), "invalid"],
  ["a device that never ends", (blob: string) => symlink("/dev/zero", blob), "not-found"],
  ["nothing", (blob: string) => symlink("/nowhere/at/all", blob), "not-found"],
  ["a folder", (blob: string) => mkdir(blob), "not-found"],
  ["a pipe that nobody writes to", pipe, "not-found"],
])("a blob of a layout that leads to %s is not copied, and nothing waits", async (_, put, wanted) => {
  const { path, blob } = await layout();
  await rm(blob);
  await put(blob);
  expect(await copied(path)).toBe(wanted);
});

test("a blob of a layout may be a link to the same bytes, as build tools make them", async () => {
  const { path, blob } = await layout();
  const elsewhere = join(folder, String(count++));
  await writeFile(elsewhere, await readFile(blob));
  await rm(blob);
  await symlink(elsewhere, blob);
  expect(await copied(path)).toBe("copied");
});

const odd = { toString: 1 };
test.each([
  ["a pipe", null, "not-found"],
  ["no JSON", "no JSON", "invalid"],
  ["deep JSON", "[".repeat(1_000_000), "invalid"],
  ["larger than an index may be", `{"manifests":[]}${" ".repeat(5 * 1024 * 1024)}`, "invalid"],
  ["without a list", '{"manifests":{}}', "invalid"],
  [
    "of odd entries",
    JSON.stringify({ manifests: [{ digest: odd, mediaType: odd, annotations: odd }] }),
    "not-found",
  ],
  [
    "of paths in place of digests",
    JSON.stringify({ manifests: [{ digest: "sha256:../../../../etc/passwd", mediaType: "a/b" }] }),
    "not-found",
  ],
])("a layout whose index.json is %s ends with a ClientError", async (_, text, wanted) => {
  const { path } = await layout();
  if (text === null) await pipe(join(path, "index.json"));
  else await writeFile(join(path, "index.json"), text);
  expect(await copied(path)).toBe(wanted);
});

test("what is written to a layout replaces links, and does not follow them", async () => {
  const { path, blob } = await layout();
  const outside = join(folder, String(count++));
  await mkdir(outside);
  const victims = ["blob", "index"].map((name) => join(outside, name));
  for (const victim of victims) await writeFile(victim, "mine");
  const [blobVictim = "", indexVictim = ""] = victims;
  await rm(blob);
  await symlink(blobVictim, blob);
  const entries = await readFile(join(path, "index.json"), "utf8");
  await writeFile(indexVictim, entries);
  await rm(join(path, "index.json"));
  await symlink(indexVictim, join(path, "index.json"));
  const from = await layout();
  await using source = await OciLayout.open(from.path);
  await using target = await OciLayout.create(path);
  await copy(source, "1.0", target, { tags: ["2.0"] });
  const manifest = await source.getManifest("1.0");
  if (manifest !== null) await target.putManifest(manifest, { tags: ["2.0"] });
  const stream = async (offset: number) => new Blob([(await readFile(from.blob)).subarray(offset)]).stream();
  const size = (await readFile(from.blob)).byteLength;
  await target.putBlob({ digest: `sha256:${layer}` as never, size }, stream as never);
  await target.close();
  expect(await readFile(blobVictim, "utf8")).toBe("mine");
  expect(await readFile(indexVictim, "utf8")).toBe(entries);
  expect(await readdir(outside)).toEqual(["blob", "index"]);
  expect(await readFile(join(path, "index.json"), "utf8")).toContain("2.0");
});
