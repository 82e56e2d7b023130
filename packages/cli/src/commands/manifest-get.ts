import { requireManifest, resolveImage } from "@stowage/client/image";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { openImage, platformOf } from "../image.ts";
import { parseJson } from "../json-diff.ts";

export const MANIFEST_GET: Command = {
  about:
    "Prints a manifest as it is stored, byte by byte: its digest is what `stowage digest -` says of it. With --format it is read as JSON.",
  places: [{ name: "REF", completes: "reference" }],
  options: {
    platform: { value: "OS/ARCH", help: "the image of an index instead of the index" },
  },
  shared: ["output", "registry"],
  examples: [
    { line: "manifest get localhost:5000/team/app:1.0" },
    { line: "manifest get localhost:5000/team/app:1.0 | stowage digest" },
    { line: "manifest get localhost:5000/team/app:1.0 --format '{{len .layers}}'" },
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const { args, output, signal, isQuiet } = call;
  const { repository, target } = await openImage(call, args.places[0] ?? "");
  const platform = platformOf(call);
  const manifest =
    platform === null
      ? await requireManifest(repository, target, { signal })
      : (await resolveImage(repository, target, { platform, signal })).manifest;
  if (isQuiet) output.line(manifest.digest);
  else if (output.isStructured) output.print({ value: parseJson(manifest) });
  else await output.raw(manifest.bytes);
  return EXIT.ok;
}
