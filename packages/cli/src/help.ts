import type { OptionSpecs } from "./arguments.ts";
import type { Command, Commands, Example, Group, Place, SharedOptions } from "./command.ts";
import { HELP_OPTION, optionsOf, SHARED } from "./shared-options.ts";

/** Columns that help is written for. */
const WIDTH = 80;

/** Widest left column; what is longer has its explanation on the next line. */
const LEFT_MAX = 28;

const TITLES: Readonly<Record<SharedOptions, string>> = {
  output: "Output",
  progress: "Progress",
  registry: "Registry",
};

/** Help of everything: of the static table alone, nothing is loaded. */
export function helpOfAll(commands: Commands, about: string, examples: readonly Example[]): string {
  return `${about}

Usage: stowage <command> [options]

Commands:
${columns(rowsOf(commands))}

Run \`stowage <command> --help\` for what a command does and its options.

Examples:
${examplesText(examples)}
`;
}

export function helpOfGroup(name: string, { about, commands, examples }: Group): string {
  return `${wrap(about, "")}

Usage: stowage ${name} <command> [options]

Commands:
${columns(rowsOf(commands))}

Run \`stowage ${name} <command> --help\` for its options.

Examples:
${examplesText(examples)}
`;
}

export function helpOfCommand(name: string, command: Command): string {
  const { about, places, options = {}, shared, examples } = command;
  const parts = [
    wrap(about, ""),
    `Usage: stowage ${[name, ...places.map(placeText), "[options]"].join(" ")}`,
  ];
  const explained = places.flatMap(({ name: place, help }) =>
    help === undefined ? [] : [[place, help] as const],
  );
  if (explained.length > 0) parts.push(columns(explained));
  parts.push(`Options:\n${columns(optionRows({ ...options, ...HELP_OPTION }))}`);
  const all = optionsOf(command);
  for (const group of shared) {
    const rest = Object.fromEntries(
      Object.entries(all).filter(
        ([option]) => Object.hasOwn(SHARED[group], option) && !Object.hasOwn(options, option),
      ),
    );
    parts.push(`${TITLES[group]}:\n${columns(optionRows(rest))}`);
  }
  parts.push(`Examples:\n${examplesText(examples)}`);
  return `${parts.join("\n\n")}\n`;
}

function rowsOf(commands: Commands): readonly (readonly [string, string])[] {
  return Object.entries(commands)
    .filter(([, { isHidden }]) => isHidden !== true)
    .map(([name, { summary, aliases = [] }]) => [[name, ...aliases].join(", "), summary]);
}

function placeText({ name, isOptional = false, takesRest = false }: Place): string {
  const text = takesRest ? `${name}...` : name;
  return isOptional ? `[${text}]` : text;
}

function optionRows(options: OptionSpecs): readonly (readonly [string, string])[] {
  const shown = Object.entries(options).filter(([, { isHidden }]) => isHidden !== true);
  const hasShort = shown.some(([, { short }]) => short !== undefined);
  return shown.map(([name, { value, short, help }]) => {
    const letter = short === undefined ? (hasShort ? "    " : "") : `-${short}, `;
    return [`${letter}--${name}${value === null ? "" : ` ${value}`}`, help] as const;
  });
}

/** Two columns; the right one is wrapped. */
function columns(rows: readonly (readonly [string, string])[]): string {
  const fitting = rows.map(([left]) => left.length).filter((length) => length <= LEFT_MAX);
  const width = Math.max(0, ...fitting);
  const indent = " ".repeat(width + 4);
  return rows
    .map(([left, right]) => {
      const text = wrap(right, indent);
      if (left.length > width) return `  ${left}\n${indent}${text}`;
      return `  ${left.padEnd(width)}  ${text}`;
    })
    .join("\n");
}

/** Breaks at spaces; lines after the first begin with `indent`, whose width the first one has to its left as well. */
function wrap(text: string, indent: string): string {
  return text
    .split("\n")
    .map((paragraph) => {
      const lines: string[] = [];
      let line = "";
      for (const word of paragraph.split(" ")) {
        if (line !== "" && indent.length + line.length + 1 + word.length > WIDTH) {
          lines.push(line);
          line = word;
        } else line = line === "" ? word : `${line} ${word}`;
      }
      return [...lines, line].join(`\n${indent}`);
    })
    .join(`\n${indent}`);
}

function examplesText(examples: readonly Example[]): string {
  return examples.map(({ line }) => `  stowage ${line}`).join("\n");
}
