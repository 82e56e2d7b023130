import { homedir } from "node:os";
import { EXIT } from "./exit-codes.ts";
import type { Sink, World } from "./world.ts";

/** How long a command may take to end after a signal, in milliseconds; the second signal ends it at once. */
const GRACE_MS = 5_000;

const CODE_OF_SIGNAL = { SIGINT: EXIT.interrupted, SIGTERM: EXIT.terminated } as const;

/** Why the signal of a world was aborted. */
export class Interrupted extends Error {
  readonly code: number;

  constructor(code: number) {
    super("interrupted");
    this.code = code;
  }
}

/** The world of this process. */
export function processWorld(env: World["env"]): World {
  const stdout = sinkOf(process.stdout);
  const { stdin } = process;
  let controller: AbortController | null = null;
  return {
    env,
    homeDir: env.HOME ?? homedir(),
    stdout,
    stderr: sinkOf(process.stderr),
    stdin: {
      isTerminal: stdin.isTTY === true,
      // Whoever waits for somebody to type is interrupted as well.
      stream: () =>
        controller === null
          ? Bun.stdin.stream()
          : Bun.stdin.stream().pipeThrough(new TransformStream(), { signal: controller.signal }),
    },
    fetch: (request, options) => fetch(request, options),
    now: Date.now,
    signal() {
      controller ??= abortOnSignals();
      return controller.signal;
    },
  };
}

function sinkOf(stream: NodeJS.WriteStream): Sink {
  let isUsed = false;
  let written: Promise<void> = Promise.resolve();
  // `stowage ls REPO | head`: whoever read the pipe has seen enough. Other programs end by SIGPIPE there.
  const onError = (error: NodeJS.ErrnoException) =>
    process.exit(error.code === "EPIPE" ? EXIT.pipe : EXIT.failed);
  const sink: Sink = {
    isTerminal: stream.isTTY === true,
    beforeWrite: undefined,
    get columns() {
      return stream.columns ?? 80;
    },
    get rows() {
      return stream.rows ?? 24;
    },
    write(data) {
      // Not before: a backup that goes to standard output says itself that nobody read it.
      if (!isUsed) stream.on("error", onError);
      isUsed = true;
      if (sink.isTerminal) sink.beforeWrite?.();
      // Bun calls back for an empty write at once, however much a slow pipe has not taken yet.
      if (data.length > 0) written = new Promise((resolve) => stream.write(data, () => resolve()));
    },
    flush: () => written,
  };
  return sink;
}

function abortOnSignals(): AbortController {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    const code = CODE_OF_SIGNAL[signal];
    process.once(signal, () => {
      process.once(signal, () => process.exit(code));
      setTimeout(() => process.exit(code), GRACE_MS).unref();
      controller.abort(new Interrupted(code));
    });
  }
  return controller;
}
