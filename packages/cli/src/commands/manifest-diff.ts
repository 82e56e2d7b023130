import { requireManifest, resolveImage } from "@stowage/client/image";
import { requireImageReference, targetOf } from "@stowage/client/image-reference";
import { openClient } from "../client.ts";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { platformOf } from "../image.ts";
import { diffJson, parseJson } from "../json-diff.ts";

export const MANIFEST_DIFF: Command = {
  about:
    "Compares two manifests member by member. Ends with 0 when they are the same and with 1 when they are not.",
  places: [
    { name: "A", completes: "reference" },
    { name: "B", completes: "reference" },
  ],
  options: { platform: { value: "OS/ARCH", help: "images of indexes instead of the indexes" } },
  shared: ["output", "registry"],
  examples: [{ line: "manifest diff localhost:5000/team/app:1.0 localhost:5000/team/app:stable" }],
  run,
};

async function run(call: Call): Promise<number> {
  const { args, output, signal } = call;
  const references = args.places.map(requireImageReference);
  const client = await openClient(
    call,
    references.map(({ registry }) => registry),
  );
  const platform = platformOf(call);
  const [before, after] = await Promise.all(
    references.map(async (reference) => {
      const repository = client.repository(reference);
      const target = targetOf(reference) ?? "latest";
      if (platform === null) return parseJson(await requireManifest(repository, target, { signal }));
      return parseJson((await resolveImage(repository, target, { platform, signal })).manifest);
    }),
  );
  const differences = diffJson(before, after);
  await output.list(differences, {
    id: ({ path }) => path,
    value: ({ path, before: one = null, after: other = null }) => ({ path, before: one, after: other }),
    line: ({ path, before: one, after: other }) =>
      [
        ...(one === undefined ? [] : [`- ${path}: ${JSON.stringify(one)}`]),
        ...(other === undefined ? [] : [`+ ${path}: ${JSON.stringify(other)}`]),
      ].join("\n"),
  });
  return differences.length === 0 ? EXIT.ok : EXIT.failed;
}
