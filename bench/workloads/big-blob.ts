import { open } from "node:fs/promises";
import { join } from "node:path";
import { digestOf, seededBytes } from "../../tests/support/content.ts";
import { startUpload } from "../api.ts";
import { output } from "../load.ts";
import type { Target } from "../peers.ts";
import type { Workload, WorkloadOptions } from "./workload.ts";

const REPOSITORY = "bench/big";
const MIB = 1024 * 1024;

const PULLS = 16;
const PULLED_MIB = 256;

/** A file to push. `digest` is that of its present bytes. */
interface ContentFile {
  readonly name: string;
  readonly path: string;
  readonly mib: number;
  readonly digest: string;
}

/** Push and pull of a big blob, many pulls at once, and the memory that this takes. */
export function bigBlobWorkloads({ filesFolder, bigMiB, seed }: WorkloadOptions): readonly Workload[] {
  let generation = seed;
  const make = (name: string, mib: number) => makeFile(join(filesFolder, name), name, mib, generation++);
  const kept = new Map<string, Promise<ContentFile>>();
  const keep = (name: string, mib: number) => {
    const found = kept.get(name) ?? make(name, mib);
    kept.set(name, found);
    return found;
  };
  const pushKept = async (target: Target, name: string, mib: number) => {
    const file = await keep(name, mib);
    if (target.kind === "registry") await push(target, file);
  };
  return [
    {
      name: "big-push",
      unit: "MiB/s",
      better: "higher",
      goals: { "distribution-v3": 3 },
      onStatic: false,
      prepare: async () => undefined,
      // New bytes and an empty folder each time: a registry that knows the content may take a shortcut.
      run: async (target) => {
        const file = await make("push.bin", bigMiB);
        await target.server?.restartFresh();
        return bigMiB / (await push(target, file));
      },
    },
    {
      name: "big-pull",
      unit: "MiB/s",
      better: "higher",
      goals: { "distribution-v3": 1.3, nginx: 0.9 },
      onStatic: true,
      prepare: (target) => pushKept(target, "pull.bin", bigMiB),
      run: async (target) => bigMiB / (await pull(target, await keep("pull.bin", bigMiB), 1)),
    },
    {
      name: "16-pulls",
      unit: "MiB/s",
      better: "higher",
      goals: {},
      onStatic: true,
      prepare: (target) => pushKept(target, "pulls.bin", PULLED_MIB),
      run: async (target) =>
        (PULLS * PULLED_MIB) / (await pull(target, await keep("pulls.bin", PULLED_MIB), PULLS)),
    },
    {
      name: "peak-memory",
      unit: "MiB",
      better: "lower",
      goals: { "distribution-v3": 2 },
      onStatic: false,
      prepare: async () => undefined,
      run: async (target) => {
        if (target.server === null) return null;
        await target.server.restartFresh();
        await push(target, await keep("pull.bin", bigMiB));
        await pushKept(target, "pulls.bin", PULLED_MIB);
        await pull(target, await keep("pulls.bin", PULLED_MIB), PULLS);
        return await target.server.peakMemoryMiB();
      },
    },
  ];
}

/** Seconds of POST and one PUT. curl sends the body, because it costs the machine the least. */
async function push({ url }: Target, file: ContentFile): Promise<number> {
  const startedAt = performance.now();
  const location = await startUpload(url, REPOSITORY, file.digest);
  const type = ["-H", "Content-Type: application/octet-stream", "-H", "Expect:"];
  await output(["curl", "-sS", "-f", "-X", "PUT", "-T", file.path, ...type, location]);
  return (performance.now() - startedAt) / 1_000;
}

/** Seconds until all of `count` concurrent pulls are done. */
async function pull({ url, kind }: Target, file: ContentFile, count: number): Promise<number> {
  const from = kind === "static" ? `${url}/${file.name}` : `${url}/v2/${REPOSITORY}/blobs/${file.digest}`;
  const startedAt = performance.now();
  // --location: registries may send a pull elsewhere.
  const command = ["curl", "-sS", "-f", "--location", "-o", "/dev/null", "-w", "%{size_download}", from];
  const sizes = await Promise.all(Array.from({ length: count }, () => output(command)));
  const seconds = (performance.now() - startedAt) / 1_000;
  if (sizes.some((size) => Number(size) !== file.mib * MIB)) {
    throw new Error(`a pull of "${from}" gave ${sizes.join(", ")} bytes; wanted ${file.mib * MIB}`);
  }
  return seconds;
}

/** Writes a file whose bytes depend on `generation`, and syncs it so that nothing is left to do in the background. */
async function makeFile(path: string, name: string, mib: number, generation: number): Promise<ContentFile> {
  const pattern = seededBytes(16 * MIB, generation);
  const hasher = new Bun.CryptoHasher("sha256");
  await using handle = await open(path, "w");
  for (let left = mib; left > 0; left -= 16) {
    // No two pieces alike, for filesystems that store the same bytes once.
    pattern.set(digestBytes(`${generation} ${left}`));
    const piece = pattern.subarray(0, Math.min(left, 16) * MIB);
    hasher.update(piece);
    await handle.write(piece);
  }
  await handle.sync();
  return { name, path, mib, digest: `sha256:${hasher.digest("hex")}` };
}

function digestBytes(text: string): Uint8Array {
  return new TextEncoder().encode(digestOf(text));
}
