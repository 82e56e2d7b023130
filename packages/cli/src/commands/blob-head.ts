import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { nameOf, openImage, requireDigest, unknownBlob } from "../image.ts";

export const BLOB_HEAD: Command = {
  about: "Prints digest and size of a blob; ends with 3 when the repository does not have it.",
  places: [{ name: "REPO@DIGEST", completes: "repository" }],
  shared: ["output", "registry"],
  examples: [{ line: "blob head localhost:5000/team/app@$BLOB" }],
  run,
};

async function run(call: Call): Promise<number> {
  const { args, output, signal } = call;
  const { repository, reference } = await openImage(call, args.places[0] ?? "");
  const digest = requireDigest(reference);
  const blob = await repository.headBlob(digest, { signal });
  if (blob === null) throw unknownBlob(`look for ${nameOf(reference, digest)}`);
  output.print({
    value: { digest, size: blob.size },
    table: () => ({ head: ["DIGEST", "SIZE"], rows: [[digest, String(blob.size)]] }),
    ids: () => [digest],
  });
  return EXIT.ok;
}
