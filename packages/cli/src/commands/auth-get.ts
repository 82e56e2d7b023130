import type { Credentials } from "@stowage/client/credentials";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { CommandError } from "../failure.ts";
import { storeOf } from "../client.ts";
import { requireHost } from "../registry-host.ts";

export const GET: Command = {
  about:
    "Prints what a registry is signed in to with, as a credential helper of docker does: with the secret. The name <token> stands for an identity token.",
  places: [{ name: "HOST", completes: "registry" }],
  options: {
    authfile: { value: "FILE", help: "credentials as docker and podman keep them (REGISTRY_AUTH_FILE)" },
  },
  shared: ["output"],
  examples: [
    { line: "auth get localhost:5000" },
    { line: "auth get localhost:5000 --format '{{.Username}}'" },
  ],
  run: runGet,
};

async function runGet(call: Call): Promise<number> {
  const registry = requireHost(call.args.places[0] ?? "");
  const found = await storeOf(call, [registry]).find(registry);
  if (found === null)
    throw new CommandError(`nothing is kept for ${registry}`, {
      code: EXIT.notFound,
      hint: `sign in with \`stowage login ${registry}\``,
    });
  const value = helperAnswer(registry, found.credentials);
  call.output.print({ value, text: () => `${JSON.stringify(value)}\n`, ids: () => [value.Username] });
  return EXIT.ok;
}

/** The form of docker-credential-helpers. */
export interface HelperAnswer {
  readonly ServerURL: string;
  readonly Username: string;
  readonly Secret: string;
}

export function helperAnswer(server: string, credentials: Credentials): HelperAnswer {
  return credentials.kind === "password"
    ? { ServerURL: server, Username: credentials.username, Secret: credentials.password }
    : { ServerURL: server, Username: "<token>", Secret: credentials.token };
}
