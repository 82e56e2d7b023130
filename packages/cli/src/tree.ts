import type { Commands, Example } from "./command.ts";

/**
 * Every command, with what help and completion say about it. Nothing is loaded before it is run or asked about, so
 * that `stowage --version` and completion are there at once.
 */
export const TREE: Commands = {
  serve: {
    summary: "run the registry",
    load: async () => (await import("./commands/serve.ts")).SERVE,
  },
  admin: {
    summary: "accounts, robots, tokens, access rules, keys, audit, quotas",
    load: async () => (await import("./commands/admin.ts")).ADMIN,
  },
  server: {
    summary: "look after a registry's data: gc, scrub, check, backup, restore",
    load: async () => (await import("./commands/server.ts")).SERVER,
  },
  version: {
    summary: "print the version",
    load: async () => (await import("./commands/version.ts")).VERSION,
  },
  help: {
    summary: "print this text, or that of a command",
    load: async () => (await import("./commands/help.ts")).HELP,
  },
};

export const TREE_ABOUT = "stowage: a container registry, and what works with registries";

export const TREE_EXAMPLES: readonly Example[] = [{ line: "serve", untested: "it runs until it is stopped" }];
