import type { Callable } from "./builtins.ts";
import type { Command, Operand, Pipeline } from "./tree.ts";
import { isMapping, isTrue, keysOf, typeName, valueAt } from "./value.ts";

/** What a key gives that is not there: Go's "no value", or an error that names the keys that are. */
export type MissingKey = "no value" | "error";

export interface EvaluateOptions {
  readonly functions: ReadonlyMap<string, Callable>;
  readonly missingKey: MissingKey;
  readonly fail: (at: number, problem: string, cause?: unknown) => never;
}

interface Variable {
  readonly name: string;
  value: unknown;
}

/** Variables that are in force, innermost last. */
export class Variables {
  readonly #stack: Variable[] = [];

  constructor(data: unknown) {
    this.#stack.push({ name: "$", value: data });
  }

  /** Begins a scope; `leave` ends it. */
  scope(): number {
    return this.#stack.length;
  }

  leave(scope: number): void {
    this.#stack.length = scope;
  }

  declare(name: string, value: unknown): void {
    this.#stack.push({ name, value });
  }

  assign(name: string, value: unknown): void {
    const variable = this.#find(name);
    if (variable !== undefined) variable.value = value;
  }

  get(name: string): unknown {
    return this.#find(name)?.value;
  }

  #find(name: string): Variable | undefined {
    return this.#stack.findLast((variable) => variable.name === name);
  }
}

/** Nothing was piped into the command. */
const NOTHING = Symbol("nothing");

/** Computes pipelines: what stands between `{{` and `}}`. */
export class Evaluator {
  readonly #options: EvaluateOptions;

  constructor(options: EvaluateOptions) {
    this.#options = options;
  }

  /** The value of a pipeline; variables that it declares or assigns are set, unless the caller does it. */
  pipeline(pipeline: Pipeline, dot: unknown, variables: Variables): unknown {
    const value = this.value(pipeline, dot, variables);
    for (const name of pipeline.variables) {
      if (pipeline.isAssignment) variables.assign(name, value);
      else variables.declare(name, value);
    }
    return value;
  }

  /** The value of a pipeline alone. */
  value(pipeline: Pipeline, dot: unknown, variables: Variables): unknown {
    let value: unknown = NOTHING;
    for (const command of pipeline.commands) value = this.#command(command, value, dot, variables);
    return value;
  }

  #command(command: Command, piped: unknown, dot: unknown, variables: Variables): unknown {
    const [first, ...others] = command.operands;
    if (first === undefined) return undefined;
    if (first.kind === "function") return this.#call(first, others, piped, dot, variables);
    if (others.length > 0 || piped !== NOTHING) {
      this.#options.fail(first.at, "only functions take arguments");
    }
    if (first.kind === "nil") this.#options.fail(first.at, "nil is not a command");
    return this.#operand(first, dot, variables);
  }

  #call(
    { name, at }: { readonly name: string; readonly at: number },
    operands: readonly Operand[],
    piped: unknown,
    dot: unknown,
    variables: Variables,
  ): unknown {
    const callable = this.#options.functions.get(name);
    if (callable === undefined)
      return this.#options.fail(at, `function ${JSON.stringify(name)} is not defined`);
    const count = operands.length + (piped === NOTHING ? 0 : 1);
    if (count < callable.argumentsMin || count > callable.argumentsMax) {
      this.#options.fail(
        at,
        `wrong number of arguments of ${name}: wanted ${describeCount(callable)}, got ${count}`,
      );
    }
    const args: unknown[] = [];
    for (const operand of operands) {
      args.push(this.#operand(operand, dot, variables));
      // What comes behind the argument that decides is not even looked at.
      if ((name === "and" || name === "or") && isTrue(args.at(-1)) === (name === "or")) return args.at(-1);
    }
    if (piped !== NOTHING) args.push(piped);
    if (name === "and" || name === "or") return args.at(-1);
    try {
      return callable.call(args);
    } catch (cause) {
      const problem = cause instanceof Error ? cause.message : String(cause);
      return this.#options.fail(at, `error calling ${name}: ${problem}`, cause);
    }
  }

  #operand(operand: Operand, dot: unknown, variables: Variables): unknown {
    switch (operand.kind) {
      case "dot":
        return dot;
      case "nil":
        return null;
      case "literal":
        return operand.value;
      case "function":
        return this.#call(operand, [], NOTHING, dot, variables);
      case "field":
        return this.#path(dot, operand.path, operand.at);
      case "variable":
        return this.#path(variables.get(operand.name), operand.path, operand.at);
      case "chain":
        return this.#path(this.#operand(operand.base, dot, variables), operand.path, operand.at);
      case "pipeline":
        return this.pipeline(operand.pipeline, dot, variables);
      default:
        return operand satisfies never;
    }
  }

  #path(base: unknown, path: readonly string[], at: number): unknown {
    return path.reduce((value, name) => this.#field(value, name, at), base);
  }

  #field(value: unknown, name: string, at: number): unknown {
    const { missingKey, fail } = this.#options;
    if (value === undefined && missingKey === "no value") return undefined;
    if (value === undefined || value === null)
      return fail(at, `no field .${name}: the value before it is nil`);
    if (!isMapping(value)) return fail(at, `no field .${name} in a value of type ${typeName(value)}`);
    const found = valueAt(value, name);
    if (found !== undefined || missingKey === "no value") return found;
    const known = keysOf(value).map((key) => `.${key}`);
    return fail(
      at,
      `no field .${name}: wanted ${known.length === 0 ? "none, it is empty" : known.join(", ")}`,
    );
  }
}

function describeCount({ argumentsMin, argumentsMax }: Callable): string {
  if (argumentsMin === argumentsMax) return String(argumentsMin);
  return argumentsMax === Number.POSITIVE_INFINITY
    ? `at least ${argumentsMin}`
    : `${argumentsMin} to ${argumentsMax}`;
}
