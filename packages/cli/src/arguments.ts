import { didYouMean } from "./did-you-mean.ts";

/** Somebody used the command in a way that it does not know. */
export class UsageError extends Error {}

export interface OptionSpec {
  /** What its value is called in the help; null: a switch, which has none. */
  readonly value: string | null;
  readonly help: string;
  /** One letter: `j` for `-j`. */
  readonly short?: string;
  /** The only values that there are; they are checked, and completed. */
  readonly choices?: readonly string[];
  /** Works, and is not in the help. */
  readonly isHidden?: boolean;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** Arguments of a command, read by what it knows. */
export interface Arguments {
  /** What is no option, in its order. */
  readonly places: readonly string[];
  has(option: string): boolean;
  /** The last value of an option, or null. */
  get(option: string): string | null;
  all(option: string): readonly string[];
}

/**
 * Reads `--name value`, `--name=value`, `-n value`, `-nvalue`, switches (`-ab` is `-a -b`) and places; after `--` everything
 * is a place.
 * @throws UsageError
 */
export function readArguments(args: readonly string[], specs: OptionSpecs): Arguments {
  const places: string[] = [];
  const values = new Map<string, string[]>();
  const left = [...args];
  for (let arg = left.shift(); arg !== undefined; arg = left.shift()) {
    if (arg === "--") {
      places.push(...left);
      break;
    }
    if (!arg.startsWith("-") || arg === "-") {
      places.push(arg);
      continue;
    }
    const { name, spec, inline } = arg.startsWith("--") ? readLong(arg, specs) : readShort(arg, specs, left);
    const value = spec.value === null ? "" : (inline ?? left.shift());
    if (value === undefined) throw new UsageError(`--${name} has no value; wanted ${spec.value}`);
    if (spec.choices?.includes(value) === false) throw notAChoice(name, value, spec.choices);
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  return {
    places,
    has: (option) => values.has(option),
    get: (option) => values.get(option)?.at(-1) ?? null,
    all: (option) => values.get(option) ?? [],
  };
}

interface Found {
  readonly name: string;
  readonly spec: OptionSpec;
  /** A value that stands in the same word. */
  readonly inline: string | undefined;
}

function readLong(arg: string, specs: OptionSpecs): Found {
  const equals = arg.indexOf("=");
  const name = equals === -1 ? arg.slice(2) : arg.slice(2, equals);
  const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
  if (spec === undefined) throw unknownOption(arg, name, specs);
  const inline = equals === -1 ? undefined : arg.slice(equals + 1);
  if (spec.value === null && inline !== undefined) throw new UsageError(`--${name} takes no value`);
  return { name, spec, inline };
}

/** What stands behind a switch's letter in the same word goes back to what is left to read. */
function readShort(arg: string, specs: OptionSpecs, left: string[]): Found {
  const letter = arg[1] ?? "";
  const [name, spec] = Object.entries(specs).find(([, { short }]) => short === letter) ?? [];
  if (name === undefined || spec === undefined) throw unknownOption(arg, arg.slice(1), specs);
  const rest = arg.slice(2);
  if (spec.value !== null) return { name, spec, inline: rest === "" ? undefined : rest.replace(/^=/, "") };
  if (rest.startsWith("=")) throw new UsageError(`-${letter} takes no value`);
  if (rest !== "") left.unshift(`-${rest}`);
  return { name, spec, inline: undefined };
}

function unknownOption(arg: string, name: string, specs: OptionSpecs): UsageError {
  const known = Object.keys(specs).filter((candidate) => specs[candidate]?.isHidden !== true);
  const meant = name.length > 1 ? didYouMean(name, known) : null;
  return new UsageError(
    `unknown option "${arg.replace(/=.*/s, "")}"${meant === null ? "" : `; did you mean --${meant}?`}`,
  );
}

function notAChoice(name: string, value: string, choices: readonly string[]): UsageError {
  const meant = didYouMean(value, choices);
  const hint = meant === null ? "" : `; did you mean ${meant}?`;
  return new UsageError(`--${name} is "${value}"; wanted ${formatChoices(choices)}${hint}`);
}

/** `a, b or c` */
export function formatChoices(choices: readonly string[]): string {
  return choices.join(", ").replace(/, (?=[^,]*$)/, " or ");
}

/** Names of places with what was given. @throws UsageError when there are too few or too many */
export function requirePlaces(
  { places }: Arguments,
  { wanted, rest = false }: { readonly wanted: readonly string[]; readonly rest?: boolean },
): readonly string[] {
  const missing = wanted[places.length];
  if (missing !== undefined) throw new UsageError(`${missing} is missing`);
  if (!rest && places.length > wanted.length) {
    throw new UsageError(`"${places[wanted.length]}" is one argument too many`);
  }
  return places;
}

/** The whole number of an option; `fallback` without it. @throws UsageError */
export function numberOf(
  args: Arguments,
  option: string,
  { fallback, min, max }: { readonly fallback: number; readonly min: number; readonly max: number },
): number {
  const text = args.get(option);
  if (text === null) return fallback;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`--${option} is "${text}"; wanted a number from ${min} to ${max}`);
}
