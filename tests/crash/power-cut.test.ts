import { expect, test } from "bun:test";
import { RegistryProcess } from "../support/registry-process.ts";
import { program, root, suite } from "../support/suite.ts";
import { Ext4Disk, powerCuts } from "./disks.ts";
import { pushUntilRefused, Random, SEED } from "./load.ts";
import { Client, findBroken, Ledger, LONG, say } from "./support.ts";

const ROUNDS = LONG ? 60 : 8;
const ROUNDS_OF_CONTROL = LONG ? 5 : 1;
const PUSHERS = 4;
/** Some layers are larger than a staging buffer, and so go past the page cache in part. */
const LAYER_BYTES_MAX = 900_000;

/** Acknowledged requests before the cut: at least enough for a blob. */
const CUT_AFTER_MIN = 30;
const CUT_AFTER_MAX = 180;

/** What a registry would be that forgot some of its syncs. */
const CONTROLS = [
  { without: "any sync", calls: "fsync,fdatasync,sync_file_range,msync,sync,syncfs" },
  { without: "a sync of the bytes of blobs", calls: "fdatasync" },
  { without: "a sync of folders and database", calls: "fsync" },
];

const needs = [root(), program("mkfs.ext4"), program("python3"), program("strace"), powerCuts()];

suite("a power cut under push load", needs, () => {
  test(
    "nothing is lost that was acknowledged (D1-D3)",
    async () => {
      say(`seed ${SEED}, ${ROUNDS} rounds`);
      const random = new Random(SEED);
      let acknowledged = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const { ledger, broken } = await cutOnce(random, []);
        expect(broken).toEqual([]);
        acknowledged += ledger.count;
      }
      say(`acknowledged ${acknowledged} requests; lost 0`);
    },
    60_000 + ROUNDS * 30_000,
  );

  test.each(CONTROLS)(
    "without $without the same cut loses acknowledged images: the test can fail",
    async ({ without, calls }) => {
      const random = new Random(SEED);
      for (let round = 0; round < ROUNDS_OF_CONTROL; round++) {
        const { ledger, broken } = await cutOnce(random, ineffective(calls));
        say(`without ${without}: acknowledged ${ledger.count} requests, ${broken.length} paths broken`);
        expect(broken).not.toEqual([]);
      }
    },
    60_000 + ROUNDS_OF_CONTROL * 30_000,
  );
});

/** Runs a registry whose system calls `calls` do nothing and say that they succeeded. */
function ineffective(calls: string): readonly string[] {
  // -D: the tracer is the grandchild, so that signals for the registry go to the registry.
  const quiet = ["-D", "-f", "--seccomp-bpf", "-q", "-o", "/dev/null"];
  return ["strace", ...quiet, "-e", `trace=${calls}`, "-e", `inject=${calls}:retval=0`];
}

interface Outcome {
  readonly ledger: Ledger;
  readonly broken: readonly string[];
}

/** Pushes until the power is cut, then starts the registry on what the disk has and reads everything again. */
async function cutOnce(random: Random, wrapper: readonly string[]): Promise<Outcome> {
  const ledger = new Ledger();
  await using disk = new Ext4Disk();
  {
    await using registry = await RegistryProcess.start({ dataDir: disk.path, wrapper });
    const pushers = Array.from({ length: PUSHERS }, (_, at) => {
      const own = new Random(random.between(1, 0x7fffffff));
      return pushUntilRefused(new Client(registry, `power/r${at}`, ledger), own, LAYER_BYTES_MAX);
    });
    await Promise.race([ledger.reaches(random.between(CUT_AFTER_MIN, CUT_AFTER_MAX)), Promise.all(pushers)]);
    // A no before the cut would end the load early and hide what the cut does.
    expect(ledger.refusals).toEqual([]);
    disk.cutPower();
    await Promise.all(pushers);
  }
  await disk.restorePower();
  // Upload sessions are promised to survive the process, not the machine (D4): their loss is no finding here.
  ledger.sessions.clear();
  return { ledger, broken: await readAgain(disk.path, ledger) };
}

async function readAgain(dataDir: string, ledger: Ledger): Promise<readonly string[]> {
  try {
    await using registry = await RegistryProcess.start({ dataDir });
    return await findBroken(registry, ledger);
  } catch (error) {
    return [`the registry does not start: ${String(error)}`];
  }
}
