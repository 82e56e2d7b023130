import { ClientError } from "@stowage/client/client-error";
import type { CredentialLookup, Credentials } from "@stowage/client/credentials";
import { type CredentialStore, createCredentialStore } from "@stowage/client/node/credentials";
import { type Fetch, isLoopback, RegistryClient } from "@stowage/client/registry-client";
import { type Exchange, traced } from "@stowage/client/traced-fetch";
import { type Arguments, UsageError } from "./arguments.ts";
import type { Call } from "./command.ts";
import { readSecret } from "./secret-input.ts";
import { VERSION_NUMBER } from "./version-line.ts";

export interface ClientExtra {
  /** In place of options, environment and files. */
  readonly credentials?: CredentialLookup;
  /** Sees every request, for what the library has no word for. */
  readonly around?: (send: Fetch) => Fetch;
}

/**
 * A client of the registries that somebody named: what `--username`, STOWAGE_USERNAME and --plain-http say is for them, and for
 * no other that a manifest or a redirect may name. @throws UsageError
 */
export async function openClient(
  call: Call,
  registries: readonly string[],
  { credentials, around = (send) => send }: ClientExtra = {},
): Promise<RegistryClient> {
  const { args, world, warn } = call;
  const named = new Set(registries);
  const isPlain = args.has("plain-http");
  const tls = await readTls(args);
  // Whoever says how certificates are checked means that there are some, on this machine as well.
  const wantsTls = args.has("ca-cert") || args.has("insecure");
  if (isPlain && wantsTls) throw new UsageError("--plain-http has no certificate to check");
  // Bun ends a request after five minutes by itself; a large blob takes longer.
  const send: Fetch = around((request) =>
    world.fetch(request, { timeout: false, ...tls } as BunFetchRequestInit),
  );
  return new RegistryClient({
    credentials: credentials ?? (await credentialsOf(call, [...named])),
    isPlainHttp: (registry) => (isLoopback(registry) && !wantsTls) || (isPlain && named.has(registry)),
    fetch: args.has("debug") ? traced(send, (exchange) => warn(formatExchange(exchange))) : send,
    userAgent: `stowage/${VERSION_NUMBER}`,
    onWarning: ({ registry, text }) => warn(`warning: ${registry}: ${text}`),
  });
}

async function credentialsOf(
  { args, world }: Call,
  registries: readonly string[],
): Promise<CredentialLookup> {
  const store = storeOf({ args, world }, registries);
  const username = args.get("username");
  if (username === null) {
    if (args.has("password-stdin")) throw new UsageError("--password-stdin needs --username");
    return (registry) => store.get(registry);
  }
  const [registry, ...others] = registries;
  if (registry === undefined || others.length > 0) {
    throw new UsageError("--username is for one registry; sign in to several with `stowage login`");
  }
  const given = await passwordOf({ args, world }, username);
  return async (asked) => (asked === registry ? given : await store.get(asked));
}

/** Where credentials are kept, as the options and the environment say. */
export function storeOf(
  { args, world }: Pick<Call, "args" | "world">,
  registries: readonly string[] = [],
): CredentialStore {
  return createCredentialStore({
    env: world.env,
    homeDir: world.homeDir,
    authFile: args.get("authfile") ?? undefined,
    registries,
  });
}

async function passwordOf(
  { args, world }: Pick<Call, "args" | "world">,
  username: string,
): Promise<Credentials> {
  const password = args.has("password-stdin") ? await readSecret(world.stdin) : world.env.STOWAGE_PASSWORD;
  if (password === undefined || password === "") {
    throw new UsageError("--username needs --password-stdin, or STOWAGE_PASSWORD");
  }
  return { kind: "password", username, password };
}

async function readTls(args: Arguments): Promise<Pick<BunFetchRequestInit, "tls">> {
  const file = args.get("ca-cert");
  if (args.has("insecure")) {
    if (file !== null) throw new UsageError("--insecure and --ca-cert exclude each other");
    return { tls: { rejectUnauthorized: false } };
  }
  if (file === null) return {};
  const pem = await Bun.file(file)
    .text()
    .catch((cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new ClientError("invalid", `--ca-cert: cannot read "${file}": ${why}`, { cause });
    });
  // What is given takes the place of the usual ones otherwise.
  const { rootCertificates } = await import("node:tls");
  return { tls: { ca: [...rootCertificates, pem] } };
}

function formatExchange({ method, url, status, ms, requestHeaders, responseHeaders }: Exchange): string {
  const sent = Object.entries(requestHeaders).map(([name, value]) => `  > ${name}: ${value}`);
  const got = Object.entries(responseHeaders ?? {}).map(([name, value]) => `  < ${name}: ${value}`);
  return [`debug: ${method} ${url}: ${status ?? "no answer"}, ${ms.toFixed(0)} ms`, ...sent, ...got].join(
    "\n",
  );
}
