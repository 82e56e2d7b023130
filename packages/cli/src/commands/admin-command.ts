import type { Arguments, OptionSpecs } from "../arguments.ts";
import type { Call } from "../api-client.ts";
import type { Example } from "../command.ts";

/** What a command of `stowage admin` gets. */
export interface AdminCall {
  readonly args: Arguments;
  readonly call: Call;
  /** Whether only what scripts use is wanted. */
  readonly isQuiet: boolean;
  /** Standard input is a terminal, so somebody can be asked. */
  readonly isInteractive: boolean;
  /** Data to standard output: JSON as it is, or what `text` makes of it; `ids` is what -q leaves. */
  print(value: unknown, text: () => string, ids?: () => readonly string[]): void;
  /** Says something to people, on standard error. */
  say(text: string): void;
  /** A secret, the one thing on standard output; with --format json it is a member of `value`. */
  printSecret(value: unknown, secret: string): void;
}

export interface AdminCommand {
  /** What stands behind the command's name. */
  readonly places: string;
  readonly help: string;
  readonly options?: OptionSpecs;
  /** Runs it; resolves with the exit code. */
  readonly run: (call: AdminCall) => Promise<number>;
}

/** The commands about one noun. */
export interface AdminNoun {
  readonly help: string;
  readonly commands: Readonly<Record<string, AdminCommand>>;
  /** Lines that can be typed as they are; an object says why tests do not type it. */
  readonly examples: readonly (string | Example)[];
}

/** Every entry of a listing, page by page; it stops after ENTRIES_MAX. */
export async function listAll(call: Call, path: string, member: string): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  for (let next: string | null = ""; next !== null && entries.length < ENTRIES_MAX;) {
    const more: string = next === "" ? "" : `&next=${encodeURIComponent(next)}`;
    const page = (await call("GET", `${path}?n=1000${more}`)) as Readonly<Record<string, unknown>>;
    entries.push(...(page[member] as readonly Entry[]));
    next = page.next as string | null;
  }
  return entries;
}

/** Entries of a listing that are printed. */
const ENTRIES_MAX = 100_000;

/** An entry of an answer; its members are read by name. */
export type Entry = Readonly<Record<string, unknown>>;

export function textOf(entry: Entry, member: string): string {
  const value = entry[member];
  if (value === null || value === undefined) return "-";
  return Array.isArray(value) ? value.join(",") : String(value);
}

/** A grant as it is typed: `push:team/**`. */
export function formatGrants(entry: Entry, member: string): string {
  const grants = entry[member];
  if (!Array.isArray(grants)) return "-";
  return grants
    .map(
      ({ may, repositories }: { may: string[]; repositories: string[] }) =>
        `${may.join(",")}:${repositories.join(",")}`,
    )
    .join(" ");
}

/** The segment of a path that a name is. */
export function segment(name: string): string {
  return encodeURIComponent(name);
}
