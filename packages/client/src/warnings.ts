/** Warnings that are remembered, so that each is told once. */
const REMEMBERED_MAX = 1_000;

/** One value of a Warning header: code, agent, text in quotes (OCI Distribution Specification, "Warnings"). */
const WARNING = /299 +\S+ +"((?:[^"\\]|\\.){0,4096})"/g;

/** Tells each warning of a registry once. */
export class WarningList {
  readonly #tell: (text: string) => void;
  readonly #told = new Set<string>();

  constructor(tell: (text: string) => void) {
    this.#tell = tell;
  }

  /** Takes a Warning header, or several joined by commas. */
  add(header: string | null): void {
    if (header === null) return;
    for (const [, quoted = ""] of header.matchAll(WARNING)) {
      const text = quoted.replace(/\\(.)/g, "$1");
      if (this.#told.has(text) || this.#told.size >= REMEMBERED_MAX) continue;
      this.#told.add(text);
      this.#tell(text);
    }
  }
}
