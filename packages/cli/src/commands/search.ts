import type { RegistryClient } from "@stowage/client/registry-client";
import { openClient } from "../client.ts";
import type { Call, Command } from "../command.ts";
import { StowageApi } from "../content/stowage-api.ts";
import { EXIT } from "../exit-codes.ts";
import { isMissingEndpoint, requireHost } from "../registry-host.ts";
import { cellOf } from "../table.ts";

export const SEARCH: Command = {
  about:
    "Prints the repositories whose name has a text in it, whatever its case. Stowage searches itself; of other registries the catalog is read.",
  places: [{ name: "HOST", completes: "registry" }, { name: "QUERY" }],
  shared: ["registry", "output"],
  examples: [{ line: "search localhost:5000 app" }, { line: "search localhost:5000 app --format json" }],
  run: runSearch,
};

interface Hit {
  readonly name: string;
  readonly tags: number | null;
  readonly pushedAt: string | null;
}

async function runSearch(call: Call): Promise<number> {
  const [place = "", query = ""] = call.args.places;
  const host = requireHost(place);
  const client = await openClient(call, [host]);
  await call.output.list(hits(call, { client, host, query }), {
    value: (hit) => ({ ...hit, reference: `${host}/${hit.name}` }),
    id: ({ name }) => `${host}/${name}`,
    head: ["REPOSITORY", "TAGS", "PUSHED"],
    cells: ({ name, tags, pushedAt }) => [
      `${host}/${name}`,
      tags === null ? "-" : String(tags),
      pushedAt ?? "-",
    ],
  });
  return EXIT.ok;
}

interface Question {
  readonly client: RegistryClient;
  readonly host: string;
  readonly query: string;
}

async function* hits(call: Call, question: Question): AsyncGenerator<Hit, void, void> {
  const { client, host, query } = question;
  const api = new StowageApi(client, host, call);
  await api.signIn();
  let isStowage = false;
  try {
    const path = `/repositories?n=1000&search=${encodeURIComponent(query)}`;
    for await (const { name, tags, pushedAt } of api.list(path, "repositories")) {
      isStowage = true;
      yield {
        name: cellOf(name),
        tags: typeof tags === "number" ? tags : null,
        pushedAt: typeof pushedAt === "string" ? pushedAt : null,
      };
    }
  } catch (error) {
    if (isStowage || !isMissingEndpoint(error)) throw error;
    yield* fromCatalog(call, question);
  }
}

async function* fromCatalog(call: Call, { client, host, query }: Question): AsyncGenerator<Hit, void, void> {
  const wanted = query.toLowerCase();
  for await (const name of client.registry(host).repositories({ pageSize: 1_000, signal: call.signal })) {
    if (name.toLowerCase().includes(wanted)) yield { name, tags: null, pushedAt: null };
  }
}
