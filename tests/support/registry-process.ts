import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const WORKSPACE = join(import.meta.dir, "..", "..");
const MAIN = join(WORKSPACE, "packages", "cli", "src", "main.ts");

export interface RegistryProcessOptions {
  /** Folder of the data; a new temporary one by default, which then is removed at the end. */
  readonly dataDir?: string;
  /** More arguments of `stowage serve`. */
  readonly args?: readonly string[];
  /** Command in front of Bun, for example `["strace", "-f", ...]`. */
  readonly wrapper?: readonly string[];
  /** 0 (default) lets the system choose. */
  readonly port?: number;
}

/** A registry in a process of its own, as users run it. */
export class RegistryProcess implements AsyncDisposable {
  readonly dataDir: string;
  readonly #options: RegistryProcessOptions;
  readonly #ownsData: boolean;
  #child: Bun.Subprocess<"ignore", "pipe", "pipe"> | null = null;
  #url = "";
  #log = "";

  private constructor(dataDir: string, options: RegistryProcessOptions) {
    this.dataDir = dataDir;
    this.#options = options;
    this.#ownsData = options.dataDir === undefined;
  }

  /** Starts one and waits until it listens. @throws Error with its output when it ends first */
  static async start(options: RegistryProcessOptions = {}): Promise<RegistryProcess> {
    const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "stowage-test-")));
    const registry = new RegistryProcess(dataDir, options);
    try {
      await registry.start();
    } catch (error) {
      await registry[Symbol.asyncDispose]();
      throw error;
    }
    return registry;
  }

  /** `http://127.0.0.1:PORT`, without a slash at the end. */
  get url(): string {
    return this.#url;
  }

  /** `127.0.0.1:PORT`, as clients want it in a reference. */
  get host(): string {
    return this.#url.replace(/^https?:\/\//, "");
  }

  get pid(): number {
    if (this.#child === null) throw new Error("the registry is not running");
    return this.#child.pid;
  }

  /** Everything it has printed so far. */
  get log(): string {
    return this.#log;
  }

  /** Starts it (again) on the same data. After a restart it has the same port. */
  async start(): Promise<void> {
    const port = this.#url === "" ? (this.#options.port ?? 0) : Number(new URL(this.#url).port);
    const command = [
      ...(this.#options.wrapper ?? []),
      process.execPath,
      MAIN,
      "serve",
      ...["--addr", `127.0.0.1:${port}`, "--data-dir", this.dataDir],
      ...(this.#options.args ?? []),
    ];
    const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    this.#child = child;
    const listening = Promise.withResolvers<string>();
    const ended = Promise.all([
      this.#read(child.stdout, listening.resolve),
      this.#read(child.stderr, () => undefined),
    ]);
    const url = await Promise.race([listening.promise, ended.then(() => null)]);
    if (url === null) throw new Error(`the registry did not start:\n${this.#log}`);
    this.#url = url;
  }

  async #read(stream: ReadableStream<Uint8Array>, onListening: (url: string) => void): Promise<void> {
    const decoder = new TextDecoder();
    // Of this start alone: the log still has the line of the one before.
    let beginning: string | null = "";
    for await (const chunk of stream) {
      const text = decoder.decode(chunk, { stream: true });
      this.#log += text;
      if (beginning === null) continue;
      beginning += text;
      const match = /"message":"listening","url":"([^"]+)"/.exec(beginning);
      if (match?.[1] === undefined) continue;
      onListening(match[1]);
      beginning = null;
    }
  }

  /** Sends a signal and waits for the end; resolves with the exit code, or null if the signal ended it. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<number | null> {
    const child = this.#child;
    if (child === null) return null;
    child.kill(signal);
    await child.exited;
    this.#child = null;
    return child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill("SIGKILL");
    if (this.#ownsData) await rm(this.dataDir, { recursive: true, force: true });
  }
}
