import { lex, type Token } from "./lex.ts";
import { PipelineParser } from "./parse-pipeline.ts";
import { positionAt, TemplateError } from "./template-error.ts";
import { TokenReader } from "./token-reader.ts";
import type { Node, ParsedTemplates, Pipeline } from "./tree.ts";

/** How deep actions may lie in each other. */
const NESTING_MAX = 200;

/** Words that begin or end something; no function can have their names. */
const KEYWORDS = ["if", "with", "range", "template", "block", "define", "break", "continue", "else", "end"];

export interface ParseOptions {
  /** Name for errors, and of the main template. */
  readonly name: string;
  readonly hasFunction: (name: string) => boolean;
}

/** Reads a template. @throws TemplateError */
export function parse(text: string, options: ParseOptions): ParsedTemplates {
  return new TemplateParser(text, options).parse();
}

type Stop = "end" | "else" | "end of text";

class TemplateParser {
  readonly #reader: TokenReader;
  readonly #pipelines: PipelineParser;
  readonly #defined = new Map<string, readonly Node[]>();
  #ranges = 0;
  #depth = 0;

  constructor(text: string, { name, hasFunction }: ParseOptions) {
    const fail = (at: number, problem: string): never => {
      throw new TemplateError(name, positionAt(text, at), problem);
    };
    this.#reader = new TokenReader(lex(text, name), fail);
    this.#pipelines = new PipelineParser(this.#reader, hasFunction);
  }

  parse(): ParsedTemplates {
    const main = this.#list(["end of text"]).nodes;
    return { main, defined: this.#defined };
  }

  /** Nodes until one of `stops`, whose keyword is consumed, but not what follows it. */
  #list(stops: readonly Stop[]): { nodes: readonly Node[]; stop: Stop } {
    const nodes: Node[] = [];
    while (true) {
      const token = this.#reader.next();
      if (token.kind === "text") {
        nodes.push({ kind: "text", text: token.text, at: token.at });
      } else if (token.kind === "end") {
        if (!stops.includes("end of text"))
          this.#reader.fail(token.at, "unexpected end of the template: wanted {{end}}");
        return { nodes, stop: "end of text" };
      } else {
        const stop = this.#action(token.at, stops, nodes);
        if (stop !== null) return { nodes, stop };
      }
    }
  }

  #action(at: number, stops: readonly Stop[], nodes: Node[]): Stop | null {
    const token = this.#reader.peek();
    if (token.kind !== "word" || !KEYWORDS.includes(token.name)) {
      const pipeline = this.#pipelines.parse("close");
      nodes.push({ kind: "action", pipeline, at: pipeline.at });
      return null;
    }
    this.#reader.next();
    if (token.name === "end" || token.name === "else") {
      if (!stops.includes(token.name)) this.#reader.fail(token.at, `unexpected {{${token.name}}}`);
      return token.name;
    }
    const node = this.#keyword(token.name, token, at);
    if (node !== null) nodes.push(node);
    return null;
  }

  #keyword(name: string, token: Token, at: number): Node | null {
    switch (name) {
      case "if":
      case "with":
      case "range":
        return this.#branch(name, at);
      case "break":
      case "continue":
        if (this.#ranges === 0) this.#reader.fail(token.at, `{{${name}}} outside {{range}}`);
        this.#reader.close(name);
        return { kind: name, at };
      case "template":
        return this.#templateCall(at);
      case "block":
        return this.#block(at);
      default:
        return this.#define(at);
    }
  }

  /** `{{if}}` and the like, up to its `{{end}}`. */
  #branch(kind: "if" | "with" | "range", at: number): Node {
    const scope = this.#pipelines.scope();
    if (++this.#depth > NESTING_MAX)
      this.#reader.fail(at, `more than ${NESTING_MAX} actions within each other`);
    const pipeline = this.#pipelines.parse("close", kind === "range" ? 2 : 1);
    if (kind === "range") this.#ranges++;
    const { nodes: body, stop } = this.#list(["end", "else"]);
    if (kind === "range") this.#ranges--;
    const otherwise = stop === "else" ? this.#otherwise(kind) : this.#ended();
    this.#depth--;
    this.#pipelines.leave(scope);
    return { kind, pipeline, body, otherwise, at };
  }

  #ended(): readonly Node[] {
    this.#reader.close("end");
    return [];
  }

  /** After `{{else`: the rest of the branch. `{{else if}}` shares the `{{end}}` of its `{{if}}`. */
  #otherwise(kind: "if" | "with" | "range"): readonly Node[] {
    const token = this.#reader.peek();
    if (token.kind === "word" && token.name === kind && kind !== "range") {
      this.#reader.next();
      return [this.#branch(kind, token.at)];
    }
    this.#reader.close("else");
    const { nodes } = this.#list(["end"]);
    this.#reader.close("end");
    return nodes;
  }

  #templateCall(at: number): Node {
    const name = this.#reader.string("template");
    const pipeline = this.#optionalPipeline();
    return { kind: "template", name, pipeline, at };
  }

  #optionalPipeline(): Pipeline | null {
    if (this.#reader.peek().kind !== "close") return this.#pipelines.parse("close");
    this.#reader.close("template");
    return null;
  }

  /** `{{block "name" pipeline}}`: a definition that is used where it stands. */
  #block(at: number): Node {
    const name = this.#reader.string("block");
    const pipeline = this.#pipelines.parse("close");
    this.#definition(name, at);
    return { kind: "template", name, pipeline, at };
  }

  #define(at: number): null {
    if (this.#depth > 0 || this.#ranges > 0)
      this.#reader.fail(at, "unexpected {{define}} within another action");
    const name = this.#reader.string("define");
    this.#reader.close("define");
    this.#definition(name, at);
    return null;
  }

  /** A body of its own, defined once (blank ones do not count): no variable from outside, no `{{break}}` of an outer range. */
  #definition(name: string, at: number): void {
    const [scope, ranges] = [this.#pipelines.isolate(), this.#ranges];
    this.#ranges = 0;
    this.#depth++;
    const { nodes } = this.#list(["end"]);
    this.#depth--;
    this.#reader.close("end");
    this.#ranges = ranges;
    this.#pipelines.restore(scope);
    const isBlank = nodes.every((node) => node.kind === "text" && node.text.trim() === "");
    const before = this.#defined.get(name) ?? [];
    if (before.length > 0 && isBlank) return;
    if (before.length > 0) this.#reader.fail(at, `template ${JSON.stringify(name)} is defined twice`);
    this.#defined.set(name, isBlank ? [] : nodes);
  }
}
