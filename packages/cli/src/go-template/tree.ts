/** Every node knows its offset in the text, for errors. */
interface At {
  readonly at: number;
}

/** What stands as a word of a command. */
export type Operand = At &
  (
    | { readonly kind: "dot" | "nil" }
    | { readonly kind: "function"; readonly name: string }
    | { readonly kind: "literal"; readonly value: string | number | boolean }
    | { readonly kind: "field"; readonly path: readonly string[] }
    | { readonly kind: "variable"; readonly name: string; readonly path: readonly string[] }
    /** `(pipeline).A.B`, or a function's result without arguments. */
    | { readonly kind: "chain"; readonly base: Operand; readonly path: readonly string[] }
    | { readonly kind: "pipeline"; readonly pipeline: Pipeline }
  );

export interface Command extends At {
  /** At least one. */
  readonly operands: readonly Operand[];
}

/** `$a, $b := command | command`. */
export interface Pipeline extends At {
  readonly variables: readonly string[];
  /** Whether the variables exist already (`=`), or begin here (`:=`). */
  readonly isAssignment: boolean;
  readonly commands: readonly Command[];
}

export type Node = At &
  (
    | { readonly kind: "text"; readonly text: string }
    | { readonly kind: "action"; readonly pipeline: Pipeline }
    | {
        readonly kind: "if" | "with" | "range";
        readonly pipeline: Pipeline;
        readonly body: readonly Node[];
        readonly otherwise: readonly Node[];
      }
    | { readonly kind: "break" | "continue" }
    | { readonly kind: "template"; readonly name: string; readonly pipeline: Pipeline | null }
  );

export interface ParsedTemplates {
  readonly main: readonly Node[];
  /** Bodies of `define` and `block`, by name. */
  readonly defined: ReadonlyMap<string, readonly Node[]>;
}
