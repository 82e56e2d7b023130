import type { Token } from "./lex.ts";

/** Goes through tokens, and says what was wanted when something else is there. */
export class TokenReader {
  readonly #tokens: readonly Token[];
  readonly #fail: (at: number, problem: string) => never;
  #next = 0;

  constructor(tokens: readonly Token[], fail: (at: number, problem: string) => never) {
    this.#tokens = tokens;
    this.#fail = fail;
  }

  fail(at: number, problem: string): never {
    return this.#fail(at, problem);
  }

  peek(): Token {
    return this.#tokens[this.#next] ?? this.#tokens.at(-1) ?? { kind: "end", at: 0, isSpaced: false };
  }

  /** Takes a token; behind the last one, the end again and again. */
  next(): Token {
    const token = this.peek();
    this.#next++;
    return token;
  }

  /** Goes back by one token. */
  back(): void {
    this.#next--;
  }

  /** Takes the `}}` of `{{end}}`, `{{else}}` and the like, which have no more words. */
  close(keyword: string): void {
    const token = this.next();
    if (token.kind !== "close")
      this.fail(token.at, `unexpected ${describeToken(token)} in {{${keyword}}}: wanted }}`);
  }

  /** Takes the quoted name of a template. */
  string(keyword: string): string {
    const token = this.next();
    if (token.kind === "string") return token.value;
    return this.fail(token.at, `unexpected ${describeToken(token)} in {{${keyword}}}: wanted a quoted name`);
  }
}

export function describeToken(token: Token): string {
  switch (token.kind) {
    case "text":
      return "text";
    case "open":
      return "{{";
    case "close":
      return "}}";
    case "end":
      return "end of the template";
    case "mark":
      return JSON.stringify(token.text);
    case "dot":
      return ".";
    case "nil":
      return "nil";
    case "field":
      return `.${token.name}`;
    case "word":
    case "variable":
      return token.name;
    case "string":
      return JSON.stringify(token.value);
    case "number":
    case "bool":
      return String(token.value);
    default:
      return token satisfies never;
  }
}
