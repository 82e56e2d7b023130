import type { Callable } from "./builtins.ts";
import { Evaluator, type MissingKey, Variables } from "./evaluate.ts";
import { positionAt, TemplateError } from "./template-error.ts";
import type { Node, ParsedTemplates } from "./tree.ts";
import { isMapping, isTrue, keysOf, printValue, typeName } from "./value.ts";

/** How deep templates may call each other. */
const CALLS_MAX = 500;

/** Most rounds of all `range`, and most calls, of one rendering. */
const ROUNDS_MAX = 10_000_000;

export interface ExecuteOptions {
  readonly text: string;
  readonly name: string;
  readonly functions: ReadonlyMap<string, Callable>;
  readonly missingKey: MissingKey;
}

type BranchNode = Extract<Node, { kind: "if" | "with" | "range" }>;

/** How a list of nodes ended: to its end, or by a word that the innermost range understands. */
type Outcome = "done" | "break" | "continue";

/** One rendering. */
export class Execution {
  readonly #templates: ParsedTemplates;
  readonly #options: ExecuteOptions;
  readonly #evaluator: Evaluator;
  readonly #pieces: string[] = [];
  #calls = 0;
  #rounds = 0;

  constructor(templates: ParsedTemplates, options: ExecuteOptions) {
    this.#templates = templates;
    this.#options = options;
    const { functions, missingKey } = options;
    this.#evaluator = new Evaluator({ functions, missingKey, fail: this.#fail });
  }

  /** @throws TemplateError */
  run(nodes: readonly Node[], dot: unknown, variables: Variables): string {
    this.#list(nodes, dot, variables);
    return this.#pieces.join("");
  }

  // Annotated, so that what comes behind a failure is known not to run.
  readonly #fail: (at: number, problem: string, cause?: unknown) => never = (at, problem, cause) => {
    const { name, text } = this.#options;
    throw new TemplateError(name, positionAt(text, at), problem, cause);
  };

  #list(nodes: readonly Node[], dot: unknown, variables: Variables): Outcome {
    for (const node of nodes) {
      const outcome = this.#node(node, dot, variables);
      if (outcome !== "done") return outcome;
    }
    return "done";
  }

  #node(node: Node, dot: unknown, variables: Variables): Outcome {
    switch (node.kind) {
      case "text":
        this.#pieces.push(node.text);
        return "done";
      case "action": {
        const value = this.#evaluator.pipeline(node.pipeline, dot, variables);
        if (node.pipeline.variables.length === 0) this.#pieces.push(printValue(value));
        return "done";
      }
      case "template":
        this.#call(node, dot, variables);
        return "done";
      case "if":
      case "with":
        return this.#branch(node, dot, variables);
      case "range":
        return this.#range(node, dot, variables);
      case "break":
      case "continue":
        return node.kind;
      default:
        return node satisfies never;
    }
  }

  #branch(node: BranchNode, dot: unknown, variables: Variables): Outcome {
    const scope = variables.scope();
    const value = this.#evaluator.pipeline(node.pipeline, dot, variables);
    const outcome = isTrue(value)
      ? this.#list(node.body, node.kind === "with" ? value : dot, variables)
      : this.#list(node.otherwise, dot, variables);
    variables.leave(scope);
    return outcome;
  }

  #range(node: BranchNode, dot: unknown, variables: Variables): Outcome {
    const scope = variables.scope();
    const over = this.#evaluator.value(node.pipeline, dot, variables);
    let isEmpty = true;
    for (const [key, item] of this.#entries(over, node)) {
      isEmpty = false;
      if (++this.#rounds > ROUNDS_MAX) this.#fail(node.at, `more than ${ROUNDS_MAX} rounds of range`);
      this.#setRangeVariables(node, key, item, variables);
      const outcome = this.#list(node.body, item, variables);
      variables.leave(scope);
      if (outcome === "break") break;
    }
    // A break or continue in {{else}} ends this range, as in Go, not the one around it.
    if (isEmpty) this.#list(node.otherwise, dot, variables);
    variables.leave(scope);
    return "done";
  }

  /** With one variable it is the element, with two they are the key and the element. */
  #setRangeVariables({ pipeline }: BranchNode, key: unknown, item: unknown, variables: Variables): void {
    const { variables: names, isAssignment } = pipeline;
    const values = names.length === 2 ? [key, item] : [item];
    for (const [at, name] of names.entries()) {
      if (isAssignment) variables.assign(name, values[at]);
      else variables.declare(name, values[at]);
    }
  }

  *#entries(value: unknown, node: BranchNode): Generator<readonly [unknown, unknown]> {
    if (value === undefined || value === null) return;
    if (Array.isArray(value)) {
      yield* value.entries();
    } else if (isMapping(value)) {
      for (const key of keysOf(value)) yield [key, value[key]];
    } else if (typeof value === "number" && Number.isInteger(value) && node.pipeline.variables.length < 2) {
      for (let at = 0; at < value; at++) yield [at, at];
    } else {
      this.#fail(node.pipeline.at, `cannot range over ${JSON.stringify(value)} of type ${typeName(value)}`);
    }
  }

  /** Another template: its `$` is the value that it is given, and it sees no other variable. */
  #call(node: Extract<Node, { kind: "template" }>, dot: unknown, variables: Variables): void {
    const body = this.#templates.defined.get(node.name);
    if (body === undefined) this.#fail(node.at, `template ${JSON.stringify(node.name)} is not defined`);
    if (++this.#calls > CALLS_MAX)
      this.#fail(node.at, `templates call each other more than ${CALLS_MAX} deep`);
    // Two calls in each of fifty templates have no end that anybody sees.
    if (++this.#rounds > ROUNDS_MAX) this.#fail(node.at, `more than ${ROUNDS_MAX} calls of templates`);
    const data = node.pipeline === null ? undefined : this.#evaluator.pipeline(node.pipeline, dot, variables);
    if (body !== undefined) this.#list(body, data, new Variables(data));
    this.#calls--;
  }
}
