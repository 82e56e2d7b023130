import { openClient } from "../client.ts";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { CommandError } from "../failure.ts";
import { nameOf, requireDigest, requireRepositoryName, unknownBlob } from "../image.ts";
import { requireImageReference } from "@stowage/client/image-reference";

export const BLOB_MOUNT: Command = {
  about: "Takes a blob over into another repository of the same registry, without moving a byte.",
  places: [
    { name: "REPO@DIGEST", help: "where it is", completes: "repository" },
    { name: "TARGET", help: "repository that gets it", completes: "repository" },
  ],
  shared: ["output", "registry"],
  examples: [{ line: "blob mount localhost:5000/team/app@$BLOB localhost:5000/team/web" }],
  run,
};

async function run(call: Call): Promise<number> {
  const { args, output, signal } = call;
  const [from = "", to = ""] = args.places;
  const source = requireImageReference(from);
  const target = requireRepositoryName(to);
  const digest = requireDigest(source);
  const client = await openClient(call, [source.registry, target.registry]);
  const repository = client.repository(source);
  const blob = await repository.headBlob(digest, { signal });
  if (blob === null) throw unknownBlob(`look for ${nameOf(source, digest)}`);
  const name = nameOf(target, digest);
  if (source.registry !== target.registry) {
    throw new CommandError(`mount ${name}: ${source.registry} is another registry`, {
      code: EXIT.usage,
      hint: "`stowage copy` copies between registries",
    });
  }
  if (!(await client.repository(target).mountBlob(blob, repository, { signal }))) {
    throw new CommandError(`mount ${name}: the registry did not take it over from ${source.repository}`, {
      hint: "it may not know mounts, or you may not push there",
    });
  }
  output.print({
    value: { reference: name, digest, size: blob.size },
    text: () => `${name}\n`,
    ids: () => [digest],
  });
  return EXIT.ok;
}
