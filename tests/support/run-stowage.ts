import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runStowage } from "../../packages/cli/src/run.ts";
import type { Sink } from "../../packages/cli/src/world.ts";
import type { Ran } from "./command.ts";

/** A home folder, an environment and a standard input for commands that run in this process. */
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

  /** Runs the command; `bytes` is what it wrote to standard output. */
  async run(
    words: readonly string[],
    input: string | Uint8Array<ArrayBuffer> = "",
  ): Promise<Ran & { readonly bytes: Buffer }> {
    const [out, err] = [collect(), collect()];
    const code = await runStowage(words, {
      env: this.env,
      homeDir: this.path,
      stdout: out.sink,
      stderr: err.sink,
      stdin: { isTerminal: false, stream: () => streamOf(input) },
      fetch: (request, options) => fetch(request, options),
      now: Date.now,
      signal: () => new AbortController().signal,
    });
    return { code, stdout: out.bytes().toString(), stderr: err.bytes().toString(), bytes: out.bytes() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

function collect(): { readonly sink: Sink; readonly bytes: () => Buffer } {
  const parts: Uint8Array[] = [];
  const write = (data: string | Uint8Array) => {
    parts.push(typeof data === "string" ? new TextEncoder().encode(data) : data.slice());
  };
  const sink: Sink = { isTerminal: false, columns: 80, rows: 24, write, flush: async () => undefined };
  return { sink, bytes: () => Buffer.concat(parts) };
}

function streamOf(input: string | Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array<ArrayBuffer>> {
  const bytes = typeof input === "string" ? new TextEncoder().encode(input) : input;
  return new ReadableStream({
    start(controller) {
      if (bytes.byteLength > 0) controller.enqueue(bytes);
      controller.close();
    },
  });
}
