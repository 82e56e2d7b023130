import { readSettings } from "@stowage/server/config/settings";
import { type Call, callWith } from "../api-client.ts";
import { type Arguments, UsageError } from "../arguments.ts";
import { openLocalServer } from "../local-server.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export interface Connection extends AsyncDisposable {
  readonly call: Call;
}

/** Reaches the registry: at an address, or through its data folder. @throws UsageError, Error */
export async function connect(args: Arguments, env: Environment): Promise<Connection> {
  const server = args.get("server");
  const dataDir = args.get("data-dir");
  if (server !== null && dataDir !== null) throw new UsageError("--server and --data-dir exclude each other");
  if (server !== null) return connectTo(server, env);
  const folder = dataDir === null ? [] : ["--data-dir", dataDir];
  const result = readSettings({ args: folder, env });
  if (!result.ok) throw new UsageError(result.problems.join("; "));
  return await openLocalServer(result.settings);
}

function connectTo(address: string, env: Environment): Connection {
  const url = URL.parse(address.includes("://") ? address : `https://${address}`);
  if (url === null || !/^https?:$/.test(url.protocol) || url.pathname !== "/" || url.username !== "") {
    throw new UsageError(`--server is "${address}"; wanted an address such as https://registry.example.com`);
  }
  const isHere = /^(?:localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname);
  if (url.protocol === "http:" && !isHere) {
    throw new UsageError(
      `--server is "${address}"; wanted https: a password must not cross a network in the clear`,
    );
  }
  const authorization = credentials(env);
  const headers = authorization === null ? {} : { Authorization: authorization };
  return {
    call: callWith(async (request) => await fetch(request), { root: url.origin, headers }),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** From the environment: what stands in arguments can be read by every process of the machine. */
function credentials(env: Environment): string | null {
  const { STOWAGE_TOKEN: token, STOWAGE_USERNAME: name, STOWAGE_PASSWORD: password } = env;
  if (token !== undefined && token !== "") {
    if (!/^[!-~]+$/.test(token)) throw new UsageError("STOWAGE_TOKEN has characters that are in no token");
    return `Bearer ${token}`;
  }
  if (name === undefined || password === undefined) return null;
  return `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;
}
