import { type Arguments, UsageError } from "./arguments.ts";
import { formatTable, printable, printableText, widthOf } from "./table.ts";
import type { Sink } from "./world.ts";

const FORMATS = ["table", "text", "json", "jsonl", "yaml"] as const;

type Format =
  { readonly kind: (typeof FORMATS)[number] } | { readonly kind: "template"; render(value: unknown): string };

/** One result. */
export interface View {
  /** What json, yaml and templates show. Its keys are documented, and stay. */
  readonly value: unknown;
  /** For people; without it a table is `text`. */
  readonly table?: () => Table;
  /** Without it, text is the cells of the table with tabs between them. */
  readonly text?: () => string;
  /** What -q leaves, one a line. */
  readonly ids?: () => readonly string[];
}

export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** How a list is shown, entry by entry. */
export interface ListView<T> {
  readonly value: (entry: T) => unknown;
  /** Its line with -q; and as text, unless there are cells. */
  readonly id: (entry: T) => string;
  readonly head?: readonly string[];
  readonly cells?: (entry: T) => readonly string[];
  /** Its line as a table and as text, in place of cells. */
  readonly line?: (entry: T) => string;
}

/** A digest that is a cell of its own, and what of it tells it apart. */
const WHOLE_DIGEST = /^(sha(?:256|512):[0-9a-f]{12})[0-9a-f]{52,}$/;

/** Entries of a list that are kept to be printed at once. */
const ENTRIES_MAX = 1_000_000;

/** Standard output, which has data and nothing else. */
export class Output {
  readonly #format: Format;
  readonly #isQuiet: boolean;
  readonly #sink: Sink;

  constructor(
    sink: Sink,
    { format, isQuiet }: { readonly format: Format; readonly isQuiet: boolean } = {
      format: { kind: "table" },
      isQuiet: false,
    },
  ) {
    this.#sink = sink;
    this.#format = format;
    this.#isQuiet = isQuiet;
  }

  get isTerminal(): boolean {
    return this.#sink.isTerminal;
  }

  /** Whether somebody asked for something else than tables and text. */
  get isStructured(): boolean {
    return !this.#isQuiet && this.#format.kind !== "table" && this.#format.kind !== "text";
  }

  /** The same form on another sink, where standard output has bytes. */
  on(sink: Sink): Output {
    return new Output(sink, { format: this.#format, isQuiet: this.#isQuiet });
  }

  print(view: View): void {
    this.#sink.write(
      this.#isQuiet && view.ids !== undefined
        ? view
            .ids()
            .map((id) => `${printable(id)}\n`)
            .join("")
        : this.#shown(view),
    );
  }

  #shown(view: View): string {
    const { kind } = this.#format;
    if (kind === "table" || kind === "text") return this.#textOf(view, kind);
    const { value } = view;
    const all: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (kind === "jsonl") return this.#cleaned(all.map(jsonLine).join(""));
    if (kind === "template") return this.#cleaned(all.map((one) => this.#rendered(one)).join(""));
    return this.#document(value);
  }

  /** Entries as they come, where the form allows it. Resolves with how many there were. */
  async list<T>(entries: AsyncIterable<T> | Iterable<T>, view: ListView<T>): Promise<number> {
    const lineOf = this.#lineOf(view);
    const kept: T[] = [];
    let count = 0;
    for await (const entry of entries) {
      count++;
      if (lineOf === null) kept.push(entry);
      else await this.#write(lineOf(entry));
      if (kept.length > ENTRIES_MAX) throw new Error(`more than ${ENTRIES_MAX} entries; take --format jsonl`);
    }
    if (lineOf !== null) return count;
    const { head = [], cells = () => [] } = view;
    if (this.#format.kind === "table") this.#sink.write(this.#table(head, kept.map(cells)));
    else this.#sink.write(this.#document(kept.map(view.value)));
    return count;
  }

  /** Text or bytes as they are; on a terminal nothing in it is obeyed. */
  async raw(bytes: Uint8Array): Promise<void> {
    await this.#write(this.isTerminal ? printableText(new TextDecoder().decode(bytes)) : bytes);
  }

  /** A line of text that stands for the result whatever the format. */
  line(text: string): void {
    this.#sink.write(`${printable(text)}\n`);
  }

  async #write(data: string | Uint8Array): Promise<void> {
    this.#sink.write(data);
    await this.#sink.flush();
  }

  /** What a single entry is on its own; null: all are shown together. */
  #lineOf<T>({ value, id, cells, line }: ListView<T>): ((entry: T) => string) | null {
    const { kind } = this.#format;
    if (line !== undefined && !this.#isQuiet && (kind === "table" || kind === "text")) {
      return (entry) => `${printableText(line(entry))}\n`;
    }
    if (this.#isQuiet || (cells === undefined && (kind === "table" || kind === "text"))) {
      return (entry) => `${printable(id(entry))}\n`;
    }
    if (kind === "text") return (entry) => textRow(cells?.(entry) ?? []);
    if (kind === "jsonl") return (entry) => this.#cleaned(jsonLine(value(entry)));
    if (kind === "template") return (entry) => this.#cleaned(this.#rendered(value(entry)));
    return null;
  }

  /** Where it does not fit on the terminal, digests are shortened as docker does; other forms have them whole. */
  #table(head: readonly string[], rows: readonly (readonly string[])[]): string {
    const text = formatTable(head, rows);
    const { isTerminal, columns } = this.#sink;
    if (!isTerminal || !text.split("\n").some((line) => widthOf(line) > columns)) return text;
    return formatTable(
      head,
      rows.map((row) => row.map((cell) => cell.replace(WHOLE_DIGEST, "$1"))),
    );
  }

  #rendered(value: unknown): string {
    const text = this.#format.kind === "template" ? this.#format.render(value) : "";
    return text.endsWith("\n") ? text : `${text}\n`;
  }

  #textOf({ value, table, text }: View, kind: "table" | "text"): string {
    if (table !== undefined && (kind === "table" || text === undefined)) {
      const { head, rows } = table();
      return kind === "table" ? this.#table(head, rows) : rows.map(textRow).join("");
    }
    return this.#cleaned(text?.() ?? printableText(Bun.YAML.stringify(value, null, 2)));
  }

  #document(value: unknown): string {
    const isYaml = this.#format.kind === "yaml";
    return this.#cleaned(`${isYaml ? Bun.YAML.stringify(value, null, 2) : JSON.stringify(value, null, 2)}\n`);
  }

  #cleaned(text: string): string {
    return this.isTerminal ? printableText(text) : text;
  }
}

function jsonLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

function textRow(cells: readonly string[]): string {
  return `${cells.map(printable).join("\t")}\n`;
}

/** The form that --format and -q ask for. @throws UsageError, also when a template is wrong */
export async function readOutput(args: Arguments, sink: Sink): Promise<Output> {
  return new Output(sink, {
    format: await readFormat(args.get("format") ?? "table"),
    isQuiet: args.has("quiet"),
  });
}

async function readFormat(text: string): Promise<Format> {
  const kind = FORMATS.find((format) => format === text);
  if (kind !== undefined) return { kind };
  if (!text.includes("{{")) {
    throw new UsageError(`--format is "${text}"; wanted table, text, json, jsonl, yaml or a {{template}}`);
  }
  const { compileTemplate } = await import("./go-template/template.ts");
  const orUsage = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw new UsageError(error instanceof Error ? error.message : String(error));
    }
  };
  const template = orUsage(() => compileTemplate(text, { name: "--format", missingKey: "error" }));
  return { kind: "template", render: (value) => orUsage(() => template.render(value)) };
}
