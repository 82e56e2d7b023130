import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { nameOf, openImage, requireDigest, unknownBlob } from "../image.ts";

export const BLOB_DELETE: Command = {
  about: "Deletes a blob from a repository. Registries refuse it while a manifest names the blob, or always.",
  places: [{ name: "REPO@DIGEST", completes: "repository" }],
  shared: ["output", "registry"],
  examples: [{ line: "blob delete localhost:5000/team/app@$LOOSE" }],
  run,
};

async function run(call: Call): Promise<number> {
  const { args, output, signal } = call;
  const { repository, reference } = await openImage(call, args.places[0] ?? "");
  const digest = requireDigest(reference);
  const name = nameOf(reference, digest);
  if (!(await repository.deleteBlob(digest, { signal }))) throw unknownBlob(`delete ${name}`);
  output.print({ value: { reference: name, digest }, text: () => `${name}\n`, ids: () => [digest] });
  return EXIT.ok;
}
