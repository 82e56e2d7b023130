import { ApiError } from "../api-client.ts";
import { type Arguments, type OptionSpecs, readArguments, UsageError } from "../arguments.ts";
import { didYouMean } from "../did-you-mean.ts";
import { EXIT } from "../exit-codes.ts";
import { printable } from "../table.ts";
import { ACCESS } from "./admin-access.ts";
import { AUDIT } from "./admin-audit.ts";
import type { AdminCall, AdminCommand, AdminNoun } from "./admin-command.ts";
import { connect } from "./admin-connection.ts";
import { KEY } from "./admin-key.ts";
import { QUOTA } from "./admin-quota.ts";
import { ROBOT } from "./admin-robot.ts";
import { TOKEN } from "./admin-token.ts";
import { USER } from "./admin-user.ts";
import { WORKLOAD } from "./admin-workload.ts";

const NOUNS: Readonly<Record<string, AdminNoun>> = {
  user: USER,
  robot: ROBOT,
  token: TOKEN,
  access: ACCESS,
  workload: WORKLOAD,
  key: KEY,
  audit: AUDIT,
  quota: QUOTA,
};

const COMMON: OptionSpecs = {
  "data-dir": { value: "DIR", help: "the registry's folder (default stowage-data, or STOWAGE_DATA_DIR)" },
  server: {
    value: "URL",
    help: "the registry's address, with STOWAGE_USERNAME and STOWAGE_PASSWORD, or STOWAGE_TOKEN",
  },
  format: { value: "table|json", help: "what is printed (default table)" },
  quiet: { value: null, help: "-q: only names, ids or the secret" },
  help: { value: null, help: "print this text" },
};

/** `stowage admin NOUN COMMAND ...` */
export async function runAdmin(args: readonly string[]): Promise<number> {
  const [name = "", ...rest] = args;
  if (name === "" || name === "--help" || name === "-h") {
    process.stdout.write(helpOfAll());
    return name === "" ? EXIT.usage : EXIT.ok;
  }
  const noun = Object.hasOwn(NOUNS, name) ? NOUNS[name] : undefined;
  if (noun === undefined) return unknown(`admin ${name}`, name, Object.keys(NOUNS));
  // Of the audit trail there is one command.
  const isShort = Object.keys(noun.commands).length === 1 && rest[0] !== "list";
  const [verb = "", ...others] = isShort ? ["list", ...rest] : rest;
  if (verb === "" || verb === "--help" || verb === "-h") {
    process.stdout.write(helpOfNoun(name, noun));
    return verb === "" ? EXIT.usage : EXIT.ok;
  }
  const command = Object.hasOwn(noun.commands, verb) ? noun.commands[verb] : undefined;
  if (command === undefined) return unknown(`admin ${name} ${verb}`, verb, Object.keys(noun.commands));
  if (others.includes("--help") || others.includes("-h")) {
    process.stdout.write(helpOfCommand(`${name} ${verb}`, command, noun));
    return EXIT.ok;
  }
  return await run(`${name} ${verb}`, command, others);
}

async function run(name: string, command: AdminCommand, args: readonly string[]): Promise<number> {
  try {
    const read = readArguments(args, { ...COMMON, ...command.options });
    const format = read.get("format") ?? "table";
    if (format !== "table" && format !== "json") {
      throw new UsageError(`--format is "${format}"; wanted table or json`);
    }
    await using connection = await connect(read);
    return await command.run(callOf(read, format, connection.call));
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    process.stderr.write(`error: admin ${name}: ${printable(text)}\n`);
    if (error instanceof UsageError) process.stderr.write(`hint: run \`stowage admin ${name} --help\`\n`);
    return exitCodeOf(error);
  }
}

function callOf(args: Arguments, format: "table" | "json", call: AdminCall["call"]): AdminCall {
  const isQuiet = args.has("quiet");
  const out = (text: string) => process.stdout.write(text);
  return {
    args,
    call,
    isQuiet,
    isInteractive: process.stdin.isTTY === true && process.stderr.isTTY === true,
    print(value, text, ids) {
      if (isQuiet && ids !== undefined)
        out(
          ids()
            .map((id) => `${id}\n`)
            .join(""),
        );
      else out(format === "json" ? `${JSON.stringify(value)}\n` : text());
    },
    say(text) {
      if (!isQuiet) process.stderr.write(`${printable(text)}\n`);
    },
    printSecret(value, secret) {
      out(format === "json" && !isQuiet ? `${JSON.stringify(value)}\n` : `${secret}\n`);
    },
  };
}

const CODE_OF_STATUS: Readonly<Record<number, number>> = {
  400: EXIT.usage,
  401: EXIT.unauthenticated,
  403: EXIT.denied,
  404: EXIT.notFound,
  409: EXIT.conflict,
  429: EXIT.limited,
};

function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof ApiError) {
    return CODE_OF_STATUS[error.status] ?? (error.status >= 500 ? EXIT.server : EXIT.failed);
  }
  // What fetch throws says by its code that nobody answered.
  const isUnreachable =
    error instanceof Error &&
    "code" in error &&
    /^(?:Connection|E[A-Z]+|ERR_TLS|[A-Z_]*CERT)/.test(String(error.code));
  return isUnreachable ? EXIT.network : EXIT.failed;
}

function unknown(what: string, word: string, candidates: readonly string[]): number {
  const meant = didYouMean(word, candidates);
  const hint = meant === null ? "run `stowage admin --help`" : `did you mean "${meant}"?`;
  process.stderr.write(`error: unknown command "${printable(what)}"\nhint: ${hint}\n`);
  return EXIT.usage;
}

function helpOfAll(): string {
  const rows = Object.entries(NOUNS).map(([name, noun]) => {
    const verbs = Object.keys(noun.commands).join(", ");
    return `  ${name.padEnd(8)}${noun.help}\n          ${verbs}`;
  });
  return `Manages accounts and what they may do, of a registry that runs or of one that does not.

Usage: stowage admin <noun> <command> [options]

${rows.join("\n")}

Options:
${optionsText(COMMON)}

Secrets are the last line of standard output; everything that is not data goes to standard error.

Examples:
  stowage admin user create alice
  stowage admin access grant user:alice push 'team/**'
  TOKEN=$(stowage admin robot create ci --allow 'push:team/**' -q)
`;
}

function helpOfNoun(name: string, noun: AdminNoun): string {
  const rows = Object.entries(noun.commands).map(
    ([verb, { places, help }]) => [`${verb} ${places}`, help] as const,
  );
  const width = Math.max(...rows.map(([left]) => left.length));
  return `${noun.help[0]?.toUpperCase()}${noun.help.slice(1)}.

Usage: stowage admin ${name} <command> [options]

Commands:
${rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n")}

Run \`stowage admin ${name} <command> --help\` for its options.

Examples:
${noun.examples.map((line) => `  ${line}`).join("\n")}
`;
}

function helpOfCommand(name: string, { places, help, options = {} }: AdminCommand, noun: AdminNoun): string {
  return `${help[0]?.toUpperCase()}${help.slice(1)}.

Usage: stowage admin ${name} ${places} [options]

Options:
${optionsText({ ...options, ...COMMON })}

Examples:
${noun.examples.map((line) => `  ${line}`).join("\n")}
`;
}

function optionsText(options: OptionSpecs): string {
  const rows = Object.entries(options).map(
    ([name, { value, help }]) => [value === null ? `--${name}` : `--${name} ${value}`, help] as const,
  );
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}
