import { jsonOf, readText } from "@stowage/client/answers";
import { isObject, type JsonObject } from "@stowage/oci/descriptor";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { openClient, storeOf } from "../client.ts";
import { isMissingEndpoint, requireHost } from "../registry-host.ts";

/** Longest answer, in bytes. */
const ANSWER_BYTES_MAX = 1024 * 1024;

export const WHOAMI: Command = {
  about:
    "Prints who a Stowage registry says you are, and what access rules may name you by. Other registries do not say it; then it is the name that is used there.",
  places: [{ name: "HOST", completes: "registry" }],
  shared: ["registry", "output"],
  examples: [{ line: "auth whoami localhost:5000" }, { line: "auth whoami localhost:5000 --format json" }],
  run: runWhoAmI,
};

async function runWhoAmI(call: Call): Promise<number> {
  const registry = requireHost(call.args.places[0] ?? "");
  const client = await openClient(call, [registry]);
  // Anybody may ask who they are: only after signing in the answer is about us.
  await client.registry(registry).ping({ signal: call.signal });
  const told = await askStowage(call, () =>
    client.connection(registry).send({
      method: "GET",
      target: "/api/v1/whoami",
      scopes: [],
      operation: `ask ${registry} who we are`,
      signal: call.signal,
    }),
  );
  const value = told ?? (await fromStore(call, registry));
  const name = typeof value.name === "string" ? value.name : null;
  call.output.print({ value, text: () => `${name ?? "nobody"}\n`, ids: () => [name ?? ""] });
  return EXIT.ok;
}

async function askStowage(call: Call, ask: () => Promise<Response>): Promise<JsonObject | null> {
  try {
    const operation = "ask who we are";
    const answer = jsonOf(await readText(await ask(), { bytesMax: ANSWER_BYTES_MAX, operation }));
    return isObject(answer) && "principals" in answer ? answer : null;
  } catch (error) {
    call.signal.throwIfAborted();
    if (isMissingEndpoint(error)) return null;
    throw error;
  }
}

async function fromStore(call: Call, registry: string): Promise<JsonObject> {
  const found = await storeOf(call, [registry]).find(registry);
  const typed = call.args.get("username");
  const kept = found?.credentials.kind === "password" ? found.credentials.username : null;
  return { name: typed ?? kept, source: found?.where ?? null };
}
