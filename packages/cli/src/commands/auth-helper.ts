import { join } from "node:path";
import type { Credentials } from "@stowage/client/credentials";
import { type CredentialStore, createCredentialStore } from "@stowage/client/node/credentials";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { readInput } from "../read-input.ts";
import { helperAnswer } from "./auth-get.ts";

/** Longest question of docker, in bytes. */
const INPUT_BYTES_MAX = 256 * 1024;

/** What docker understands as: there is nothing (docker-credential-helpers, "credentials"). */
const NOT_FOUND = "credentials not found in native keychain";

const ACTIONS = ["get", "store", "erase", "list"] as const;

export const HELPER: Command = {
  about:
    'Answers as a credential helper of docker does (get, store, erase, list): a link to stowage that is called docker-credential-stowage does the same, and `"credsStore": "stowage"` in docker\'s config.json uses it. It gives what Stowage knows: STOWAGE_REGISTRY with STOWAGE_USERNAME and STOWAGE_PASSWORD, and the files of docker and podman. What it is given it keeps in podman\'s file.',
  places: [{ name: "ACTION", completes: ACTIONS }],
  shared: [],
  examples: [{ line: "auth helper list" }, { line: "auth helper get < host.txt" }],
  run: runHelper,
};

async function runHelper(call: Call): Promise<number> {
  const { world, args } = call;
  const action = ACTIONS.find((known) => known === args.places[0]);
  try {
    const answer = await answerTo(action ?? null, call);
    if (answer === null) return fail(call, NOT_FOUND);
    world.stdout.write(answer);
    return EXIT.ok;
  } catch (error) {
    return fail(call, error instanceof Error ? error.message : String(error));
  }
}

/** Docker reads standard output for what went wrong as well. */
function fail({ world }: Call, message: string): number {
  world.stdout.write(`${message}\n`);
  return EXIT.failed;
}

async function answerTo(action: (typeof ACTIONS)[number] | null, { world }: Call): Promise<string | null> {
  const { read, write } = storesOf(world);
  if (action === "list") {
    const all = await read.list();
    return `${JSON.stringify(Object.fromEntries(all.map(({ key, username }) => [key, username ?? "<token>"])))}\n`;
  }
  const input = (await readInput(world.stdin, INPUT_BYTES_MAX)).trim();
  switch (action) {
    case "get": {
      const credentials = await read.get(input);
      return credentials === null ? null : `${JSON.stringify(helperAnswer(input, credentials))}\n`;
    }
    case "store": {
      const { server, credentials } = parseStored(input);
      await write.put(server, credentials);
      return "";
    }
    case "erase":
      await write.delete(input);
      return "";
    case null:
      throw new Error(`wanted one of ${ACTIONS.join(", ")}`);
    default:
      return action satisfies never;
  }
}

/**
 * Docker writes its own file after it has called us, from what it read before: what we would put there is lost. So the place is
 * podman's. And no helper is run from a helper, which could be this one.
 */
function storesOf({ env, homeDir }: Call["world"]): {
  readonly read: CredentialStore;
  readonly write: CredentialStore;
} {
  const config = env.XDG_CONFIG_HOME ?? "";
  const folder = config === "" ? join(homeDir, ".config") : config;
  const authFile = env.REGISTRY_AUTH_FILE ?? join(folder, "containers", "auth.json");
  const always = { env, homeDir, useHelpers: false };
  return { read: createCredentialStore(always), write: createCredentialStore({ ...always, authFile }) };
}

function parseStored(text: string): { readonly server: string; readonly credentials: Credentials } {
  const {
    ServerURL: server,
    Username: username,
    Secret: secret,
  } = JSON.parse(text) as Readonly<Record<string, unknown>>;
  if (
    typeof server !== "string" ||
    typeof username !== "string" ||
    typeof secret !== "string" ||
    server === ""
  )
    throw new Error("wanted a JSON object with ServerURL, Username and Secret");
  const credentials: Credentials =
    username === "<token>"
      ? { kind: "identity-token", token: secret }
      : { kind: "password", username, password: secret };
  return { server, credentials };
}
