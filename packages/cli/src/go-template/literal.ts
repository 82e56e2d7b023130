const SIMPLE: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "'": "'",
  '"': '"',
};

/** Escapes of Go's string and character literals (The Go Programming Language Specification, "Rune literals"). */
const ESCAPE = /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{3})|([\s\S]))/g;

/** The text of a quoted or raw Go string, or null. */
export function unquoteString(literal: string): string | null {
  if (literal.startsWith("`")) return literal.slice(1, -1).replaceAll("\r", "");
  return unescapeGo(literal.slice(1, -1), '"');
}

/** The code point of a Go character literal such as `'a'` or `'\n'`, or null. */
export function unquoteChar(literal: string): number | null {
  const text = unescapeGo(literal.slice(1, -1), "'");
  if (text === null || [...text].length !== 1) return null;
  return text.codePointAt(0) ?? null;
}

function unescapeGo(body: string, quote: string): string | null {
  let isValid = true;
  const refuse = (): string => {
    isValid = false;
    return "";
  };
  // Bytes above 0x7f that \x and octal escapes write one by one are taken as code points.
  const text = body.replace(ESCAPE, (_all, x, u4, u8, octal, letter) => {
    const digits = x ?? u4 ?? u8;
    const code = digits === undefined ? Number.parseInt(octal ?? "", 8) : Number.parseInt(digits, 16);
    if (letter === undefined) return code > 0x10ffff ? refuse() : String.fromCodePoint(code);
    if ((letter === "'" || letter === '"') && letter !== quote) return refuse();
    return SIMPLE[letter] ?? refuse();
  });
  return isValid ? text : null;
}
