import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";

/** A server that has not answered after this time does not start any more. */
const START_MS_MAX = 60_000;
const STOP_MS_MAX = 20_000;

/** Time between two questions whether a starting server answers: what "time to first answer" is exact to. */
const POLL_MS = 1;

export interface ServerPlan {
  readonly name: string;
  /** Folder of this server alone, below the temporary folder of the run. */
  readonly folder: string;
  /** Answers 200 once the server is there. */
  readonly readyPath: string;
  /** Command line of the server, which shall stay in the foreground; may write its configuration into `folder`. */
  readonly command: (place: ServerPlace) => Promise<readonly string[]>;
}

export interface ServerPlace {
  readonly port: number;
  /** Made anew, and empty, for each fresh start. */
  readonly dataDir: string;
  /** For configuration and logs. */
  readonly folder: string;
}

/**
 * A server that the benchmark itself starts, stops and wipes, the same way for all of them. Not the
 * `RegistryProcess` of the tests: that gathers the log, and a hundred thousand lines of it would make the client
 * the thing that is measured. Here standard output goes to /dev/null.
 */
export class ServerProcess implements AsyncDisposable {
  readonly #plan: ServerPlan;
  readonly #port: number;
  readonly #dataDir: string;
  #child: Bun.Subprocess<"ignore", "ignore", Bun.BunFile> | null = null;

  constructor(plan: ServerPlan) {
    this.#plan = plan;
    this.#port = freePort();
    this.#dataDir = join(plan.folder, "data");
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Starts it on the data that is there; resolves with the milliseconds from spawn to its first answer. */
  async start(): Promise<number> {
    const { folder, readyPath, name } = this.#plan;
    await mkdir(this.#dataDir, { recursive: true });
    const command = await this.#plan.command({ port: this.#port, dataDir: this.#dataDir, folder });
    const log = join(folder, "stderr.log");
    const startedAt = performance.now();
    const child = Bun.spawn([...command], { stdin: "ignore", stdout: "ignore", stderr: Bun.file(log) });
    this.#child = child;
    while (!(await answers(`${this.url}${readyPath}`))) {
      if (child.exitCode !== null || performance.now() - startedAt > START_MS_MAX) {
        throw new Error(`${name} did not start:\n${await readFile(log, "utf8")}`);
      }
      await Bun.sleep(POLL_MS);
    }
    return performance.now() - startedAt;
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    this.#child = null;
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
    await child.exited;
    clearTimeout(timer);
  }

  /** Starts it without any data. */
  async restartFresh(): Promise<void> {
    await this.stop();
    await rm(this.#dataDir, { recursive: true, force: true });
    await this.start();
  }

  /** Most memory it has had since it was started, in MiB. */
  async peakMemoryMiB(): Promise<number> {
    return await this.#memoryMiB("VmHWM");
  }

  /** Memory that it has now, in MiB. */
  async memoryMiB(): Promise<number> {
    return await this.#memoryMiB("VmRSS");
  }

  async #memoryMiB(field: "VmHWM" | "VmRSS"): Promise<number> {
    if (this.#child === null) throw new Error(`${this.#plan.name} is not running`);
    const status = await readFile(`/proc/${this.#child.pid}/status`, "utf8");
    const kib = new RegExp(`^${field}:\\s*(\\d+) kB$`, "m").exec(status)?.[1];
    if (kib === undefined) throw new Error(`/proc says no ${field} of ${this.#plan.name}`);
    return Number(kib) / 1024;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.#plan.folder, { recursive: true, force: true });
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false;
  }
}

function freePort(): number {
  using listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  return listener.port;
}
