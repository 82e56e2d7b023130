import { parseImageReference } from "@stowage/client/image-reference";
import type { JsonObject } from "@stowage/oci/descriptor";
import { formatSize } from "../byte-size.ts";
import { openClient } from "../client.ts";
import type { Call, Command } from "../command.ts";
import { StowageApi } from "../content/stowage-api.ts";
import { EXIT } from "../exit-codes.ts";
import { CommandError } from "../failure.ts";
import { isMissingEndpoint, requireHost } from "../registry-host.ts";
import { cellOf } from "../table.ts";

export const DU: Command = {
  about:
    "Prints how much the repositories of a Stowage registry hold, the largest first: blobs, each counted once for a repository. Of one repository also what deleting it frees, which is less where others share its blobs.",
  places: [{ name: "HOST|REPO", completes: "repository" }],
  shared: ["registry", "output"],
  examples: [{ line: "du localhost:5000" }, { line: "du localhost:5000/team/app" }],
  run: runDu,
};

async function runDu(call: Call): Promise<number> {
  const [place = ""] = call.args.places;
  const reference = place.includes("/") ? parseImageReference(place) : null;
  const host = reference?.registry ?? requireHost(place);
  const api = new StowageApi(await openClient(call, [host]), host, call);
  await api.signIn();
  try {
    if (reference !== null) await printOne(call, await api.get(`/repositories/${reference.repository}`));
    else await printAll(call, api);
    return EXIT.ok;
  } catch (error) {
    if (!isMissingEndpoint(error) || (await isStowage(api))) throw error;
    throw new CommandError(`${host} does not say how much it holds: it is no Stowage`, {
      hint: "`stowage size REF` sums up what an image is to pull",
    });
  }
}

/** Whether the API is there, so that the repository is what is missing. */
async function isStowage(api: StowageApi): Promise<boolean> {
  return await api.get("/whoami").then(
    (answer) => "principals" in answer,
    () => false,
  );
}

async function printAll({ output }: Call, api: StowageApi): Promise<void> {
  await output.list(api.list("/repositories?n=1000&sort=size&order=desc", "repositories"), {
    value: (entry) => entry,
    id: ({ blobBytes }) => cellOf(blobBytes),
    head: ["SIZE", "LOGICAL", "TAGS", "REPOSITORY"],
    cells: ({ name, tags, blobBytes, logicalBytes }) => [
      bytesText(blobBytes),
      bytesText(logicalBytes),
      cellOf(tags),
      cellOf(name),
    ],
  });
}

async function printOne({ output }: Call, entry: JsonObject): Promise<void> {
  const { name, tags, blobBytes, logicalBytes, exclusiveBytes } = entry;
  output.print({
    value: entry,
    table: () => ({
      head: ["SIZE", "LOGICAL", "DELETING FREES", "TAGS", "REPOSITORY"],
      rows: [
        [
          bytesText(blobBytes),
          bytesText(logicalBytes),
          bytesText(exclusiveBytes),
          cellOf(tags),
          cellOf(name),
        ],
      ],
    }),
    ids: () => [cellOf(blobBytes)],
  });
}

function bytesText(value: unknown): string {
  return typeof value === "number" ? formatSize(value) : "-";
}
