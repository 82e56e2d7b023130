import { formatNumber, formatPlain, isMapping, keysOf, padExponent, typeName } from "./value.ts";

/** `%`, flags, width, precision, verb; a width or precision of `*` is taken from the arguments. */
const DIRECTIVE = /%([-+# 0]*)(\d+|\*)?(?:\.(\d+|\*)?)?([\s\S])?/gu;

/** Widest field, in characters. Go stops at a million too. */
const WIDTH_MAX = 1_000_000;

interface Directive {
  readonly flags: string;
  readonly width: number | null;
  readonly precision: number | null;
  readonly verb: string;
}

/** Go's `fmt.Sprintf`, for the values of templates. Mistakes are printed as Go prints them, never thrown. */
export function sprintf(format: string, args: readonly unknown[]): string {
  let next = 0;
  const takeNumber = (text: string | undefined): number | null => {
    if (text === undefined) return null;
    const value = text === "*" ? args[next++] : Number(text);
    return typeof value === "number" && Number.isInteger(value) && Math.abs(value) <= WIDTH_MAX
      ? value
      : null;
  };
  const text = format.replace(DIRECTIVE, (all: string, flags, widthText, precisionText, verb) => {
    const width = takeNumber(widthText);
    const hasPrecision = all.slice(1).includes(".");
    const precision = hasPrecision ? (takeNumber(precisionText) ?? 0) : null;
    if (verb === undefined) return "%!(NOVERB)";
    if (verb === "%") return "%";
    if (next >= args.length) return `%!${verb}(MISSING)`;
    const isLeft = width !== null && width < 0;
    const directive = { flags: isLeft ? `${flags}-` : flags, width: width === null ? null : Math.abs(width) };
    return formatArgument(args[next++], { ...directive, precision, verb });
  });
  if (next >= args.length) return text;
  const extra = args.slice(next).map((value) => describeExtra(value));
  return `${text}%!(EXTRA ${extra.join(", ")})`;
}

function describeExtra(value: unknown): string {
  return value === null || value === undefined ? "<nil>" : `${typeName(value)}=${formatPlain(value)}`;
}

/** Lists and maps pass the directive on to what they hold. */
function formatArgument(value: unknown, directive: Directive): string {
  if (directive.verb === "T") return pad(typeName(value), directive);
  if (Array.isArray(value)) return `[${value.map((item) => formatArgument(item, directive)).join(" ")}]`;
  if (isMapping(value)) {
    const entries = keysOf(value).map(
      (key) => `${formatArgument(key, directive)}:${formatArgument(value[key], directive)}`,
    );
    return `map[${entries.join(" ")}]`;
  }
  const text = formatScalar(value, directive);
  if (text !== null) return text;
  if (value === null || value === undefined) return `%!${directive.verb}(<nil>)`;
  return `%!${directive.verb}(${typeName(value)}=${formatPlain(value)})`;
}

/** Null when the verb does not fit the value. */
function formatScalar(value: unknown, directive: Directive): string | null {
  const { verb } = directive;
  if (value === null || value === undefined) return verb === "v" ? pad("<nil>", directive) : null;
  if (typeof value === "boolean") return verb === "v" || verb === "t" ? pad(String(value), directive) : null;
  if (typeof value === "string") return formatText(value, directive);
  if (typeof value === "bigint") return formatInteger(value, directive);
  if (typeof value !== "number") return null;
  return Number.isSafeInteger(value)
    ? formatInteger(BigInt(value), directive)
    : formatFloat(value, directive);
}

function formatText(value: string, directive: Directive): string | null {
  const cut = directive.precision === null ? value : [...value].slice(0, directive.precision).join("");
  switch (directive.verb) {
    case "s":
    case "v":
      return pad(cut, directive);
    case "q":
      if (directive.flags.includes("#") && !/[`\n\r]/.test(cut)) return pad(`\`${cut}\``, directive);
      return pad(quoteGo(cut), directive);
    case "x":
    case "X": {
      const hex = Buffer.from(cut, "utf8").toString("hex");
      return pad(directive.verb === "X" ? hex.toUpperCase() : hex, directive);
    }
    default:
      return null;
  }
}

const BASES: Readonly<Record<string, number>> = { d: 10, v: 10, b: 2, o: 8, x: 16, X: 16 };
const PREFIXES: Readonly<Record<string, string>> = { b: "0b", o: "0", x: "0x", X: "0X" };

function formatInteger(value: bigint, directive: Directive): string | null {
  const { verb, flags, precision } = directive;
  if (verb === "c" || verb === "q" || verb === "U") return formatCodePoint(value, directive);
  const base = BASES[verb];
  if (base === undefined) return null;
  const size = value < 0n ? -value : value;
  const digits = verb === "X" ? size.toString(16).toUpperCase() : size.toString(base);
  const prefix = flags.includes("#") ? (PREFIXES[verb] ?? "") : "";
  return padNumber(value < 0n, prefix + digits.padStart(precision ?? 0, "0"), directive);
}

function formatCodePoint(value: bigint, directive: Directive): string {
  const isValid = value >= 0n && value <= 0x10ffffn;
  if (directive.verb === "U") return pad(`U+${value.toString(16).toUpperCase().padStart(4, "0")}`, directive);
  const text = String.fromCodePoint(isValid ? Number(value) : 0xfffd);
  if (directive.verb === "c") return pad(text, directive);
  return pad(text === "'" ? "'\\''" : `'${quoteGo(text).slice(1, -1).replace('\\"', '"')}'`, directive);
}

/** Whole numbers do not come here: a template's data cannot tell 2.0 from 2. */
function formatFloat(value: number, directive: Directive): string | null {
  const { precision } = directive;
  const size = Math.abs(value);
  switch (directive.verb) {
    case "v":
    case "g":
      return padNumber(
        value < 0,
        precision === null ? formatNumber(size) : general(size, precision),
        directive,
      );
    case "f":
    case "F":
      return padNumber(value < 0, toFixedEven(size, Math.min(precision ?? 6, 40)), directive);
    case "e":
      return padNumber(value < 0, padExponent(size.toExponential(Math.min(precision ?? 6, 100))), directive);
    default:
      return null;
  }
}

/** Like `toFixed`, but a tie goes to the even digit, as in Go (and IEEE 754). */
function toFixedEven(size: number, digits: number): string {
  const exact = size.toFixed(Math.min(digits + 60, 100));
  const cut = exact.length - (Math.min(digits + 60, 100) - digits);
  const isTie = /^\.?50*$/.test(exact.slice(cut));
  const below = exact.slice(0, cut).replace(/\.$/, "");
  return isTie && /[02468]$/.test(below) ? below : size.toFixed(digits);
}

/** `%.Ng`: N significant digits without zeros behind them. */
function general(size: number, precision: number): string {
  const text = size.toPrecision(Math.min(Math.max(precision, 1), 100));
  const [mantissa = "", exponent] = text.split("e");
  const short = mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa;
  return exponent === undefined ? short : padExponent(`${short}e${exponent}`);
}

function padNumber(isNegative: boolean, digits: string, directive: Directive): string {
  const { flags, width, precision } = directive;
  const sign = isNegative ? "-" : flags.includes("+") ? "+" : flags.includes(" ") ? " " : "";
  const isZeroPadded = flags.includes("0") && !flags.includes("-") && width !== null;
  const isInteger = BASES[directive.verb] !== undefined && directive.verb !== "v";
  if (!isZeroPadded || (isInteger && precision !== null))
    return pad(sign + digits, { ...directive, flags: flags.replaceAll("0", "") });
  return sign + digits.padStart(width - sign.length, "0");
}

/** Fills up to the width, which counts characters. */
function pad(text: string, { flags, width }: Directive): string {
  const missing = (width ?? 0) - [...text].length;
  if (missing <= 0) return text;
  if (flags.includes("-")) return text + " ".repeat(missing);
  return (flags.includes("0") ? "0" : " ").repeat(missing) + text;
}

const ESCAPES: Readonly<Record<string, string>> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  "\\": "\\\\",
  '"': '\\"',
};

/** A string as Go source would say it: what cannot be printed is escaped. */
export function quoteGo(text: string): string {
  const quoted = text.replace(/[\\"]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, (char) => {
    const code = char.codePointAt(0) ?? 0;
    if (ESCAPES[char] !== undefined) return ESCAPES[char];
    if (code < 0x80) return `\\x${code.toString(16).padStart(2, "0")}`;
    if (code < 0x10000) return `\\u${code.toString(16).padStart(4, "0")}`;
    return `\\U${code.toString(16).padStart(8, "0")}`;
  });
  return `"${quoted}"`;
}
