import { tagImage } from "@stowage/client/tag-image";
import { parseTag } from "@stowage/oci/tag";
import { UsageError } from "../arguments.ts";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { nameOf, openImage } from "../image.ts";

export const TAG: Command = {
  about: "Gives an image more tags in its repository; no layer moves. The last line is what it is called.",
  places: [
    { name: "REF", completes: "reference" },
    { name: "TAG", completes: "tag", takesRest: true },
  ],
  shared: ["output", "registry"],
  examples: [{ line: "tag localhost:5000/team/app:1.0 stable latest" }],
  run,
};

async function run(call: Call): Promise<number> {
  const { args, output, signal, say } = call;
  const [text = "", ...tags] = args.places;
  for (const tag of tags) {
    if (parseTag(tag) === null) {
      throw new UsageError(
        `"${tag}" is no tag; wanted a word such as stable (\`stowage copy\` copies to other repositories)`,
      );
    }
  }
  const { repository, reference, target } = await openImage(call, text);
  const { digest, mediaType } = await tagImage(repository, target, tags, { signal });
  for (const tag of tags) say(`tagged ${nameOf(reference, tag)}`);
  const name = nameOf(reference, digest);
  output.print({
    value: { reference: name, digest, mediaType, tags },
    text: () => `${name}\n`,
    ids: () => [digest],
  });
  return EXIT.ok;
}
