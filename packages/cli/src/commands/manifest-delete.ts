import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { nameOf, openImage, requireDigest, unknownManifest } from "../image.ts";

export const MANIFEST_DELETE: Command = {
  about:
    "Deletes a manifest by its digest, with all its tags, without asking. `stowage delete` looks at the tags first; `stowage untag` takes one away.",
  places: [{ name: "REPO@DIGEST", completes: "reference" }],
  shared: ["output", "registry"],
  examples: [{ line: "manifest delete localhost:5000/team/app@$DIGEST" }],
  run,
};

async function run(call: Call): Promise<number> {
  const { args, output, signal } = call;
  const { repository, reference } = await openImage(call, args.places[0] ?? "");
  const digest = requireDigest(reference);
  const name = nameOf(reference, digest);
  if (!(await repository.deleteManifest(digest, { signal }))) throw unknownManifest(`delete ${name}`);
  output.print({ value: { reference: name, digest }, text: () => `${name}\n`, ids: () => [digest] });
  return EXIT.ok;
}
