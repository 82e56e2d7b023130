import { type OptionSpec, type OptionSpecs, readArguments } from "./arguments.ts";
import {
  type Call,
  type Command,
  type Commands,
  type Completes,
  findEntry,
  type Group,
  isGroup,
} from "./command.ts";
import { optionsOf } from "./shared-options.ts";
import { printable } from "./table.ts";

/** A word that may come next; `:file` asks the shell for names of files. */
export interface Candidate {
  readonly text: string;
  readonly help: string;
}

const FILES: Candidate = { text: ":file", help: "" };

/** What may stand in place of the last of the words. Out of the table, and of the registry that is being typed. */
export async function completionsOf(
  tree: Commands,
  words: readonly string[],
  call: Call,
): Promise<readonly Candidate[]> {
  const current = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  const { node, rest } = await walk(tree, before);
  const candidates = isGroup(node)
    ? commandsOf(node.commands)
    : await argumentsOf(node, { rest, current, call });
  return candidates
    .filter(({ text }) => text === FILES.text || text.startsWith(current))
    .map(({ text, help }) => ({ text: printable(text), help: printable(help) }));
}

/** The command or the group that the words lead to, and what stands behind its name. */
async function walk(
  tree: Commands,
  words: readonly string[],
): Promise<{ readonly node: Command | Group; readonly rest: readonly string[] }> {
  let node: Command | Group = { about: "", commands: tree, examples: [] };
  let at = 0;
  for (; at < words.length && isGroup(node); at++) {
    const found = findEntry(node.commands, words[at] ?? "");
    if (found !== null) node = await found.entry.load();
    // Options before the command, and mistakes.
    else if (words[at]?.startsWith("-") !== true) return { node: { ...node, commands: {} }, rest: [] };
  }
  return { node, rest: words.slice(at) };
}

function commandsOf(commands: Commands): readonly Candidate[] {
  return Object.entries(commands).flatMap(([text, { summary, isHidden }]) =>
    isHidden === true ? [] : [{ text, help: summary }],
  );
}

interface Typed {
  /** Words behind the command's name, without the one being typed. */
  readonly rest: readonly string[];
  readonly current: string;
  readonly call: Call;
}

async function argumentsOf(command: Command, { rest, current, call }: Typed): Promise<readonly Candidate[]> {
  const options = optionsOf(command);
  const wanting = optionWanting(rest.at(-1) ?? "", options);
  if (wanting !== null) return valuesOf(wanting, "");
  const inline = /^--([a-z0-9-]+)=/.exec(current);
  if (inline !== null) {
    const spec = Object.hasOwn(options, inline[1] ?? "") ? options[inline[1] ?? ""] : undefined;
    return spec === undefined ? [] : valuesOf(spec, inline[0]);
  }
  if (current.startsWith("-")) return optionCandidates(options);
  const args = readLeniently(rest, options);
  const place = command.places[Math.min(args.places.length, command.places.length - 1)];
  const isTooMany = args.places.length >= command.places.length && place?.takesRest !== true;
  if (place?.completes === undefined || isTooMany) return [];
  return await placeCandidates(place.completes, {
    current,
    first: args.places[0] ?? "",
    call: { ...call, args },
  });
}

/** What is typed so far need not be right yet. */
function readLeniently(words: readonly string[], options: OptionSpecs) {
  try {
    return readArguments(words, options);
  } catch {
    return readArguments(["--", ...words.filter((word) => !word.startsWith("-"))], options);
  }
}

function optionWanting(word: string, options: OptionSpecs): OptionSpec | null {
  const found = Object.entries(options).find(
    ([name, { short }]) => word === `--${name}` || (short !== undefined && word === `-${short}`),
  );
  return found === undefined || found[1].value === null ? null : found[1];
}

function valuesOf({ choices, value }: OptionSpec, before: string): readonly Candidate[] {
  if (choices !== undefined) return choices.map((text) => ({ text: `${before}${text}`, help: "" }));
  if (value === "FORMAT")
    return ["table", "text", "json", "jsonl", "yaml"].map((text) => ({ text: `${before}${text}`, help: "" }));
  return /FILE|DIR/.test(value ?? "") && before === "" ? [FILES] : [];
}

function optionCandidates(options: OptionSpecs): readonly Candidate[] {
  return Object.entries(options).flatMap(([name, { help, isHidden }]) =>
    isHidden === true ? [] : [{ text: `--${name}`, help }],
  );
}

async function placeCandidates(
  completes: Completes,
  typed: { readonly current: string; readonly first: string; readonly call: Call },
): Promise<readonly Candidate[]> {
  if (typeof completes !== "string") return completes.map((text) => ({ text, help: "" }));
  if (completes === "file") return [FILES];
  // Commands and options are completed without what it takes to ask a registry.
  const { liveCompletions } = await import("./live-completions.ts");
  const live = await liveCompletions(completes, typed);
  const all = live.map((text) => ({ text, help: "" }));
  return completes === "image" ? [...all, FILES] : all;
}
