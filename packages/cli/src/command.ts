import type { Arguments, OptionSpecs } from "./arguments.ts";
import type { Output } from "./output.ts";
import type { World } from "./world.ts";

/** What can stand at a place, for completion; `image` is a reference or a file such as `oci:DIR`. */
export type Completes =
  "registry" | "repository" | "reference" | "image" | "tag" | "file" | readonly string[];

/** An argument that is no option. */
export interface Place {
  /** As the help writes it: `SRC`. */
  readonly name: string;
  readonly help?: string;
  readonly completes?: Completes;
  readonly isOptional?: boolean;
  /** The last one may take all that is left. */
  readonly takesRest?: boolean;
}

/** A line of the help that can be typed as it is: tests do. */
export interface Example {
  /** Without `stowage ` at the beginning; may have redirections and pipes of a shell. */
  readonly line: string;
  /** Why the test of the examples cannot run it. */
  readonly untested?: string;
}

/** Options that many commands have: of the registry that is asked, of what is printed, of what is told meanwhile. */
export type SharedOptions = "registry" | "output" | "progress";

/** One thing that can be done. Modules are loaded when it is done, or when its own help is asked for. */
export interface Command {
  readonly about: string;
  readonly places: readonly Place[];
  readonly options?: OptionSpecs;
  readonly shared: readonly SharedOptions[];
  readonly examples: readonly Example[];
  /** Reads its arguments itself: the frame looks for --help and nothing else. */
  readonly isRaw?: boolean;
  /** Resolves with the exit code. @throws UsageError, ClientError, Error */
  run(call: Call): Promise<number>;
}

/** Commands about one noun. */
export interface Group {
  readonly about: string;
  readonly commands: Readonly<Record<string, Entry>>;
  readonly examples: readonly Example[];
  /** The command that is meant when the next word is none of them. */
  readonly otherwise?: string;
}

/** A line of the static table. */
export interface Entry {
  /** Half a sentence, in lower case. */
  readonly summary: string;
  readonly aliases?: readonly string[];
  readonly isHidden?: boolean;
  load(): Promise<Command | Group>;
}

export type Commands = Readonly<Record<string, Entry>>;

/** What a command gets. */
export interface Call {
  /** Its name with those of its groups: `manifest get`. */
  readonly name: string;
  readonly args: Arguments;
  /** As they were typed, after the name. */
  readonly words: readonly string[];
  readonly world: World;
  /** Every command that there is. */
  readonly tree: Commands;
  readonly output: Output;
  /** Aborted by SIGINT and SIGTERM. Whoever asks for it promises to end soon after. */
  readonly signal: AbortSignal;
  /** Whether only what scripts use is wanted. */
  readonly isQuiet: boolean;
  /** Tells people something, on standard error; not with -q. */
  say(text: string): void;
  /** The same, with -q as well. */
  warn(text: string): void;
}

export function isGroup(node: Command | Group): node is Group {
  return "commands" in node;
}

/** The entry of a name or an alias. */
export function findEntry(
  commands: Commands,
  word: string,
): { readonly name: string; readonly entry: Entry } | null {
  const found = Object.entries(commands).find(
    ([name, { aliases = [] }]) => name === word || aliases.includes(word),
  );
  return found === undefined ? null : { name: found[0], entry: found[1] };
}
