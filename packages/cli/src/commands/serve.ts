import { environmentName, type Setting } from "@stowage/server/config/setting";
import { readSettings, SETTINGS } from "@stowage/server/config/settings";
import { serve } from "@stowage/server/serve";
import { EXIT } from "../exit-codes.ts";

/** `stowage serve`: runs until SIGTERM or SIGINT, then drains; a second signal ends it at once. SIGHUP reads the TLS files. */
export async function runServe(args: readonly string[]): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    process.stdout.write(help());
    return EXIT.ok;
  }
  const result = readSettings({ args, env: process.env });
  if (!result.ok) {
    for (const problem of result.problems) process.stderr.write(`error: ${problem}\n`);
    return EXIT.usage;
  }
  try {
    const server = await serve(result.settings, {
      isTerminal: process.stdout.isTTY === true,
      write: (lines) => process.stdout.write(lines),
      tell: (text) => process.stderr.write(text),
    });
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(signal === "SIGINT" ? 130 : 143));
        server.stop();
      });
    }
    process.on("SIGHUP", () => server.reload());
    return await server.stopped;
  } catch (error) {
    process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
    return EXIT.failed;
  }
}

function help(): string {
  const rows = SETTINGS.map((setting) => [usage(setting), describe(setting)] as const);
  const width = Math.max(...rows.map(([left]) => left.length));
  return `Runs the registry.

Usage: stowage serve [options]

Options (each also as an environment variable, for example ${environmentName(SETTINGS[0])}; flags win):
${rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n")}

Examples:
  stowage serve
  stowage serve --addr 127.0.0.1:5001 --data-dir /var/lib/registry
  stowage serve --addr :443 --auth accounts --tls-cert cert.pem --tls-key key.pem
`;
}

function usage(setting: Setting): string {
  return setting.kind === "switch" ? `--${setting.name}` : `--${setting.name} ${setting.placeholder}`;
}

function describe(setting: Setting): string {
  const fallback = setting.kind === "option" ? setting.fallback : null;
  return fallback === null ? setting.help : `${setting.help} (default ${fallback})`;
}
