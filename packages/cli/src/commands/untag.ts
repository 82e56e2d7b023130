import { formatImageReference, requireImageReference } from "@stowage/client/image-reference";
import { untagImage } from "@stowage/client/tag-image";
import { UsageError } from "../arguments.ts";
import { openClient } from "../client.ts";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { unknownManifest } from "../image.ts";

export const UNTAG: Command = {
  about:
    "Takes tags away. The image stays, by its digest and its other tags; `stowage delete` deletes it. Registries that delete by digest alone refuse.",
  places: [{ name: "REPO:TAG", completes: "reference", takesRest: true }],
  options: { "ignore-missing": { value: null, help: "a tag that is not there is no error" } },
  shared: ["output", "registry"],
  examples: [{ line: "untag localhost:5000/team/app:old" }],
  run,
};

async function run(call: Call): Promise<number> {
  const { args, output, signal } = call;
  const references = args.places.map((text) => {
    const reference = requireImageReference(text);
    if (reference.tag !== null && reference.digest === null) return { ...reference, tag: reference.tag };
    throw new UsageError(`"${text}" is no tag of a repository; wanted REPO:TAG`);
  });
  const client = await openClient(
    call,
    references.map(({ registry }) => registry),
  );
  async function* untagged(): AsyncGenerator<string, void, void> {
    for (const reference of references) {
      const name = formatImageReference(reference);
      const wasThere = await untagImage(client.repository(reference), reference.tag, { signal });
      if (wasThere) yield name;
      else if (!args.has("ignore-missing")) throw unknownManifest(`untag ${name}`);
    }
  }
  await output.list(untagged(), { id: (name) => name, value: (name) => ({ reference: name }) });
  return EXIT.ok;
}
