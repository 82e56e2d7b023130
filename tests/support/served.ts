import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSettings } from "@stowage/server/config/settings";
import { type RunningServer, serve, type ServeOptions } from "@stowage/server/serve";

/** The whole server with its sockets, in this process: for tests that set limits that no setting sets. */
export class Served implements AsyncDisposable {
  readonly server: RunningServer;
  readonly #dataDir: string;
  #lines: string[] = [];

  private constructor(server: RunningServer, dataDir: string, lines: string[]) {
    this.server = server;
    this.#dataDir = dataDir;
    this.#lines = lines;
  }

  static async start(args: readonly string[], options: ServeOptions = {}): Promise<Served> {
    const dataDir = await mkdtemp(join(tmpdir(), "stowage-served-"));
    const lines: string[] = [];
    const result = readSettings({
      args: ["--addr", "127.0.0.1:0", "--data-dir", dataDir, "--drain-seconds", "1", ...args],
      env: {},
    });
    if (!result.ok) throw new Error(result.problems.join("\n"));
    const output = {
      isTerminal: false,
      write: (text: string) => void lines.push(text),
      tell: () => undefined,
    };
    return new Served(await serve(result.settings, output, options), dataDir, lines);
  }

  get url(): string {
    return this.server.url;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** Everything it has logged so far. */
  get log(): string {
    return this.#lines.join("");
  }

  /** Resolves when it has logged `text` this many times. @throws Error after 5 s */
  async logged(text: string, times = 1): Promise<void> {
    for (let attempt = 0; attempt < 500; attempt++) {
      if (this.log.split(text).length > times) return;
      await Bun.sleep(10);
    }
    throw new Error(`not logged within 5 s: ${text}\n${this.log}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.stop();
    await this.server.stopped;
    await rm(this.#dataDir, { recursive: true, force: true });
  }
}
