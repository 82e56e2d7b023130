import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cli } from "./cli.ts";

/** A home folder of its own for commands that run in this process. */
export class TestHome implements AsyncDisposable {
  readonly path: string;
  readonly env: Record<string, string>;

  private constructor(path: string, env: Record<string, string>) {
    this.path = path;
    this.env = env;
  }

  static async make(env: Record<string, string> = {}): Promise<TestHome> {
    const path = await mkdtemp(join(tmpdir(), "stowage-home-"));
    return new TestHome(path, { HOME: path, ...env });
  }

  async run(words: readonly string[], stdin: string | Uint8Array<ArrayBuffer> = "") {
    return await cli(words, { env: this.env, homeDir: this.path, stdin });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}
