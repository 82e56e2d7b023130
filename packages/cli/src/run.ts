import { type Arguments, readArguments, UsageError } from "./arguments.ts";
import {
  type Call,
  type Command,
  type Commands,
  findEntry,
  type Group,
  isGroup,
  type Place,
} from "./command.ts";
import { didYouMean } from "./did-you-mean.ts";
import { EXIT } from "./exit-codes.ts";
import { describeFailure } from "./failure.ts";
import { helpOfAll, helpOfCommand, helpOfGroup } from "./help.ts";
import { readOutput } from "./output.ts";
import { optionsOf, OUTPUT_OPTIONS, PROGRESS_OPTIONS, REGISTRY_OPTIONS } from "./shared-options.ts";
import { printable, printableText } from "./table.ts";
import { TREE, TREE_ABOUT, TREE_EXAMPLES } from "./tree.ts";
import type { World } from "./world.ts";

/** Runs what the words after `stowage` say. Resolves with the exit code; throws nothing. */
export async function runStowage(words: readonly string[], world: World): Promise<number> {
  const { before, rest } = splitBefore(words);
  const isHelp = rest[0] === "help" || rest[0] === "--help" || rest[0] === "-h";
  const code =
    rest.length === 0 || isHelp
      ? await showHelp(rest.slice(1), world)
      : await runWords(rest, { before, world, asksForHelp: false });
  await world.stdout.flush();
  await world.stderr.flush();
  return code;
}

/** Options may stand before the command, as with docker and crane: `stowage --debug ls REPO`. */
function splitBefore(words: readonly string[]): {
  readonly before: readonly string[];
  readonly rest: readonly string[];
} {
  const known = { ...OUTPUT_OPTIONS, ...PROGRESS_OPTIONS, ...REGISTRY_OPTIONS };
  let at = 0;
  for (; at < words.length; at++) {
    const word = words[at] ?? "";
    const name = word.startsWith("--")
      ? word.slice(2).replace(/=.*/s, "")
      : Object.keys(known).find((option) => word === `-${known[option]?.short}`);
    const spec = name === undefined || !Object.hasOwn(known, name) ? undefined : known[name];
    if (spec === undefined) break;
    if (spec.value !== null && !word.includes("=")) at++;
  }
  return { before: words.slice(0, at), rest: words.slice(at) };
}

async function showHelp(words: readonly string[], world: World): Promise<number> {
  const names = words.filter((word) => !word.startsWith("-"));
  if (names.length > 0) return await runWords(names, { before: [], world, asksForHelp: true });
  world.stdout.write(helpOfAll(TREE, TREE_ABOUT, TREE_EXAMPLES));
  return EXIT.ok;
}

interface Asked {
  /** Options that stood before the command. */
  readonly before: readonly string[];
  readonly world: World;
  readonly asksForHelp: boolean;
}

async function runWords(words: readonly string[], { before, world, asksForHelp }: Asked): Promise<number> {
  const found = await findCommand(TREE, words);
  switch (found.kind) {
    case "unknown":
      return sayUnknown(found, world);
    case "group": {
      const isWanted = asksForHelp || found.rest.length > 0;
      (isWanted ? world.stdout : world.stderr).write(helpOfGroup(found.name, found.group));
      return isWanted ? EXIT.ok : EXIT.usage;
    }
    case "command": {
      const { name, command, rest } = found;
      const end = rest.indexOf("--");
      const options = end === -1 ? rest : rest.slice(0, end);
      if (asksForHelp || options.includes("--help") || options.includes("-h")) {
        world.stdout.write(helpOfCommand(name, command));
        return EXIT.ok;
      }
      return await runCommand(found, [...before, ...rest], world);
    }
    default:
      return found satisfies never;
  }
}

