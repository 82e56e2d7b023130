import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { storeOf } from "../client.ts";
import { requireHost } from "../registry-host.ts";

export const LOGOUT: Command = {
  about: "Forgets what `stowage login` or `docker login` keeps for a registry.",
  places: [{ name: "HOST", completes: "registry" }],
  options: {
    authfile: { value: "FILE", help: "credentials as docker and podman keep them (REGISTRY_AUTH_FILE)" },
  },
  shared: [],
  examples: [{ line: "logout localhost:5000" }],
  run: runLogout,
};

async function runLogout(call: Call): Promise<number> {
  const registry = requireHost(call.args.places[0] ?? "");
  const store = storeOf(call);
  const wasThere = await store.delete(registry);
  call.say(wasThere ? `signed out of ${registry}` : `not signed in to ${registry}`);
  // Podman's file, for example: it is read, and left to podman.
  const other = await store.find(registry).catch(() => null);
  if (other !== null) call.warn(`warning: ${other.where} still has credentials of ${registry}`);
  return EXIT.ok;
}
