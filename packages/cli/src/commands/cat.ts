import { readImageFile } from "@stowage/client/layers/image-files";
import type { Call, Command } from "../command.ts";
import { readFiles } from "../content/image-files.ts";
import { openImage, PLATFORM_OPTION } from "../content/open-image.ts";
import { EXIT } from "../exit-codes.ts";
import { CommandError } from "../failure.ts";

export const CAT: Command = {
  about:
    "Prints a file of an image as a container would see it: the uppermost layer that has it counts, and links are followed within the image. Nothing is unpacked anywhere.",
  places: [
    { name: "REF", completes: "image" },
    { name: "PATH", help: "of the file in the image" },
  ],
  options: PLATFORM_OPTION,
  shared: ["registry"],
  examples: [
    { line: "cat localhost:5000/team/app:1.0 /etc/os-release" },
    { line: "cat localhost:5000/team/app:1.0 etc/os-release > os-release" },
  ],
  run: runCat,
};

async function runCat(call: Call): Promise<number> {
  const [reference = "", path = ""] = call.args.places;
  await using image = await openImage(call, reference);
  const files = await readFiles(call, image);
  const inode = files.tree.find(path.split("/"))?.inode ?? null;
  if (inode === null)
    throw new CommandError(`${image.label} has no file ${JSON.stringify(path)}`, { code: EXIT.notFound });
  if (inode.kind !== "file")
    throw new CommandError(`${JSON.stringify(path)} is a ${inode.kind}; wanted a file`, { code: EXIT.usage });
  for await (const piece of readImageFile(image.source, files, { inode, signal: call.signal }))
    await call.output.raw(piece);
  return EXIT.ok;
}