type Found =
  | {
      readonly kind: "command";
      readonly name: string;
      readonly command: Command;
      readonly rest: readonly string[];
    }
  | { readonly kind: "group"; readonly name: string; readonly group: Group; readonly rest: readonly string[] }
  | { readonly kind: "unknown"; readonly name: string; readonly word: string; readonly commands: Commands };

/** Walks down the table as long as there are groups. */
export async function findCommand(commands: Commands, words: readonly string[]): Promise<Found> {
  let level: { readonly group: Group | null; readonly commands: Commands } = { group: null, commands };
  const names: string[] = [];
  for (let at = 0; ; at++) {
    const word = words[at];
    const { group } = level;
    let found = word === undefined ? null : findEntry(level.commands, word);
    if (found === null && group?.otherwise !== undefined) {
      found = findEntry(level.commands, group.otherwise);
      at--;
    }
    if (found === null) {
      const name = names.join(" ");
      if (group !== null && (word === undefined || word === "--help" || word === "-h" || word === "help")) {
        return { kind: "group", name, group, rest: words.slice(at) };
      }
      return { kind: "unknown", name, word: word ?? "", commands: level.commands };
    }
    names.push(found.name);
    const node = await found.entry.load();
    if (!isGroup(node))
      return { kind: "command", name: names.join(" "), command: node, rest: words.slice(at + 1) };
    level = { group: node, commands: node.commands };
  }
}

function sayUnknown({ name, word, commands }: Extract<Found, { kind: "unknown" }>, world: World): number {
  const visible = Object.entries(commands).flatMap(([candidate, { aliases = [], isHidden }]) =>
    isHidden === true ? [] : [candidate, ...aliases],
  );
  const meant = didYouMean(word, visible);
  const before = name === "" ? "" : `${name} `;
  const hint =
    meant === null ? `run \`stowage ${before}--help\` for the commands` : `did you mean "${meant}"?`;
  const what = word.startsWith("-") ? "option" : "command";
  world.stderr.write(`error: unknown ${what} "${printable(`${before}${word}`)}"\nhint: ${hint}\n`);
  return EXIT.usage;
}

async function runCommand(
  { name, command }: Extract<Found, { kind: "command" }>,
  words: readonly string[],
  world: World,
): Promise<number> {
  let isDebug = false;
  try {
    const args = command.isRaw === true ? NO_ARGUMENTS : readArguments(words, optionsOf(command));
    isDebug = args.has("debug");
    if (command.isRaw !== true) checkPlaces(args, command.places);
    // A --format of the command's own says nothing about the output.
    const output = await readOutput(command.shared.includes("output") ? args : NO_ARGUMENTS, world.stdout);
    return await command.run(callOf({ name, args, words, world, output, tree: TREE }));
  } catch (error) {
    const { code, text } = describeFailure(error, name);
    // The terminal has written ^C, and its line is not at an end.
    world.stderr.write(text === "" && world.stderr.isTerminal ? "\n" : text);
    if (isDebug && error instanceof Error) world.stderr.write(`${printableText(error.stack ?? "")}\n`);
    return code;
  }
}

const NO_ARGUMENTS: Arguments = { places: [], has: () => false, get: () => null, all: () => [] };

function callOf(parts: Omit<Call, "isQuiet" | "signal" | "say" | "warn">): Call {
  const { args, world } = parts;
  const isQuiet = args.has("quiet");
  const warn = (text: string) => world.stderr.write(`${printableText(text)}\n`);
  return {
    ...parts,
    isQuiet,
    get signal() {
      return world.signal();
    },
    say: (text) => (isQuiet ? undefined : warn(text)),
    warn,
  };
}

function checkPlaces({ places: given }: Arguments, places: readonly Place[]): void {
  const missing = places[given.length];
  if (missing !== undefined && missing.isOptional !== true)
    throw new UsageError(`${missing.name} is missing`);
  if (given.length > places.length && places.at(-1)?.takesRest !== true) {
    throw new UsageError(`"${given[places.length]}" is one argument too many`);
  }
}
