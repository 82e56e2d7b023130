import { describe, expect, test } from "bun:test";
import { parseDigest } from "@stowage/oci/digest";
import { readArguments } from "./arguments.ts";
import { openProgress } from "./progress.ts";
import { ProgressBars } from "./progress-bars.ts";
import { PROGRESS_OPTIONS } from "./shared-options.ts";
import type { Sink } from "./world.ts";

const DIGEST = parseDigest(`sha256:${"ab".repeat(32)}`) ?? raise();
const START = { kind: "start", digest: DIGEST, size: 2_097_152 } as const;
const HALF = { kind: "bytes", digest: DIGEST, size: 2_097_152, bytes: 1_048_576 } as const;
const END = { kind: "end", digest: DIGEST, size: 2_097_152, outcome: "copied" } as const;

function raise(): never {
  throw new Error("no digest");
}

function sinkOf(columns: number, isTerminal: boolean): Sink & { readonly text: string } {
  let text = "";
  return {
    isTerminal,
    columns,
    rows: 24,
    write(data) {
      text += String(data);
    },
    flush: () => Promise.resolve(),
    get text() {
      return text;
    },
  };
}

describe("openProgress", () => {
  const tell = (words: readonly string[], isQuiet = false) => {
    const stderr = sinkOf(80, false);
    const world = { stdout: sinkOf(80, false), stderr, now: () => 1_000, env: {} };
    const args = readArguments(words, PROGRESS_OPTIONS);
    using progress = openProgress({ args, world, isQuiet });
    for (const event of [START, HALF, HALF, END]) progress.onProgress(event);
    return stderr.text;
  };

  test("prints a line for each finished blob where no terminal is, and nothing with -q or none", () => {
    expect(tell([])).toBe(`copied ${DIGEST} 2.0 MiB\n`);
    expect(tell([], true)).toBe("");
    expect(tell(["--progress", "none"])).toBe("");
  });

  test("tells programs in JSON, bytes no more often than pictures", () => {
    const events = tell(["--progress=json"], true)
      .trim()
      .split("\n")
      .map((line): unknown => JSON.parse(line));
    expect(events).toEqual([START, { kind: "bytes", digest: DIGEST, size: 2_097_152, done: 1_048_576 }, END]);
  });
});

describe("ProgressBars", () => {
  test("draws a bar for each blob and one for all, none wider than the terminal, and leaves lines", () => {
    for (const columns of [20, 40, 80, 200]) {
      let now = 0;
      const sink = sinkOf(columns, true);
      const bars = new ProgressBars(sink, { now: () => now, hasColor: false });
      bars.draw();
      expect(sink.text).toBe("");
      bars.take(START);
      bars.take(HALF);
      now = 1_000;
      bars.draw();
      const picture = sink.text;
      expect(
        picture
          .split("\n")
          .map((line) => line.length)
          .toSorted((a, b) => b - a)[0],
      ).toBeLessThan(columns);
      if (columns === 80) {
        const bar = "█".repeat(15) + "░".repeat(15);
        expect(picture).toContain(`sha256:abababababab ${bar} 1.0 MiB / 2.0 MiB\n`);
        expect(picture).toContain("total 0/1           ");
        expect(picture).toContain("1.0 MiB / 2.0 MiB  1.0 MiB/s\n");
      }
      bars.take(END);
      bars.hide();
      expect(sink.text.slice(picture.length)).toStartWith("\u001b[2A\u001b[Jcopied  sha256:abab");
      const hidden = sink.text;
      bars.draw();
      bars.end();
      expect(sink.text).toBe(hidden);
    }
  });
});
