import type { OptionSpecs } from "../arguments.ts";
import type { Call, Command, Entry, Example, Group, Place } from "../command.ts";
import type { AdminCall, AdminCommand, AdminNoun } from "./admin-command.ts";
import { connect } from "./admin-connection.ts";

const COMMON: OptionSpecs = {
  "data-dir": { value: "DIR", help: "the registry's folder (default stowage-data, or STOWAGE_DATA_DIR)" },
  server: {
    value: "URL",
    help: "the registry's address, with STOWAGE_USERNAME and STOWAGE_PASSWORD, or STOWAGE_TOKEN",
  },
};

export const ADMIN: Group = {
  about:
    "Manages accounts and what they may do, of a registry that runs or of one that does not. Secrets are the last line of standard output.",
  commands: {
    user: noun("user", "accounts of people", async () => (await import("./admin-user.ts")).USER),
    robot: noun("robot", "accounts of programs", async () => (await import("./admin-robot.ts")).ROBOT),
    token: noun("token", "tokens of accounts", async () => (await import("./admin-token.ts")).TOKEN),
    access: noun("access", "who may do what", async () => (await import("./admin-access.ts")).ACCESS),
    workload: noun(
      "workload",
      "issuers whose tokens open the registry without a password",
      async () => (await import("./admin-workload.ts")).WORKLOAD,
    ),
    key: noun("key", "keys that sign tokens", async () => (await import("./admin-key.ts")).KEY),
    audit: noun("audit", "who did what", async () => (await import("./admin-audit.ts")).AUDIT),
    quota: noun("quota", "what namespaces may hold", async () => (await import("./admin-quota.ts")).QUOTA),
  },
  examples: [
    { line: "admin user create alice" },
    { line: "admin access grant user:alice push 'team/**'" },
    { line: "admin robot create ci --allow 'push:team/**' -q" },
  ],
};

function noun(name: string, summary: string, load: () => Promise<AdminNoun>): Entry {
  return { summary, load: async () => groupOf(name, await load()) };
}

function groupOf(name: string, { help, commands, examples: lines }: AdminNoun): Group {
  const examples = lines.map((example) => (typeof example === "string" ? { line: example } : example));
  const entries = Object.entries(commands).map(([verb, command]) => {
    const own = examples.filter(({ line }) => line.startsWith(`admin ${name} ${verb}`));
    return [verb, entryOf(command, own.length === 0 ? examples : own)] as const;
  });
  const [only] = Object.keys(commands);
  return {
    about: sentence(help),
    commands: Object.fromEntries(entries),
    examples,
    // Of the audit trail there is one command.
    ...(entries.length === 1 && only !== undefined ? { otherwise: only } : {}),
  };
}

function entryOf(admin: AdminCommand, examples: readonly Example[]): Entry {
  const command: Command = {
    about: sentence(admin.help),
    places: placesOf(admin.places),
    options: { ...admin.options, ...COMMON },
    shared: ["output"],
    examples,
    async run(call) {
      await using connection = await connect(call.args, call.world.env);
      return await admin.run(adminCall(call, connection.call));
    },
  };
  return { summary: admin.help, load: async () => command };
}

/** Places as they are written in the help, for example `ACCOUNT [GLOB...]`; what is missing the commands say themselves. */
function placesOf(text: string): readonly Place[] {
  return text.split(" ").flatMap((word) => {
    if (word === "") return [];
    const name = word.replaceAll(/[[\]]|\.\.\.$/g, "").replace(/\.\.\.$/, "");
    return [{ name, isOptional: word.startsWith("["), takesRest: word.includes("...") }];
  });
}

function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}

function adminCall({ args, world, output, isQuiet, say }: Call, call: AdminCall["call"]): AdminCall {
  return {
    args,
    call,
    isQuiet,
    isInteractive: world.stdin.isTerminal && world.stderr.isTerminal,
    print: (value, text, ids) => output.print({ value, text, ...(ids === undefined ? {} : { ids }) }),
    say,
    printSecret: (value, secret) => output.print({ value, text: () => `${secret}\n`, ids: () => [secret] }),
  };
}
