import { sprintf } from "./printf.ts";
import {
  bytesOf,
  compareText,
  formatPlain,
  isMapping,
  isTrue,
  keysOf,
  textOf,
  typeName,
  valueAt,
} from "./value.ts";

/** A function that templates can call. It throws an Error whose message says what is wrong with an argument. */
export interface Callable {
  readonly argumentsMin: number;
  readonly argumentsMax: number;
  readonly call: (args: readonly unknown[]) => unknown;
}

/**
 * The functions that Go's text/template has by itself. `and` and `or` are here for their number of arguments alone:
 * the evaluator runs them, because it must not look at what comes behind the first that decides.
 */
export const BUILTINS: Readonly<Record<string, Callable>> = {
  and: variadic(1, (args) => args.find((value) => !isTrue(value)) ?? args.at(-1)),
  or: variadic(1, (args) => args.find(isTrue) ?? args.at(-1)),
  not: exactly(1, ([value]) => !isTrue(value)),
  eq: variadic(2, ([first, ...others]) => others.some((other) => areEqual(first, other))),
  ne: exactly(2, ([left, right]) => !areEqual(left, right)),
  lt: exactly(2, ([left, right]) => compare(left, right) < 0),
  le: exactly(2, ([left, right]) => compare(left, right) <= 0),
  gt: exactly(2, ([left, right]) => compare(left, right) > 0),
  ge: exactly(2, ([left, right]) => compare(left, right) >= 0),
  len: exactly(1, ([value]) => lengthOf(value)),
  index: variadic(1, ([value, ...keys]) => keys.reduce(indexOne, value)),
  slice: { argumentsMin: 1, argumentsMax: 3, call: ([value, ...indexes]) => slice(value, indexes) },
  print: variadic(0, print),
  println: variadic(0, (args) => `${args.map(formatPlain).join(" ")}\n`),
  printf: variadic(1, ([format, ...args]) => sprintf(requireText(format), args)),
  html: variadic(0, (args) => escapeHtml(printAll(args))),
  js: variadic(0, (args) => escapeScript(printAll(args))),
  urlquery: variadic(0, (args) => escapeQuery(printAll(args))),
};

export function exactly(count: number, call: Callable["call"]): Callable {
  return { argumentsMin: count, argumentsMax: count, call };
}

export function variadic(argumentsMin: number, call: Callable["call"]): Callable {
  return { argumentsMin, argumentsMax: Number.POSITIVE_INFINITY, call };
}

/** @throws Error when it is not a string */
export function requireText(value: unknown): string {
  if (typeof value === "string") return value;
  throw new Error(`wrong type of value: ${formatPlain(value)} is ${typeName(value)}, wanted string`);
}

/** @throws Error when it is not a whole number */
export function requireInteger(value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw new Error(`wrong type of value: ${formatPlain(value)} is ${typeName(value)}, wanted int`);
}

function areEqual(left: unknown, right: unknown): boolean {
  const [one, other] = [left ?? null, right ?? null];
  if (one === null || other === null) return one === other;
  if (typeof one === "object" || typeof other === "object") {
    throw new Error(`values of ${typeName(typeof one === "object" ? one : other)} cannot be compared`);
  }
  if (typeof one !== typeof other) throw incompatible(one, other);
  return one === other;
}

function compare(left: unknown, right: unknown): number {
  if (typeof left === "string" && typeof right === "string") return compareText(left, right);
  if (typeof left === "number" && typeof right === "number") return left - right;
  if (typeof left !== typeof right) throw incompatible(left, right);
  throw new Error(`values of ${typeName(left)} have no order`);
}

function incompatible(left: unknown, right: unknown): Error {
  return new Error(`incompatible types for comparison: ${typeName(left)} and ${typeName(right)}`);
}

function lengthOf(value: unknown): number {
  if (typeof value === "string") return bytesOf(value).byteLength;
  if (Array.isArray(value)) return value.length;
  if (isMapping(value)) return keysOf(value).length;
  throw new Error(`len of type ${typeName(value)}`);
}

function indexOne(value: unknown, key: unknown): unknown {
  if (isMapping(value)) return valueAt(value, requireText(key));
  if (value === undefined || value === null) throw new Error("index of untyped nil");
  const items = typeof value === "string" ? bytesOf(value) : value;
  if (!Array.isArray(items) && !(items instanceof Uint8Array)) {
    throw new Error(`can't index item of type ${typeName(value)}`);
  }
  const at = requireInteger(key);
  if (at < 0 || at >= items.length) throw new Error(`index out of range: ${at}`);
  return items[at];
}

function slice(value: unknown, indexes: readonly unknown[]): unknown {
  if (typeof value !== "string" && !Array.isArray(value)) {
    throw new Error(`can't slice item of type ${typeName(value)}`);
  }
  const items = typeof value === "string" ? bytesOf(value) : value;
  const [from = 0, to = items.length] = indexes.map(requireInteger);
  for (const at of [from, to]) {
    if (at < 0 || at > items.length) throw new Error(`index out of range: ${at}`);
  }
  if (from > to) throw new Error(`invalid slice index: ${from} > ${to}`);
  return items instanceof Uint8Array ? textOf(items.subarray(from, to)) : items.slice(from, to);
}

/** Go's `fmt.Sprint`: a space between two values when neither is a string. */
function print(args: readonly unknown[]): string {
  return args.reduce<string>((text, value, at) => {
    const isApart = at > 0 && typeof value !== "string" && typeof args[at - 1] !== "string";
    return `${text}${isApart ? " " : ""}${formatPlain(value)}`;
  }, "");
}

/** What the escaping functions print: nil as `{{nil}}` would be. */
function printAll(args: readonly unknown[]): string {
  return print(args.map((value) => value ?? "<no value>"));
}

const HTML: Readonly<Record<string, string>> = {
  '"': "&#34;",
  "'": "&#39;",
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\0": "\ufffd",
};

function escapeHtml(text: string): string {
  return [...text].map((char) => HTML[char] ?? char).join("");
}

function escapeScript(text: string): string {
  return text.replace(/[\\'"]|[<>&=]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, (char) => {
    if (char === "\\" || char === "'" || char === '"') return `\\${char}`;
    return `\\u${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
  });
}

function escapeQuery(text: string): string {
  const encoded = encodeURIComponent(text).replaceAll("%20", "+");
  return encoded.replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
