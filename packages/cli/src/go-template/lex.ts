import { unquoteChar, unquoteString } from "./literal.ts";
import { positionAt, TemplateError } from "./template-error.ts";

/** A piece of a template. `at` is its offset; `isSpaced` says that white space stands before it in its action. */
export type Token = { readonly at: number; readonly isSpaced: boolean } & (
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "open" | "close" | "end" }
  | { readonly kind: "mark"; readonly text: "|" | "," | "=" | ":=" | "(" | ")" }
  | { readonly kind: "dot" | "nil" }
  | { readonly kind: "word" | "field" | "variable"; readonly name: string }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "bool"; readonly value: boolean }
);

const OPEN = "{{";
const CLOSE = "}}";
const SPACE = /[ \t\r\n]/;

/** How the pieces of an action look; the first pattern that fits at the place wins. */
const MARK = /\||,|:=|=|\(|\)/y;
const STRING = /"(?:[^"\\\n]|\\[^\n])*"|`[^`]*`/y;
const CHAR = /'(?:[^'\\\n]|\\[^\n])+'/y;
const NUMBER =
  /[+-]?(?:0[xX][\da-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)/y;
const FIELD = /\.([\p{L}_][\p{L}\p{Nd}_]*)/uy;
const VARIABLE = /\$([\p{L}\p{Nd}_]*)/uy;
const WORD = /[\p{L}_][\p{L}\p{Nd}_]*/uy;

/** The tokens of a template, in order, with an `end` behind them. @throws TemplateError */
export function lex(text: string, template: string): readonly Token[] {
  const tokens: Token[] = [];
  const fail = (at: number, problem: string): never => {
    throw new TemplateError(template, positionAt(text, at), problem);
  };
  let at = 0;
  let isTrimmed = false;
  while (at < text.length) {
    const open = text.indexOf(OPEN, at);
    const until = open === -1 ? text.length : open;
    const trimsBefore = open !== -1 && text[open + 2] === "-" && SPACE.test(text[open + 3] ?? "");
    pushText(tokens, text.slice(at, until), at, { start: isTrimmed, end: trimsBefore });
    if (open === -1) break;
    const action = lexAction(text, open, open + (trimsBefore ? 3 : 2), tokens, fail);
    at = action.next;
    isTrimmed = action.trimsAfter;
  }
  tokens.push({ kind: "end", at: text.length, isSpaced: false });
  return tokens;
}

function pushText(tokens: Token[], raw: string, at: number, trim: { start: boolean; end: boolean }): void {
  let text = trim.start ? raw.replace(/^[ \t\r\n]+/, "") : raw;
  if (trim.end) text = text.replace(/[ \t\r\n]+$/, "");
  if (text !== "") tokens.push({ kind: "text", text, at, isSpaced: false });
}

type Fail = (at: number, problem: string) => never;

/** One action, from its `{{` to behind its `}}`. A comment leaves no token. */
function lexAction(
  text: string,
  open: number,
  start: number,
  tokens: Token[],
  fail: Fail,
): { next: number; trimsAfter: boolean } {
  const comment = skipSpace(text, start);
  if (text.startsWith("/*", comment) && (comment === start || start > open + 2)) {
    return lexComment(text, comment, fail);
  }
  tokens.push({ kind: "open", at: open, isSpaced: false });
  let at = start;
  while (true) {
    const next = skipSpace(text, at);
    const isSpaced = next > at;
    at = next;
    if (at >= text.length) fail(open, "unclosed action: wanted }}");
    const trimsAfter = isSpaced && text.startsWith(`-${CLOSE}`, at);
    if (trimsAfter || text.startsWith(CLOSE, at)) {
      tokens.push({ kind: "close", at, isSpaced });
      return { next: at + (trimsAfter ? 3 : 2), trimsAfter };
    }
    const { token, end } = readToken(text, at, isSpaced) ?? fail(at, unreadable(text, at));
    tokens.push(token);
    at = end;
  }
}

function lexComment(text: string, start: number, fail: Fail): { next: number; trimsAfter: boolean } {
  const end = text.indexOf("*/", start);
  if (end === -1) fail(start, "unclosed comment: wanted */");
  const close = /^(?:[ \t\r\n]+(-))?\}\}/.exec(text.slice(end + 2));
  if (close === null) return fail(end, "a comment must end its action: wanted */}} or */ -}}");
  return { next: end + 2 + close[0].length, trimsAfter: close[1] !== undefined };
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && SPACE.test(text[at] ?? "")) at++;
  return at;
}

function readToken(text: string, at: number, isSpaced: boolean): { token: Token; end: number } | null {
  const base = { at, isSpaced };
  const found = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(text);
  };
  const result = (match: RegExpExecArray, token: Token) => ({ token, end: at + match[0].length });
  const mark = found(MARK);
  if (mark !== null) return result(mark, { ...base, kind: "mark", text: parseMark(mark[0]) });
  const string = found(STRING);
  if (string !== null) {
    const value = unquoteString(string[0]);
    return value === null ? null : result(string, { ...base, kind: "string", value });
  }
  const char = found(CHAR);
  if (char !== null) {
    const value = unquoteChar(char[0]);
    return value === null ? null : result(char, { ...base, kind: "number", value });
  }
  const number = found(NUMBER);
  if (number !== null) {
    const value = parseNumber(number[0]);
    return value === null ? null : result(number, { ...base, kind: "number", value });
  }
  return readName(found, base, text[at] === ".", at);
}

function readName(
  found: (pattern: RegExp) => RegExpExecArray | null,
  base: { at: number; isSpaced: boolean },
  isDot: boolean,
  at: number,
): { token: Token; end: number } | null {
  const field = found(FIELD);
  if (field !== null) {
    return { token: { ...base, kind: "field", name: field[1] ?? "" }, end: at + field[0].length };
  }
  if (isDot) return { token: { ...base, kind: "dot" }, end: at + 1 };
  const variable = found(VARIABLE);
  if (variable !== null) {
    return { token: { ...base, kind: "variable", name: variable[0] }, end: at + variable[0].length };
  }
  const word = found(WORD);
  if (word === null) return null;
  const end = at + word[0].length;
  if (word[0] === "nil") return { token: { ...base, kind: "nil" }, end };
  if (word[0] === "true" || word[0] === "false") {
    return { token: { ...base, kind: "bool", value: word[0] === "true" }, end };
  }
  return { token: { ...base, kind: "word", name: word[0] }, end };
}

function parseMark(text: string): "|" | "," | "=" | ":=" | "(" | ")" {
  switch (text) {
    case "|":
    case ",":
    case "=":
    case ":=":
    case "(":
      return text;
    default:
      return ")";
  }
}

/** A number as Go writes it, or null. Whole numbers must be safe, like those of JSON. */
function parseNumber(text: string): number | null {
  const digits = text.replace(/^[+-]/, "").replaceAll("_", "");
  const octal = /^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits;
  const size = Number(octal);
  if (!Number.isFinite(size) || (Number.isInteger(size) && !Number.isSafeInteger(size))) return null;
  return text.startsWith("-") ? -size : size;
}

function unreadable(text: string, at: number): string {
  const line = /^[^\n]{0,20}/.exec(text.slice(at))?.[0] ?? "";
  const first = line[0] ?? "";
  if (first === '"' || first === "`") return `unterminated or invalid string ${line}`;
  if (first === "'") return `unterminated or invalid character constant ${line}`;
  if (/[\d+-]/.test(first)) return `bad number ${JSON.stringify(line)}`;
  return `unexpected ${JSON.stringify(first)}`;
}
