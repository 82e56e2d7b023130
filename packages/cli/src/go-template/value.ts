/**
 * Values of templates are those of JSON: null, booleans, numbers (safe integers are Go's int, others float64), strings,
 * arrays, and objects (Go's maps; one with a toString of its own is a Stringer).
 * `undefined` is Go's "no value": what a key gives that is not there.
 */
export type Mapping = Readonly<Record<string, unknown>>;

export function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What is under a key, or undefined. Never what an object inherits. */
export function valueAt(value: Mapping, key: string): unknown {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

/** Keys in the order in which Go prints and ranges over maps. */
export function keysOf(value: Mapping): readonly string[] {
  return Object.keys(value)
    .filter((key) => value[key] !== undefined)
    .sort(compareText);
}

/** Order of the UTF-8 bytes, as Go compares strings: below 0, 0 or above. */
export function compareText(left: string, right: string): number {
  if (left === right) return 0;
  const [a, b] = [[...left], [...right]];
  for (let at = 0; ; at++) {
    const [one, other] = [a[at]?.codePointAt(0) ?? -1, b[at]?.codePointAt(0) ?? -1];
    if (one !== other) return one - other;
  }
}

/** What `if` asks: whether a value is neither absent, nor zero, nor empty. */
export function isTrue(value: unknown): boolean {
  if (value === undefined || value === null) return false;
  if (Array.isArray(value)) return value.length > 0;
  if (isMapping(value)) return keysOf(value).length > 0;
  return typeof value === "number" ? value !== 0 : Boolean(value);
}

/** Name of a value's type as Go would say it. */
export function typeName(value: unknown): string {
  if (value === undefined || value === null) return "<nil>";
  if (Array.isArray(value)) return "[]interface {}";
  switch (typeof value) {
    case "string":
      return "string";
    case "boolean":
      return "bool";
    case "number":
      return Number.isSafeInteger(value) ? "int" : "float64";
    case "bigint":
      return "int";
    default:
      return "map[string]interface {}";
  }
}

/** A value as `{{.}}` prints it. */
export function printValue(value: unknown): string {
  return value === undefined || value === null ? "<no value>" : formatPlain(value);
}

/** Go's `%v`. */
export function formatPlain(value: unknown): string {
  if (value === undefined || value === null) return "<nil>";
  if (Array.isArray(value)) return `[${value.map(formatPlain).join(" ")}]`;
  if (isMapping(value)) {
    // Data may have a member of that name too, an image a label for example.
    if (Object.hasOwn(value, "toString") && typeof value.toString === "function") return String(value);
    return `map[${keysOf(value)
      .map((key) => `${key}:${formatPlain(value[key])}`)
      .join(" ")}]`;
  }
  return typeof value === "number" ? formatNumber(value) : String(value);
}

/** A whole number in digits; another as Go's `%v` of a float64: the shortest form, with an exponent from 1e6. */
export function formatNumber(value: number): string {
  if (Number.isSafeInteger(value)) return String(value);
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  const exponent = Number(value.toExponential().split("e")[1]);
  return exponent < -4 || exponent >= 6 ? padExponent(value.toExponential()) : String(value);
}

/** Go writes at least two digits of an exponent, with its sign. */
export function padExponent(text: string): string {
  return text.replace(/e([+-])(\d)$/, "e$10$2");
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Bytes of a string, which is what Go's `len`, `index` and `slice` count. */
export function bytesOf(text: string): Uint8Array {
  return encoder.encode(text);
}

export function textOf(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}
