import { environmentName } from "@stowage/server/config/setting";
import { readSettings, SETTINGS } from "@stowage/server/config/settings";
import { serve } from "@stowage/server/serve";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { settingOptions } from "../setting-options.ts";

/** Why the test of the examples leaves them out. */
const UNTESTED = "it runs until it is stopped";

export const SERVE: Command = {
  about: `Runs the registry. Each option is also an environment variable, for example ${environmentName(SETTINGS[0])}; options win.`,
  places: [],
  options: settingOptions(),
  shared: [],
  isRaw: true,
  examples: [
    { line: "serve", untested: UNTESTED },
    { line: "serve --addr 127.0.0.1:5001 --data-dir /var/lib/registry", untested: UNTESTED },
    { line: "serve --addr :443 --auth accounts --tls-cert cert.pem --tls-key key.pem", untested: UNTESTED },
  ],
  run: runServe,
};

/** Runs until SIGTERM or SIGINT, then drains; a second signal ends it at once. SIGHUP reads the TLS files. */
async function runServe({ words, world }: Call): Promise<number> {
  const result = readSettings({ args: words, env: world.env });
  if (!result.ok) {
    for (const problem of result.problems) world.stderr.write(`error: ${problem}\n`);
    return EXIT.usage;
  }
  try {
    const server = await serve(result.settings, {
      isTerminal: world.stdout.isTerminal,
      write: (lines) => world.stdout.write(lines),
      tell: (text) => world.stderr.write(text),
    });
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(signal === "SIGINT" ? EXIT.interrupted : EXIT.terminated));
        server.stop();
      });
    }
    process.on("SIGHUP", () => server.reload());
    return await server.stopped;
  } catch (error) {
    world.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
    return EXIT.failed;
  }
}
