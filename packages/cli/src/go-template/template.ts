import { BUILTINS, type Callable, exactly } from "./builtins.ts";
import { type MissingKey, Variables } from "./evaluate.ts";
import { Execution } from "./execute.ts";
import { FORMAT_FUNCTIONS } from "./functions.ts";
import { parse } from "./parse.ts";

/** A function of the caller; it takes as many arguments as it declares and throws an Error that says what is wrong. */
export type TemplateFunction = (...args: readonly unknown[]) => unknown;

export interface TemplateOptions {
  /** What errors call the template: a file name, or a flag such as `--format`. */
  readonly name: string;
  /** Functions besides Go's own and docker's (json, join, lower, upper, title, split, truncate, pad). */
  readonly functions?: Readonly<Record<string, TemplateFunction>>;
  /**
   * A key that the data does not have: `no value` as in Go (`<no value>` is printed, `if` says no), or `error`,
   * which finds misspelt fields.
   */
  readonly missingKey?: MissingKey;
}

export interface Template {
  /** The text for the data: values as JSON has them. @throws TemplateError */
  render(data: unknown): string;
}

/**
 * Reads a template of Go's text/template: variables, if, range, with, define, template, block, pipelines, and its
 * builtin functions but `call`. Data has no methods here. @throws TemplateError with template, line and column
 */
export function compileTemplate(text: string, options: TemplateOptions): Template {
  const { name, missingKey = "no value" } = options;
  const functions = new Map(Object.entries({ ...BUILTINS, ...FORMAT_FUNCTIONS, ...callables(options) }));
  const templates = parse(text, { name, hasFunction: (word) => functions.has(word) });
  return {
    render(data) {
      const execution = new Execution(templates, { text, name, functions, missingKey });
      // Data that is null is like no data: its fields have no value.
      const root = data ?? undefined;
      return execution.run(templates.main, root, new Variables(root));
    },
  };
}

function callables({ functions = {} }: TemplateOptions): Readonly<Record<string, Callable>> {
  const entries = Object.entries(functions).map(([name, call]) => [
    name,
    exactly(call.length, (args) => call(...args)),
  ]);
  return Object.fromEntries(entries);
}
