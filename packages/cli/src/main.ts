#!/usr/bin/env bun
import { EXIT } from "./exit-codes.ts";

const HELP = `stowage: a container registry

Usage: stowage <command> [options]

Commands:
  serve      run the registry
  admin      accounts, robots, tokens, access rules, keys, audit, quotas
  server     look after its data: gc, scrub, check, backup, restore
  version    print the version
  help       print this text

Run \`stowage <command> --help\` for the options of a command.
`;

/** Commands load lazily: asking for the version must not load the server. */
async function main(args: readonly string[]): Promise<number> {
  // Data folders and backups hold keys, hashes of passwords and images: nobody else's business on this machine.
  process.umask(0o077);
  const [command, ...rest] = args;
  switch (command) {
    case "serve":
      return await (await import("./commands/serve.ts")).runServe(rest);
    case "admin":
      return await (await import("./commands/admin.ts")).runAdmin(rest);
    case "server":
      return await (await import("./commands/server.ts")).runServer(rest);
    case "version":
    case "--version":
      return (await import("./commands/version.ts")).runVersion();
    case undefined:
    case "help":
    case "--help":
    case "-h":
      process.stdout.write(HELP);
      return EXIT.ok;
    default:
      process.stderr.write(
        `error: unknown command "${command}"\nhint: run \`stowage help\` for the commands\n`,
      );
      return EXIT.usage;
  }
}

process.exit(await main(process.argv.slice(2)));
