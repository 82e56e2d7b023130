import { requestRegistryToken } from "@stowage/client/registry-token";
import { parseImageReference } from "@stowage/client/image-reference";
import { parseTokenScopes, type TokenScope } from "@stowage/oci/token-scope";
import { UsageError } from "../arguments.ts";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { CommandError } from "../failure.ts";
import { openClient } from "../client.ts";
import { requireHost } from "../registry-host.ts";

/** Why the test of the examples leaves them out; docs/signing-in.md has them, too, and is typed. */
const UNTESTED = "a registry that asks nobody to sign in gives no tokens";

export const TOKEN: Command = {
  about:
    "Prints a token (Bearer) for a repository, or for the scopes that are given: to look at a registry with curl. It may less than was asked for when the account may not more.",
  places: [{ name: "REPO|HOST", completes: "repository" }],
  options: {
    push: { value: null, help: "a token to push with, not only to pull" },
    scope: {
      value: "SCOPE",
      help: "for example repository:team/app:pull,push or registry:catalog:*; may be repeated",
    },
  },
  shared: ["registry", "output"],
  examples: [
    { line: "auth token localhost:5000/team/app", untested: UNTESTED },
    { line: "auth token localhost:5000 --scope 'registry:catalog:*'", untested: UNTESTED },
  ],
  run: runToken,
};

async function runToken(call: Call): Promise<number> {
  const { registry, scopes } = wanted(call);
  const client = await openClient(call, [registry]);
  const token = await requestRegistryToken(client.connection(registry), scopes, { signal: call.signal });
  if (token === null)
    throw new CommandError(
      `${registry} gives no tokens: it asks nobody to sign in, or for a password each time`,
    );
  call.output.print({ value: { token }, text: () => `${token}\n`, ids: () => [token] });
  return EXIT.ok;
}

function wanted({ args }: Call): { readonly registry: string; readonly scopes: readonly TokenScope[] } {
  const [place = ""] = args.places;
  const texts = args.all("scope");
  const scopes = parseTokenScopes(texts);
  if (
    scopes.length !==
    texts
      .join(" ")
      .split(" ")
      .filter((text) => text !== "").length
  )
    throw new UsageError(`--scope is "${texts.join(" ")}"; wanted TYPE:NAME:ACTION,ACTION`);
  const reference = place.includes("/") ? parseImageReference(place) : null;
  if (reference === null) return { registry: requireHost(place), scopes };
  const actions = args.has("push") ? ["pull", "push"] : ["pull"];
  const own: TokenScope = { type: "repository", name: reference.repository, actions };
  return { registry: reference.registry, scopes: [own, ...scopes] };
}
