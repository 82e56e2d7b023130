/** Cells in columns, for people; nothing without rows. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return "";
  const all = [head, ...rows.map((row) => row.map(printable))];
  const widths = head.map((_, column) =>
    all.reduce((most, row) => Math.max(most, widthOf(row[column] ?? "")), 0),
  );
  return all
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell + " ".repeat(Math.max(0, (widths[column] ?? 0) - widthOf(cell))))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}

/** Columns of a terminal that the text takes. */
export function widthOf(text: string): number {
  return Bun.stringWidth(text);
}

/** A member of an answer as a cell. What is no plain value would turn itself into text as it likes, or not at all. */
export function cellOf(value: unknown): string {
  return typeof value === "object" || value === undefined ? "-" : String(value);
}

/** Others have written it: no control character reaches the terminal. */
export function printable(text: string): string {
  return text.replaceAll(/\p{C}/gu, "?");
}

/** The same for text of many lines. */
export function printableText(text: string): string {
  return text.replaceAll(/(?![\n\t])\p{C}/gu, "?");
}
