import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Need, program } from "../support/suite.ts";

/** Then strace is ended the hard way, which the process that it watches does not notice. */
const STOP_PATIENCE_MS = 2_000;

/** What can happen to a system call; in the words of strace. */
export const FAULTS = { kill: "signal=SIGKILL", EIO: "error=EIO", ENOSPC: "error=ENOSPC" } as const;
export type Fault = keyof typeof FAULTS;

/** Calls that change a disk. A process that dies before another call leaves the same as before the next of these. */
const CHANGING =
  "open,openat,creat,write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,sync_file_range,rename,renameat," +
  "renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,truncate,ftruncate,fallocate,copy_file_range";

/** Calls that can fail and that only look. */
const LOOKING = "read,pread64,readv,preadv,stat,lstat,fstat,newfstatat,statx,statfs,fstatfs,getdents64,lseek";

/** Every traced call by name; "?" because not every machine has every one. */
const TRACED = `${CHANGING},${LOOKING}`.replace(/[^,]+/g, "?$&");

/** One system call of a run: the `at`-th one of its name, as its thread counts. */
export interface Call {
  readonly name: string;
  readonly at: number;
}

export interface Injection extends Call {
  readonly fault: Fault;
}

export interface TraceOptions {
  /** Only calls on these files and folders count; they need not exist yet. */
  readonly paths: readonly string[];
  readonly injection?: Injection;
}

export function isChanging({ name }: Call): boolean {
  return CHANGING.split(",").includes(name);
}

export function isSync({ name }: Call): boolean {
  return name.includes("sync");
}

/** strace, and the right to use it (a container may not have it). */
export function tracing(): Need {
  const { path, isMet } = program("strace");
  const works = () => Bun.spawnSync([path, "-o", "/dev/null", "true"]).success;
  return { what: "strace and the right to trace", isMet: isMet && works() };
}

/**
 * Watches the system calls of a registry on given paths, and lets one of them fail or kill it. strace counts each
 * thread for itself; few paths for a short time make that exact: one path is either SQLite's, whose calls are all on
 * the main thread, or it sees one call of a name (what a second thread repeats is counted once).
 */
export class Trace implements AsyncDisposable {
  readonly #folder: string;
  readonly #log: string;
  readonly #options: TraceOptions;
  #strace: Bun.Subprocess<"ignore", "ignore", "pipe"> | null = null;

  private constructor(folder: string, options: TraceOptions) {
    this.#folder = folder;
    this.#log = join(folder, "calls");
    this.#options = options;
  }

  /** For a process that is about to be started with `wrapper`. */
  static async prepare(options: TraceOptions): Promise<Trace> {
    return new Trace(await mkdtemp(join(tmpdir(), "stowage-trace-")), options);
  }

  /** From now on; to be disposed, or it watches until the process ends. */
  static async attach(pid: number, options: TraceOptions): Promise<Trace> {
    const trace = await Trace.prepare(options);
    await trace.#attach(pid);
    return trace;
  }

  /** The command that starts the process. -D: the tracer is the grandchild, so that signals reach the process. */
  get wrapper(): readonly string[] {
    return [program("strace").path, "-D", "--seccomp-bpf", ...this.#arguments()];
  }

  /** The calls so far; complete when the trace was stopped. */
  get calls(): readonly Call[] {
    const counts = new Map<string, number>();
    const most = new Map<string, number>();
    for (const [, thread, name] of this.#text().matchAll(/^(\d+) +(\w+)\(/gm)) {
      const key = `${thread} ${name}`;
      const count = (counts.get(key) ?? 0) + 1;
      counts.set(key, count);
      if (name !== undefined) most.set(name, Math.max(count, most.get(name) ?? 0));
    }
    return [...most].flatMap(([name, count]) =>
      Array.from({ length: count }, (_, index) => ({ name, at: index + 1 })),
    );
  }

  /** Whether the injection happened. */
  get isHit(): boolean {
    return /\(INJECTED\)|killed by SIGKILL/.test(this.#text());
  }

  async stop(): Promise<void> {
    const strace = this.#strace;
    if (strace === null) return;
    this.#strace = null;
    // Asked kindly while its process is being killed, strace 6.1 may wait for ever.
    const isKilling = this.#options.injection?.fault === "kill";
    strace.kill(isKilling ? "SIGKILL" : "SIGTERM");
    const patience = setTimeout(() => strace.kill("SIGKILL"), STOP_PATIENCE_MS);
    await strace.exited;
    clearTimeout(patience);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #attach(pid: number): Promise<void> {
    const command = [program("strace").path, ...this.#arguments(), "-p", String(pid)];
    this.#strace = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
    let said = "";
    const decoder = new TextDecoder();
    const reader = this.#strace.stderr.getReader();
    while (!said.includes(" attached")) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`cannot attach strace: ${said}`);
      said += decoder.decode(value, { stream: true });
    }
    reader.releaseLock();
  }

  #arguments(): readonly string[] {
    const { paths, injection } = this.#options;
    const fault = injection && `inject=${injection.name}:${FAULTS[injection.fault]}:when=${injection.at}`;
    return [
      ...["-f", "-o", this.#log, "-e", `trace=${TRACED}`],
      ...(fault === undefined ? [] : ["-e", fault]),
      ...paths.flatMap((path) => ["-P", path]),
    ];
  }

  #text(): string {
    return existsSync(this.#log) ? readFileSync(this.#log, "utf8") : "";
  }
}
