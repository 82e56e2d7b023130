import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { openImage, unknownManifest } from "../image.ts";

export const MANIFEST_HEAD: Command = {
  about: "Prints digest, type and size of a manifest without reading it; ends with 3 when there is none.",
  places: [{ name: "REF", completes: "reference" }],
  shared: ["output", "registry"],
  examples: [
    { line: "manifest head localhost:5000/team/app:1.0" },
    { line: "manifest head localhost:5000/team/app:1.0 -q" },
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const { args, output, signal } = call;
  const { repository, target, name } = await openImage(call, args.places[0] ?? "");
  const head = await repository.headManifest(target, { signal });
  if (head === null) throw unknownManifest(`resolve ${name}`);
  const { digest, mediaType, size } = head;
  output.print({
    value: { digest, mediaType, size },
    table: () => ({
      head: ["DIGEST", "TYPE", "SIZE"],
      rows: [[digest, mediaType, size === null ? "-" : String(size)]],
    }),
    ids: () => [digest],
  });
  return EXIT.ok;
}
