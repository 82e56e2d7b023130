import { readConfig, resolveImage } from "@stowage/client/image";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { openImage, PLATFORM_OPTION, platformOf } from "../image.ts";

export const CONFIG: Command = {
  about: "Prints the config of an image: environment, command, user, labels, history.",
  places: [{ name: "REF", completes: "reference" }],
  options: PLATFORM_OPTION,
  shared: ["output", "registry"],
  examples: [
    { line: "config localhost:5000/team/app:1.0" },
    { line: "config localhost:5000/team/app:1.0 --format '{{json .config.Env}}'" },
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const { args, output, signal } = call;
  const { repository, target } = await openImage(call, args.places[0] ?? "");
  const { parts } = await resolveImage(repository, target, { platform: platformOf(call), signal });
  const config = await readConfig(repository, parts, { signal });
  output.print({
    value: config,
    text: () => `${JSON.stringify(config, null, 2)}\n`,
    ids: () => [parts.config?.digest ?? ""],
  });
  return EXIT.ok;
}
