/** Where something stands in a template: line and column count from 1, the column in characters. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A template that cannot be read, or that does not fit the data. Its message says where. */
export class TemplateError extends Error {
  readonly template: string;
  readonly line: number;
  readonly column: number;

  constructor(template: string, { line, column }: Position, problem: string, cause?: unknown) {
    super(`template ${template}:${line}:${column}: ${problem}`, cause === undefined ? {} : { cause });
    this.name = "TemplateError";
    this.template = template;
    this.line = line;
    this.column = column;
  }
}

/** Line and column of an offset into the text. */
export function positionAt(text: string, offset: number): Position {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf("\n") + 1;
  return { line: before.split("\n").length, column: offset - lineStart + 1 };
}
