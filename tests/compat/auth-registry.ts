import { join } from "node:path";
import { RegistryProcess, type RegistryProcessOptions } from "../support/registry-process.ts";

/** Password of every person that a test makes, with what clients might write down or send otherwise. */
export const PASSWORD = "correct: hörse +&=%20 battery";

/**
 * A registry with accounts: `alice` writes to team/** and public/**, and reads library/**; `mary` maintains everything;
 * anybody reads public/**.
 */
export async function startWithAccounts(options: RegistryProcessOptions = {}): Promise<RegistryProcess> {
  const registry = await RegistryProcess.start({
    ...options,
    args: ["--auth", "accounts", ...(options.args ?? [])],
  });
  for (const name of ["alice", "mary"])
    await manage(registry, "POST", "/users", { name, password: PASSWORD });
  await setRules(registry, [
    ["user:alice", "team/**", "writer"],
    ["user:alice", "public/**", "writer"],
    ["user:alice", "library/**", "reader"],
    ["user:mary", "**", "maintainer"],
    ["anonymous", "public/**", "reader"],
  ]);
  return registry;
}

/** Sets the access rules: `[who, repositories, may]` each. */
export async function setRules(
  registry: RegistryProcess,
  rules: readonly (readonly [who: string, repositories: string, may: string])[],
): Promise<void> {
  await manage(registry, "PUT", "/access", {
    rules: rules.map(([who, repositories, may]) => ({
      who: [who],
      repositories: [repositories],
      may: [may],
    })),
  });
}

export interface RobotToken {
  readonly id: string;
  readonly secret: string;
}

/** Makes a robot that writes to the repositories, and a token of it. */
export async function createRobot(
  registry: RegistryProcess,
  name: string,
  repositories: string,
): Promise<RobotToken> {
  const grants = [{ repositories: [repositories], may: ["writer"] }];
  await manage(registry, "POST", "/robots", { name, grants });
  return await createRobotToken(registry, name);
}

/** Another token of a robot; without `expiresIn`, in seconds, it has no end. */
export async function createRobotToken(
  registry: RegistryProcess,
  name: string,
  expiresIn?: number,
): Promise<RobotToken> {
  const body = { label: "test", ...(expiresIn === undefined ? {} : { expiresIn }) };
  return (await manage(registry, "POST", `/robots/${name}/tokens`, body)) as RobotToken;
}

/** Asks the management API by the socket in the data folder, as its owner. @throws Error unless it says yes */
export async function manage(
  registry: RegistryProcess,
  method: "GET" | "POST" | "PUT" | "DELETE",
  path: string,
  body?: unknown,
): Promise<unknown> {
  const response = await fetch(`http://stowage/api/v1${path}`, {
    method,
    unix: join(registry.dataDir, "stowage.sock"),
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text === "" ? null : JSON.parse(text);
}

/** The header by which somebody signs in directly. */
export function basicHeader(name: string, password: string = PASSWORD): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;
}

/** A registry token, by the token endpoint. @throws Error unless it gives one */
export async function registryToken(
  registry: Pick<RegistryProcess, "url">,
  authorization: string,
  ...scopes: readonly string[]
): Promise<string> {
  const query = scopes.map((scope) => `&scope=${encodeURIComponent(scope)}`).join("");
  const headers = { Authorization: authorization };
  const response = await fetch(`${registry.url}/token?service=stowage${query}`, { headers });
  if (!response.ok) throw new Error(`no token: ${response.status} ${await response.text()}`);
  const { token } = (await response.json()) as { readonly token: string };
  return token;
}
