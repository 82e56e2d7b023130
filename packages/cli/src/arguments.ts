import { didYouMean } from "./did-you-mean.ts";

/** Somebody used the command in a way that it does not know. */
export class UsageError extends Error {}

export interface OptionSpec {
  /** What its value is called in the help; null: a switch, which has none. */
  readonly value: string | null;
  readonly help: string;
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

/** Short names of options. */
const SHORT: Readonly<Record<string, string>> = { "-q": "--quiet", "-h": "--help" };

/**
 * Reads `--name value`, `--name=value`, switches and places; after `--` everything is a place.
 * @throws UsageError
 */
export function readArguments(args: readonly string[], specs: OptionSpecs): Arguments {
  const places: string[] = [];
  const values = new Map<string, string[]>();
  for (let at = 0; at < args.length; at++) {
    const arg = SHORT[args[at] ?? ""] ?? args[at] ?? "";
    if (arg === "--") {
      places.push(...args.slice(at + 1));
      break;
    }
    if (!arg.startsWith("-") || arg === "-") {
      places.push(arg);
      continue;
    }
    const equals = arg.indexOf("=");
    const name = equals === -1 ? arg.slice(2) : arg.slice(2, equals);
    const spec = arg.startsWith("--") && Object.hasOwn(specs, name) ? specs[name] : undefined;
    if (spec === undefined) throw unknownOption(arg, name, specs);
    const inline = equals === -1 ? undefined : arg.slice(equals + 1);
    if (spec.value === null && inline !== undefined) throw new UsageError(`--${name} takes no value`);
    const value = spec.value === null ? "" : (inline ?? args[++at]);
    if (value === undefined) throw new UsageError(`--${name} has no value; wanted ${spec.value}`);
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  return {
    places,
    has: (option) => values.has(option),
    get: (option) => values.get(option)?.at(-1) ?? null,
    all: (option) => values.get(option) ?? [],
  };
}

function unknownOption(arg: string, name: string, specs: OptionSpecs): UsageError {
  const meant = didYouMean(name, Object.keys(specs));
  return new UsageError(
    `unknown option "${arg.replace(/=.*/s, "")}"${meant === null ? "" : `; did you mean --${meant}?`}`,
  );
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
