import type { ProgressEvent } from "@stowage/client/copy-options";
import { formatSize } from "./byte-size.ts";
import type { Call } from "./command.ts";
import { ProgressBars } from "./progress-bars.ts";
import type { Sink, World } from "./world.ts";

/** Time between two pictures of the bars, and between two events of a blob for programs, in milliseconds. */
const PICTURE_MS = 100;

/** What is told while bytes travel, on standard error. */
export interface Progress extends Disposable {
  /** Whether it shows how far a blob has come. */
  readonly countsBytes: boolean;
  onProgress(event: ProgressEvent): void;
}

interface ProgressCall extends Pick<Call, "args" | "isQuiet"> {
  readonly world: Pick<World, "stdout" | "stderr" | "now" | "env">;
}

const SILENT: Progress = {
  countsBytes: false,
  onProgress: () => undefined,
  [Symbol.dispose]: () => undefined,
};

/** What --progress asks for: bars on a terminal and lines elsewhere by default; nothing with -q. */
export function openProgress({ args, world, isQuiet }: ProgressCall): Progress {
  const mode = args.get("progress") ?? "auto";
  if (mode === "none") return SILENT;
  if (mode === "json") return jsonProgress(world.stderr, world.now);
  if (mode === "plain") return plainProgress(world.stderr);
  if (isQuiet) return SILENT;
  return world.stderr.isTerminal ? barProgress(world) : plainProgress(world.stderr);
}

/** One line for each blob that is done. */
function plainProgress(stderr: Sink): Progress {
  return {
    countsBytes: false,
    onProgress(event) {
      if (event.kind === "end") stderr.write(`${event.outcome} ${event.digest} ${formatSize(event.size)}\n`);
    },
    [Symbol.dispose]: () => undefined,
  };
}

/** One JSON object a line. Bytes are told as what is there of the blob, and not more often than pictures are drawn. */
function jsonProgress(stderr: Sink, now: () => number): Progress {
  const blobs = new Map<string, { bytes: number; toldAt: number }>();
  return {
    countsBytes: true,
    onProgress(event) {
      if (event.kind !== "bytes") {
        blobs.delete(event.digest);
        stderr.write(`${JSON.stringify(event)}\n`);
        return;
      }
      const blob = blobs.get(event.digest) ?? { bytes: 0, toldAt: 0 };
      blobs.set(event.digest, blob);
      blob.bytes += event.bytes;
      if (now() - blob.toldAt < PICTURE_MS) return;
      blob.toldAt = now();
      const { kind, digest, size } = event;
      stderr.write(`${JSON.stringify({ kind, digest, size, done: blob.bytes })}\n`);
    },
    [Symbol.dispose]: () => undefined,
  };
}

function barProgress({ stdout, stderr, now, env }: ProgressCall["world"]): Progress {
  const bars = new ProgressBars(stderr, { now, hasColor: (env.NO_COLOR ?? "") === "" });
  const timer = setInterval(() => bars.draw(), PICTURE_MS);
  stdout.beforeWrite = () => bars.hide();
  stderr.beforeWrite = () => bars.hide();
  return {
    countsBytes: true,
    onProgress: (event) => bars.take(event),
    [Symbol.dispose]() {
      clearInterval(timer);
      bars.end();
      stdout.beforeWrite = undefined;
      stderr.beforeWrite = undefined;
    },
  };
}
