/** Deepest nesting accepted in a manifest; real ones stay under 10. */
export const JSON_DEPTH_MAX = 64;

/** Most objects, lists and keys of one text together: bounds the time that a hostile one takes to read. */
export const JSON_NODES_MAX = 100_000;

export type StrictJson =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly problem: string };

/**
 * Parses JSON that two different parsers could not understand differently (RFC 8259 leaves room for that):
 * refuses bad UTF-8, a byte order mark, trailing bytes, nesting beyond {@link JSON_DEPTH_MAX}, and keys of one
 * object that are equal or differ only in case (Go's decoder matches keys without case, JavaScript's keeps
 * the last duplicate).
 */
export function parseStrictJson(bytes: Uint8Array): StrictJson {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { ok: false, problem: "not valid UTF-8" };
  }
  if (text.startsWith("\uFEFF")) return { ok: false, problem: "starts with a byte order mark" };
  const problem = findAmbiguity(text);
  if (problem !== null) return { ok: false, problem };
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch {
    return { ok: false, problem: "not valid JSON" };
  }
}

/**
 * One pass over the text that only tracks nesting and object keys. It does not judge the grammar: JSON.parse
 * does that afterwards, with its depth now known to be small.
 */
function findAmbiguity(text: string): string | null {
  const open: Nesting[] = [];
  let nodes = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === QUOTE) {
      const end = endOfString(text, at);
      const inside = open.at(-1);
      if (inside?.kind === "object" && isFollowedByColon(text, end)) {
        const key = readKey(text, at, end);
        if (key === null) return "not valid JSON";
        inside.keys ??= new Set();
        if (inside.keys.has(key)) return `key ${JSON.stringify(key)} appears twice in one object`;
        inside.keys.add(key);
        nodes += 1;
      }
      at = end - 1;
    } else if (character === OPEN_BRACE || character === OPEN_BRACKET) {
      open.push({ kind: character === OPEN_BRACE ? "object" : "list", keys: null });
      nodes += 1;
      if (open.length > JSON_DEPTH_MAX) return `nested deeper than ${JSON_DEPTH_MAX} levels`;
    } else if (character === CLOSE_BRACE || character === CLOSE_BRACKET) {
      open.pop();
    }
    if (nodes > JSON_NODES_MAX) return `more than ${JSON_NODES_MAX} objects, lists and keys`;
  }
  return null;
}

interface Nesting {
  readonly kind: "object" | "list";
  /** Keys seen so far, folded. */
  keys: Set<string> | null;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** Index after the closing quote of the string that starts at `start`. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === BACKSLASH) at++;
    else if (character === QUOTE) return at + 1;
  }
  return text.length;
}

function isFollowedByColon(text: string, from: number): boolean {
  let at = from;
  while (at < text.length && " \t\n\r".includes(text.charAt(at))) at++;
  return text.charCodeAt(at) === COLON;
}

/**
 * The key in the string literal from `start` to `end`, with escapes resolved and case folded, so that
 * `"\u0064igest"` and `"Digest"` equal `"digest"`.
 */
function readKey(text: string, start: number, end: number): string | null {
  const literal = text.slice(start, end);
  let key: unknown = literal.slice(1, -1);
  if (literal.includes("\\")) {
    try {
      key = JSON.parse(literal);
    } catch {
      return null;
    }
  }
  // Upper case first: Go folds U+017F to "s" and U+212A to "k" as well.
  return typeof key === "string" ? key.toUpperCase().toLowerCase() : null;
}
