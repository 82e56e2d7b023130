import { numberOf } from "../arguments.ts";
import { openClient } from "../client.ts";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";

export const CATALOG: Command = {
  about:
    "Lists the repositories of a registry that you may see. Not every registry lets you: Docker Hub does not.",
  places: [{ name: "HOST", help: "registry, for example localhost:5000", completes: "registry" }],
  options: {
    after: { value: "NAME", help: "only what comes after it" },
    limit: { value: "N", help: "at most so many (default: all)" },
  },
  shared: ["output", "registry"],
  examples: [{ line: "catalog localhost:5000" }, { line: "catalog localhost:5000 --limit 10 --format json" }],
  run,
};

async function run(call: Call): Promise<number> {
  const { args, output, signal } = call;
  const [host = ""] = args.places;
  const limit = numberOf(args, "limit", { fallback: Number.MAX_SAFE_INTEGER, min: 1, max: 10 ** 9 });
  const registry = (await openClient(call, [host])).registry(host);
  const after = args.get("after") ?? undefined;
  const names = registry.repositories({ signal, after, ...(args.has("limit") ? { pageSize: limit } : {}) });
  await output.list(first(names, limit), { id: (name) => name, value: (name) => ({ name }) });
  return EXIT.ok;
}

async function* first(names: AsyncIterable<string>, count: number): AsyncGenerator<string, void, void> {
  let left = count;
  for await (const name of names) {
    yield name;
    if (--left === 0) return;
  }
}
