import { runStowage } from "../../packages/cli/src/run.ts";
import type { Sink, World } from "../../packages/cli/src/world.ts";
import type { Ran } from "./command.ts";

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string | Uint8Array<ArrayBuffer>;
  /** Standard output and error are a terminal of this width. */
  readonly columns?: number;
  readonly signal?: AbortSignal;
  /** Where credentials are looked for; by default a folder that is not there. */
  readonly homeDir?: string;
}

/** Runs a command in this process: a tenth of the time that a process of its own takes. */
export async function cli(
  words: readonly string[],
  options: CliOptions = {},
): Promise<Ran & { bytes: Buffer }> {
  const { env = {}, stdin = "", columns, signal = new AbortController().signal, homeDir } = options;
  const stdout = new MemorySink(columns);
  const stderr = new MemorySink(columns);
  const world: World = {
    env,
    homeDir: homeDir ?? "/nonexistent",
    stdout,
    stderr,
    stdin: { isTerminal: false, stream: () => new Blob([stdin]).stream() },
    fetch: (request, init) => fetch(request, init),
    now: Date.now,
    signal: () => signal,
  };
  const code = await runStowage(words, world);
  return { code, stdout: stdout.text, stderr: stderr.text, bytes: stdout.bytes };
}

/** Words of a line as a shell splits it, with single and double quotes and nothing else. */
export function wordsOf(line: string): readonly string[] {
  return [...line.matchAll(/(?:'([^']*)'|"([^"]*)"|([^\s'"]))+/g)].map(([word]) =>
    word.replaceAll(/['"]/g, ""),
  );
}

class MemorySink implements Sink {
  readonly isTerminal: boolean;
  readonly columns: number;
  readonly rows = 24;
  readonly #chunks: Uint8Array[] = [];

  constructor(columns: number | undefined) {
    this.isTerminal = columns !== undefined;
    this.columns = columns ?? 80;
  }

  write(data: string | Uint8Array): void {
    this.#chunks.push(typeof data === "string" ? Buffer.from(data) : Buffer.from(data));
  }

  async flush(): Promise<void> {
    await Promise.resolve();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.bytes.toString();
  }
}
