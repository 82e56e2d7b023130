import { exportFiles } from "@stowage/client/layers/export-files";
import { UsageError } from "../arguments.ts";
import type { Call, Command } from "../command.ts";
import { readFiles } from "../content/image-files.ts";
import { writePieces } from "../content/new-file.ts";
import { openImage, PLATFORM_OPTION } from "../content/open-image.ts";
import { EXIT } from "../exit-codes.ts";

export const EXPORT: Command = {
  about:
    "Writes the files of an image as one tar file, all layers laid over one another: what a container would see. Owners, modes, times, devices and extended attributes stay. Paths that lead out of the image are left out and told. Layers are read twice, and nothing is kept on disk.",
  places: [
    { name: "REF", completes: "image" },
    { name: "TAR", help: "file to write; `-` is standard output", completes: "file" },
  ],
  options: PLATFORM_OPTION,
  shared: ["registry"],
  examples: [
    { line: "export localhost:5000/team/app:1.0 app.tar" },
    { line: "export localhost:5000/team/app:1.0 - | tar -tf -" },
  ],
  run: runExport,
};

async function runExport(call: Call): Promise<number> {
  const [reference = "", target = ""] = call.args.places;
  // Before everything is read once for nothing.
  if (target === "-" && call.world.stdout.isTerminal)
    throw new UsageError("standard output is a terminal; wanted a file, or a pipe");
  await using image = await openImage(call, reference);
  const files = await readFiles(call, image);
  await writePieces(target, exportFiles(image.source, files, { signal: call.signal }), call.world);
  return EXIT.ok;
}
