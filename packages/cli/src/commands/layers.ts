import { resolveImage } from "@stowage/client/image";
import { formatSize } from "../byte-size.ts";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { openImage, PLATFORM_OPTION, platformOf } from "../image.ts";

export const LAYERS: Command = {
  about: "Lists the layers of an image, the lowest first.",
  places: [{ name: "REF", completes: "reference" }],
  options: PLATFORM_OPTION,
  shared: ["output", "registry"],
  examples: [
    { line: "layers localhost:5000/team/app:1.0" },
    { line: "layers localhost:5000/team/app:1.0 --platform linux/amd64 --format jsonl" },
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const { args, output, signal } = call;
  const { repository, target } = await openImage(call, args.places[0] ?? "");
  const { parts } = await resolveImage(repository, target, { platform: platformOf(call), signal });
  await output.list(parts.layers, {
    id: ({ digest }) => digest,
    value: ({ digest, mediaType, size }) => ({ digest, mediaType, size }),
    head: ["DIGEST", "SIZE", "TYPE"],
    cells: ({ digest, mediaType, size }) => [digest, formatSize(size), mediaType],
  });
  return EXIT.ok;
}
