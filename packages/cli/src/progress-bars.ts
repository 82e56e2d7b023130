import type { ProgressEvent } from "@stowage/client/copy-options";
import { formatSize } from "./byte-size.ts";
import type { Sink } from "./world.ts";

const BAR_COLUMNS_MAX = 30;

/** Blobs that have a line of their own at once. */
const LINES_MAX = 12;

/** `\u2588`, and the room that is left. */
const FULL = "\u2588";
const EMPTY = "\u2591";

const DIM = "\u001b[2m";
const PLAIN = "\u001b[0m";
const UP_AND_CLEAR = (lines: number) => `\u001b[${lines}A\u001b[J`;

interface Blob {
  readonly digest: string;
  readonly size: number;
  done: number;
}

export interface BarOptions {
  readonly now: () => number;
  readonly hasColor: boolean;
}

/** A bar for each blob that travels and one for all; finished blobs stand above as lines. */
export class ProgressBars {
  readonly #sink: Sink;
  readonly #options: BarOptions;
  readonly #startedAt: number;
  readonly #active = new Map<string, Blob>();
  #finished: string[] = [];
  #lines = 0;
  #isWriting = false;
  #bytes = 0;
  #size = 0;
  #blobs = 0;
  #ended = 0;

  constructor(sink: Sink, options: BarOptions) {
    this.#sink = sink;
    this.#options = options;
    this.#startedAt = options.now();
  }

  take(event: ProgressEvent): void {
    if (event.kind === "manifest") return;
    const { digest, size } = event;
    if (event.kind === "start") {
      this.#active.set(digest, { digest, size, done: 0 });
      this.#size += size;
      this.#blobs += 1;
      return;
    }
    const blob = this.#active.get(digest);
    if (blob === undefined) return;
    if (event.kind === "bytes") {
      blob.done += event.bytes;
      this.#bytes += event.bytes;
      return;
    }
    // What was there already counts as done in the total.
    this.#bytes += size - blob.done;
    this.#ended += 1;
    this.#active.delete(digest);
    this.#finished.push(`${event.outcome.padEnd(7)} ${shortDigest(digest)} ${formatSize(size)}`);
  }

  draw(): void {
    const { columns, rows } = this.#sink;
    const room = Math.max(1, Math.min(LINES_MAX, rows - 2));
    const active = [...this.#active.values()].slice(0, room).map((blob) => this.#lineOf(blob, columns));
    const bars = active.length === 0 ? [] : [...active, this.#total(columns)];
    const above = this.#finished.map((line) => this.#fit(line, columns));
    this.#finished = [];
    const text = [...above, ...bars].map((line) => `${line}\n`).join("");
    const before = this.#lines === 0 ? "" : UP_AND_CLEAR(this.#lines);
    this.#lines = bars.length;
    if (before + text !== "") this.#write(before + text);
  }

  /** Takes the bars away for the time being: somebody else writes below what is finished. */
  hide(): void {
    if (this.#isWriting) return;
    const above = this.#finished.map((line) => `${this.#fit(line, this.#sink.columns)}\n`).join("");
    const before = this.#lines === 0 ? "" : UP_AND_CLEAR(this.#lines);
    this.#finished = [];
    this.#lines = 0;
    if (before + above !== "") this.#write(before + above);
  }

  /** The last picture: what was finished, without bars. */
  end(): void {
    this.hide();
  }

  #write(text: string): void {
    this.#isWriting = true;
    this.#sink.write(text);
    this.#isWriting = false;
  }

  #lineOf({ digest, size, done }: Blob, columns: number): string {
    return this.#bar(shortDigest(digest), { done, size, columns, tail: "" });
  }

  #total(columns: number): string {
    const seconds = (this.#options.now() - this.#startedAt) / 1_000;
    const rate = seconds > 0 ? `  ${formatSize(Math.round(this.#bytes / seconds))}/s` : "";
    const head = `total ${this.#ended}/${this.#blobs}`.padEnd(shortDigest("").length);
    return this.#bar(head, { done: this.#bytes, size: this.#size, columns, tail: rate });
  }

  #bar(
    head: string,
    { done, size, columns, tail }: { done: number; size: number; columns: number; tail: string },
  ): string {
    const text = `${formatSize(Math.max(0, done))} / ${formatSize(size)}${tail}`;
    // The last column stays free: terminals break the line there.
    const width = Math.min(BAR_COLUMNS_MAX, columns - 1 - head.length - text.length - 2);
    if (width < 4) return this.#fit(`${head} ${text}`, columns);
    const full = size === 0 ? width : Math.min(width, Math.max(0, Math.round((done / size) * width)));
    const rest = EMPTY.repeat(width - full);
    const bar = FULL.repeat(full) + (this.#options.hasColor ? `${DIM}${rest}${PLAIN}` : rest);
    return `${head} ${bar} ${text}`;
  }

  #fit(line: string, columns: number): string {
    return line.slice(0, Math.max(1, columns - 1));
  }
}

/** `sha256:0123456789ab` */
function shortDigest(digest: string): string {
  return digest.slice(0, digest.indexOf(":") + 1 + 12).padEnd(19);
}
