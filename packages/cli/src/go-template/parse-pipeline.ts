import { describeToken, type TokenReader } from "./token-reader.ts";
import type { Command, Operand, Pipeline } from "./tree.ts";

/** How deep parentheses may lie in each other. */
const PARENTHESES_MAX = 200;

/** Reads what stands inside an action, and knows which variables there are. */
export class PipelineParser {
  readonly #reader: TokenReader;
  readonly #hasFunction: (name: string) => boolean;
  #variables: string[] = ["$"];
  #parentheses = 0;

  constructor(reader: TokenReader, hasFunction: (name: string) => boolean) {
    this.#reader = reader;
    this.#hasFunction = hasFunction;
  }

  /** Begins a scope; `leave` ends it, with the variables that began in it. */
  scope(): number {
    return this.#variables.length;
  }

  leave(scope: number): void {
    this.#variables.length = scope;
  }

  /** Begins a scope that sees nothing of the outer ones; `restore` ends it. */
  isolate(): string[] {
    const outer = this.#variables;
    this.#variables = ["$"];
    return outer;
  }

  restore(outer: string[]): void {
    this.#variables = outer;
  }

  /** A pipeline up to and with its `}}` or `)`. @throws TemplateError */
  parse(until: "close" | ")", variablesMax = 1): Pipeline {
    const at = this.#reader.peek().at;
    const { names, isAssignment } = this.#declaration(variablesMax);
    const commands: Command[] = [];
    while (true) {
      const command = this.#command(commands.length + 1);
      commands.push(command);
      const token = this.#reader.next();
      if (token.kind === "mark" && token.text === "|") continue;
      if (until === "close" ? token.kind === "close" : token.kind === "mark" && token.text === ")") break;
      const wanted = until === "close" ? "}}" : ")";
      this.#reader.fail(token.at, `unexpected ${describeToken(token)}: wanted ${wanted}`);
    }
    // The variables of `{{$x := $x}}` begin behind it.
    if (!isAssignment) this.#variables.push(...names);
    return { variables: names, isAssignment, commands, at };
  }

  /** `$a :=`, `$a =` or `$a, $b :=` at the beginning, if there is one. */
  #declaration(variablesMax: number): { names: readonly string[]; isAssignment: boolean } {
    const names: string[] = [];
    let read = 0;
    while (true) {
      const variable = this.#reader.next();
      read++;
      if (variable.kind !== "variable") break;
      const mark = this.#reader.next();
      read++;
      if (mark.kind !== "mark") break;
      names.push(variable.name);
      if (mark.text === ":=" || mark.text === "=") {
        if (names.length > variablesMax)
          this.#reader.fail(variable.at, "too many variables in the declaration");
        if (mark.text === "=") for (const name of names) this.#requireVariable(name, variable.at);
        return { names, isAssignment: mark.text === "=" };
      }
      if (mark.text !== ",") break;
    }
    for (; read > 0; read--) this.#reader.back();
    return { names: [], isAssignment: false };
  }

  #requireVariable(name: string, at: number): void {
    if (!this.#variables.includes(name)) this.#reader.fail(at, `undefined variable ${name}`);
  }

  #command(stage: number): Command {
    const at = this.#reader.peek().at;
    const operands: Operand[] = [];
    for (let operand = this.#operand(); operand !== null; operand = this.#operand()) {
      const token = this.#reader.peek();
      operands.push(operand);
      const isEnd = token.kind === "close" || token.kind === "mark";
      if (!isEnd && !token.isSpaced) {
        this.#reader.fail(token.at, `unexpected ${describeToken(token)}: wanted a space before it`);
      }
    }
    const first = operands[0];
    if (first === undefined) {
      const token = this.#reader.peek();
      return this.#reader.fail(token.at, `missing value: unexpected ${describeToken(token)}`);
    }
    if (stage > 1 && (first.kind === "literal" || first.kind === "dot" || first.kind === "nil")) {
      this.#reader.fail(first.at, `what is piped on cannot be given to a value: wanted a function`);
    }
    return { operands, at };
  }

  #operand(): Operand | null {
    const base = this.#term();
    if (base === null) return null;
    const path = this.#path();
    if (path.length === 0) return base;
    if (base.kind === "field" || base.kind === "variable") return { ...base, path: [...base.path, ...path] };
    if (base.kind === "literal" || base.kind === "nil" || base.kind === "dot") {
      return this.#reader.fail(base.at, `unexpected .${path[0]} after a value that has no fields`);
    }
    return { kind: "chain", base, path, at: base.at };
  }

  /** Fields that follow without a space. */
  #path(): readonly string[] {
    const names: string[] = [];
    while (true) {
      const token = this.#reader.peek();
      if (token.kind !== "field" || token.isSpaced) return names;
      names.push(token.name);
      this.#reader.next();
    }
  }

  #term(): Operand | null {
    const token = this.#reader.next();
    const { at } = token;
    switch (token.kind) {
      case "word":
        if (!this.#hasFunction(token.name))
          this.#reader.fail(at, `function ${JSON.stringify(token.name)} is not defined`);
        return { kind: "function", name: token.name, at };
      case "dot":
      case "nil":
        return { kind: token.kind, at };
      case "field":
        return { kind: "field", path: [token.name], at };
      case "variable":
        this.#requireVariable(token.name, at);
        return { kind: "variable", name: token.name, path: [], at };
      case "string":
      case "number":
      case "bool":
        return { kind: "literal", value: token.value, at };
      case "mark":
        if (token.text === "(") return this.#parenthesis(at);
        break;
      default:
        break;
    }
    this.#reader.back();
    return null;
  }

  #parenthesis(at: number): Operand {
    if (++this.#parentheses > PARENTHESES_MAX) {
      this.#reader.fail(at, `more than ${PARENTHESES_MAX} parentheses within each other`);
    }
    const pipeline = this.parse(")");
    this.#parentheses--;
    return { kind: "pipeline", pipeline, at };
  }
}
