import { parseImageReference } from "@stowage/client/image-reference";
import { createCredentialStore } from "@stowage/client/node/credentials";
import { openClient } from "./client.ts";
import type { Call, Completes } from "./command.ts";

/** How long somebody who pressed Tab waits, in milliseconds, and how many words help. */
const WAIT_MS = 1_500;
const CANDIDATES_MAX = 500;

/** Tags that refer to other images: nobody types them. */
const MACHINE_TAG = /^sha(?:256|512)-[0-9a-f]{64,128}/;

/** What names of registries, repositories and tags consist of: a shell puts the word into the line as it is. */
const CANDIDATE = /^[\w.:/[\]@-]+$/;

interface Typed {
  readonly current: string;
  /** The first place, which says the repository where tags are typed alone. */
  readonly first: string;
  readonly call: Call;
}

/** Registries, repositories and tags that begin with what is typed; none when nobody answers in time. */
export async function liveCompletions(
  kind: Exclude<Completes, "file" | readonly string[]>,
  { current, first, call }: Typed,
): Promise<readonly string[]> {
  const { env } = call.world;
  const signal = AbortSignal.timeout(WAIT_MS);
  // Nothing may be asked or told here, whatever the registry says.
  const quiet: Call = { ...call, signal, say: () => undefined, warn: () => undefined };
  const found: string[] = [];
  try {
    if (kind === "registry") return (await registriesOf(call)).filter((text) => CANDIDATE.test(text));
    const all = kind === "tag" ? tagsOf(quiet, first, "") : referencesOf(quiet, current, kind);
    for await (const text of all) {
      if (text.startsWith(current) && CANDIDATE.test(text)) found.push(text);
      if (found.length >= CANDIDATES_MAX) break;
    }
  } catch (error) {
    if (env.STOWAGE_COMPLETION_DEBUG !== undefined) call.warn(String(error));
  }
  return found;
}

async function* referencesOf(call: Call, current: string, kind: string): AsyncGenerator<string, void, void> {
  const slash = current.indexOf("/");
  if (slash === -1) {
    for (const registry of await registriesOf(call)) yield `${registry}/`;
    return;
  }
  const colon = current.lastIndexOf(":");
  if (colon > slash) {
    if (kind !== "repository") yield* tagsOf(call, current.slice(0, colon), `${current.slice(0, colon)}:`);
    return;
  }
  const registry = current.slice(0, slash);
  const client = await openClient(call, [registry]);
  for await (const name of client.registry(registry).repositories({ signal: call.signal }))
    yield `${registry}/${name}`;
}

async function* tagsOf(call: Call, repository: string, before: string): AsyncGenerator<string, void, void> {
  const reference = parseImageReference(repository);
  if (reference === null) return;
  const client = await openClient(call, [reference.registry]);
  for await (const tag of client.repository(reference).tags({ signal: call.signal })) {
    if (!MACHINE_TAG.test(tag)) yield `${before}${tag}`;
  }
}

/** Those that somebody signed in to, and this machine. */
async function registriesOf({ world }: Call): Promise<readonly string[]> {
  const store = createCredentialStore({ env: world.env, homeDir: world.homeDir });
  const known = await store.list().catch(() => []);
  const named = world.env.STOWAGE_REGISTRY;
  return [
    ...new Set([
      ...(named === undefined ? [] : [named]),
      ...known.map(({ key }) => key.replace(/\/.*$/s, "")),
      "localhost:5000",
    ]),
  ];
}
