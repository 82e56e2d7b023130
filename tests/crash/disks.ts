import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Need, program, root } from "../support/suite.ts";

const IMAGE_MIB = 96;

/** A filesystem may be busy for a moment after the last process that used it has ended. */
const UNMOUNT_ATTEMPTS_MAX = 50;

/**
 * EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH: from now on nothing reaches the disk, neither what is in the
 * page cache nor what is in the journal's memory. As after a power cut, the disk has what was synced.
 */
const POWER_CUT = `
import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack("I", 2))
`;

/** What is mounted now; an aborted test run leaves nothing behind either. */
const mounted = new Set<string>();
process.on("exit", () => {
  for (const path of mounted) Bun.spawnSync(["umount", "-l", path]);
});

/** A filesystem of its own in a temporary folder; gone, with all that is on it, when it is disposed. */
export abstract class Disk implements AsyncDisposable {
  readonly #folder = realpathSync(mkdtempSync(join(tmpdir(), "stowage-disk-")));
  readonly path = join(this.#folder, "mnt");
  protected readonly image = join(this.#folder, "disk.img");

  protected abstract mountArguments(): readonly string[];

  mount(): void {
    run(["mkdir", "-p", this.path]);
    run(["mount", ...this.mountArguments(), this.path]);
    mounted.add(this.path);
  }

  async unmount(): Promise<void> {
    for (let attempt = 1; mounted.has(this.path); attempt++) {
      if (Bun.spawnSync(["umount", this.path]).success) mounted.delete(this.path);
      else if (attempt < UNMOUNT_ATTEMPTS_MAX) await Bun.sleep(20 * attempt);
      else throw new Error(`cannot unmount "${this.path}": a process still uses it`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.unmount();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A small disk in memory. */
export class MemoryDisk extends Disk {
  readonly #mebibytes: number;

  constructor(mebibytes: number) {
    super();
    this.#mebibytes = mebibytes;
    this.mount();
  }

  protected mountArguments(): readonly string[] {
    return ["-t", "tmpfs", "-o", `size=${this.#mebibytes}m`, "tmpfs"];
  }
}

/** An ext4 filesystem in a file, whose power can be cut. */
export class Ext4Disk extends Disk {
  constructor() {
    super();
    run(["truncate", "-s", `${IMAGE_MIB}M`, this.image]);
    run([program("mkfs.ext4").path, "-q", "-F", this.image]);
    this.mount();
  }

  protected mountArguments(): readonly string[] {
    return ["-t", "ext4", "-o", "loop", this.image];
  }

  /** After it every access fails, until the disk is unmounted and mounted again. */
  cutPower(): void {
    run(["python3", "-c", POWER_CUT, this.path]);
  }

  /** Unmounting forgets the page cache; mounting replays the journal. Nothing may use the disk. */
  async restorePower(): Promise<void> {
    await this.unmount();
    this.mount();
  }
}

/** Being root is not enough in a container: the needs are tried. */
export function memoryDisks(): Need {
  return { what: "the right to mount a tmpfs", isMet: root().isMet && works(() => new MemoryDisk(1)) };
}

export function powerCuts(): Need {
  const what = "the right to mount an ext4 image and to cut its power";
  return {
    what,
    isMet:
      root().isMet &&
      works(
        () => new Ext4Disk(),
        (disk) => disk.cutPower(),
      ),
  };
}

function works<D extends Disk>(open: () => D, use: (disk: D) => void = () => undefined): boolean {
  try {
    const disk = open();
    try {
      use(disk);
      return true;
    } finally {
      Bun.spawnSync(["umount", disk.path]);
      mounted.delete(disk.path);
      void disk[Symbol.asyncDispose]();
    }
  } catch {
    return false;
  }
}

function run(command: readonly string[]): void {
  const { success, stderr } = Bun.spawnSync([...command], { stdout: "ignore", stderr: "pipe" });
  if (!success) throw new Error(`cannot run ${command[0]}: ${stderr.toString().trim()}`);
}
