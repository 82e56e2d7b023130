import { readSettings } from "../config/settings.ts";
import { serve } from "../serve.ts";
import { type Fault, Faults, type FaultKind } from "./faults.ts";

export type { Fault, FaultKind };

export interface StartOptions {
  /** Options of `stowage serve`, for example `["--read-only"]`; the port is chosen by the system by default. */
  readonly args?: readonly string[];
}

/** A registry in this process: real sockets, real protocol, everything in memory. */
export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT`, as it stands in a reference. */
  readonly host: string;
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** Makes the next requests go wrong. */
  readonly faults: Faults;
  /** What it has logged: a JSON object in each line. */
  readonly log: string;
  /** What it told the person who started it: the first password, with `--auth accounts`. */
  readonly told: string;
}

/**
 * Starts a registry for a test:
 *
 *     await using registry = await startRegistry();
 *
 * It runs on Bun, as the server does, and ends with its scope. @throws Error that names what is wrong with `args`
 */
export async function startRegistry({ args = [] }: StartOptions = {}): Promise<TestRegistry> {
  const always = ["--ephemeral", "--drain-seconds", "1", "--log-format", "json"];
  const address = args.includes("--addr") ? [] : ["--addr", "127.0.0.1:0"];
  const result = readSettings({ args: [...always, ...address, ...args], env: {} });
  if (!result.ok) throw new Error(result.problems.join("\n"));
  const faults = new Faults();
  let log = "";
  let told = "";
  const output = {
    isTerminal: false,
    write: (lines: string) => {
      log += lines;
    },
    tell: (text: string) => {
      told += text;
    },
  };
  const server = await serve(result.settings, output, { around: (app) => faults.around(app) });
  return {
    host: new URL(server.url).host,
    url: server.url,
    faults,
    get log() {
      return log;
    },
    get told() {
      return told;
    },
    async [Symbol.asyncDispose]() {
      server.stop();
      await server.stopped;
    },
  };
}
