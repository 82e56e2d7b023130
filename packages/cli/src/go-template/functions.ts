import { type Callable, exactly, requireInteger, requireText } from "./builtins.ts";
import { bytesOf, formatPlain, isMapping, keysOf, textOf, typeName } from "./value.ts";

/** The functions that docker and podman add for `--format`. */
export const FORMAT_FUNCTIONS: Readonly<Record<string, Callable>> = {
  json: exactly(1, ([value]) => toJson(value)),
  join: exactly(2, ([list, separator]) => requireTexts(list).join(requireText(separator))),
  split: exactly(2, ([text, separator]) => split(requireText(text), requireText(separator))),
  lower: exactly(1, ([text]) => requireText(text).toLowerCase()),
  upper: exactly(1, ([text]) => requireText(text).toUpperCase()),
  title: exactly(1, ([text]) =>
    requireText(text).replace(/(?<![\p{L}\p{Nd}_]|[^\0-\x7f\s])\p{L}/gu, (char) => char.toUpperCase()),
  ),
  truncate: exactly(2, ([text, length]) => truncate(requireText(text), requireInteger(length))),
  pad: exactly(3, ([text, before, after]) => padWithSpaces(requireText(text), before, after)),
};

/** JSON with the keys in order, as Go writes a map. */
function toJson(value: unknown): string {
  return JSON.stringify(value ?? null, (_key, item: unknown) =>
    isMapping(item) ? Object.fromEntries(keysOf(item).map((key) => [key, item[key]])) : item,
  );
}

function split(text: string, separator: string): readonly string[] {
  return separator === "" ? [...text] : text.split(separator);
}

function requireTexts(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.map(requireText);
  throw new Error(
    `wrong type of value: ${formatPlain(value)} is ${typeName(value)}, wanted a list of strings`,
  );
}

/** At most so many bytes, and no half character at the end. */
function truncate(text: string, length: number): string {
  const bytes = bytesOf(text);
  if (length < 0) throw new Error(`cannot truncate to ${length} bytes`);
  return bytes.byteLength <= length ? text : textOf(bytes.subarray(0, length)).replace(/\ufffd+$/, "");
}

function padWithSpaces(text: string, before: unknown, after: unknown): string {
  if (text === "") return text;
  return " ".repeat(requireSpaces(before)) + text + " ".repeat(requireSpaces(after));
}

/** Most spaces that a template may ask for. */
const SPACES_MAX = 10_000;

function requireSpaces(value: unknown): number {
  const count = requireInteger(value);
  if (count >= 0 && count <= SPACES_MAX) return count;
  throw new Error(`cannot pad with ${count} spaces: wanted 0 to ${SPACES_MAX}`);
}
