import { readConfig, resolveImage } from "@stowage/client/image";
import { formatSize } from "../byte-size.ts";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { historyOf } from "../history.ts";
import { openImage, PLATFORM_OPTION, platformOf } from "../image.ts";

export const HISTORY: Command = {
  about: "Prints how an image was made, the last step first, as `docker history` does.",
  places: [{ name: "REF", completes: "reference" }],
  options: { ...PLATFORM_OPTION, "no-trunc": { value: null, help: "whole commands" } },
  shared: ["output", "registry"],
  examples: [
    { line: "history localhost:5000/team/app:1.0" },
    { line: "history localhost:5000/team/app:1.0 --no-trunc --format text" },
  ],
  run,
};

/** Characters of a command in a table. */
const COMMAND_LENGTH = 60;

async function run(call: Call): Promise<number> {
  const { args, output, signal } = call;
  const { repository, target } = await openImage(call, args.places[0] ?? "");
  const { parts } = await resolveImage(repository, target, { platform: platformOf(call), signal });
  const steps = historyOf(await readConfig(repository, parts, { signal }), parts.layers).toReversed();
  await output.list(steps, {
    id: ({ layer }) => layer?.digest ?? "-",
    value: ({ layer, ...step }) => ({ ...step, digest: layer?.digest ?? null, size: layer?.size ?? 0 }),
    head: ["CREATED", "SIZE", "CREATED BY", "COMMENT"],
    cells: ({ created, layer, createdBy, comment }) => [
      created ?? "-",
      formatSize(layer?.size ?? 0),
      shorten(createdBy ?? "-", args.has("no-trunc")),
      comment ?? "",
    ],
  });
  return EXIT.ok;
}

function shorten(text: string, isWhole: boolean): string {
  return isWhole || text.length <= COMMAND_LENGTH ? text : `${text.slice(0, COMMAND_LENGTH - 1)}…`;
}
