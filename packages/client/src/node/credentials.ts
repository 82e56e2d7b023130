import { join } from "node:path";
import { ClientError } from "../client-error.ts";
import type { Credentials } from "../credentials.ts";
import { TOKEN_USERNAME } from "./auth-entry.ts";
import { AuthFile, dropAuthEntry, putAuthEntry } from "./auth-file.ts";
import { authKeysFor, normalizeAuthKey, storedAuthKey } from "./auth-key.ts";
import { CredentialHelper } from "./credential-helper.ts";

export interface CredentialStoreOptions {
  /** Environment variables: where the files are, and credentials of the one registry. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly homeDir: string;
  /** The one file to read and write, instead of those that docker and podman have. */
  readonly authFile?: string | undefined;
  /**
   * Registries that somebody named. `STOWAGE_USERNAME`, `_PASSWORD` and `_TOKEN` are for `STOWAGE_REGISTRY`; when that is not
   * set, for the registry named here if it is only one. They are never sent to another: a copy from a foreign registry, or an
   * address in a manifest, must not get them.
   */
  readonly registries?: readonly string[] | undefined;
  /** False: the files alone. For a process that is a helper itself, which must not end up running itself. Default true. */
  readonly useHelpers?: boolean;
}

/** Our own helper (`stowage auth helper`): it keeps what it gets in a file. */
const OWN_HELPER = "stowage";

export interface StoredCredentials {
  /** Registry, or registry and namespace. */
  readonly key: string;
  /** Null: a token, which has none. */
  readonly username: string | null;
  /** A file, a helper, or `environment`. */
  readonly where: string;
}

export interface FoundCredentials {
  readonly credentials: Credentials;
  readonly where: string;
}

export interface KeptCredentials {
  /** A file or a helper. */
  readonly where: string;
  /** False: whoever can read the file can read the password. */
  readonly isEncrypted: boolean;
}

/** Where credentials of registries are kept: what docker and podman know, this one knows as well. */
export interface CredentialStore {
  /** The first that is found for the repository, or for the registry. @throws ClientError that names the file or the helper */
  get(registry: string, repository?: string): Promise<Credentials | null>;
  /** As `get`, and says where. */
  find(registry: string, repository?: string): Promise<FoundCredentials | null>;
  /** Keeps credentials for a registry, or `registry/namespace`; the place tells whether it is a file, which has them as they are. */
  put(registry: string, credentials: Credentials): Promise<KeptCredentials>;
  /** Takes them from the place where `put` keeps them; false: there were none. */
  delete(registry: string): Promise<boolean>;
  list(): Promise<readonly StoredCredentials[]>;
}

/**
 * First hit wins: the environment; `authFile`, `REGISTRY_AUTH_FILE`; docker's `config.json`; podman's `auth.json`. Within a file
 * its helper for the registry, its helper for all, then the file.
 */
export function createCredentialStore(options: CredentialStoreOptions): CredentialStore {
  const files = filesOf(options);
  const [first] = files;

  function helperOf(file: AuthFile | null, registry: string): CredentialHelper | null {
    const name = options.useHelpers === false ? null : (file?.helperFor(registry) ?? null);
    return name === null || file === null ? null : helperNamed(name, file);
  }

  const helperNamed = (name: string, file: AuthFile) =>
    new CredentialHelper(name, { env: options.env, where: file.path });

  async function find(registry: string, repository?: string): Promise<FoundCredentials | null> {
    const own = environmentCredentials(options, registry);
    if (own !== null) return { credentials: own, where: "environment" };
    for (const path of files) {
      const file = requireNamed(await AuthFile.read(path), path, options);
      const helper = helperOf(file, registry);
      const kept = (await helper?.get(storedAuthKey(registry))) ?? null;
      if (helper !== null && kept !== null) return { credentials: kept, where: helper.program };
      const credentials = file?.find(authKeysFor(registry, repository ?? null)) ?? null;
      if (credentials !== null) return { credentials, where: path };
    }
    return null;
  }

  async function put(registry: string, credentials: Credentials): Promise<KeptCredentials> {
    if (credentials.kind === "password" && credentials.username.includes(":"))
      throw invalid("a user name with a colon cannot be kept");
    const helper = helperOf(await AuthFile.read(first), registry);
    if (helper === null) {
      await putAuthEntry(first, registry, credentials);
      return { where: first, isEncrypted: false };
    }
    await helper.store(storedAuthKey(registry), credentials);
    // What was in the file before is old, and readable.
    await dropAuthEntry(first, registry);
    return { where: helper.program, isEncrypted: helper.program !== `docker-credential-${OWN_HELPER}` };
  }

  async function deleteFrom(registry: string): Promise<boolean> {
    const helper = helperOf(await AuthFile.read(first), registry);
    const erased = helper !== null && (await eraseFrom(helper, storedAuthKey(registry)));
    return (await dropAuthEntry(first, registry)) || erased;
  }

  async function list(): Promise<readonly StoredCredentials[]> {
    const all: StoredCredentials[] = [];
    for (const path of files) {
      const file = requireNamed(await AuthFile.read(path), path, options);
      if (file === null) continue;
      // Helpers for one registry often cannot list; what they are for is known.
      for (const [key, name] of options.useHelpers === false ? [] : file.ownHelpers())
        all.push({ key, username: null, where: `docker-credential-${name}` });
      const name = options.useHelpers === false ? null : file.helperForAll;
      const helper = name === null ? null : helperNamed(name, file);
      for (const [server, username] of (await helper?.list()) ?? [])
        all.push({
          key: normalizeAuthKey(server),
          username: nameOf(username),
          where: helper?.program ?? path,
        });
      for (const { key, credentials } of file.entries())
        all.push({ key, username: usernameOf(credentials), where: path });
    }
    return all;
  }

  return {
    find,
    get: async (registry, repository) => (await find(registry, repository))?.credentials ?? null,
    put,
    delete: deleteFrom,
    list,
  };
}

/** Helpers differ in what they say when there is nothing to erase, so it is asked first. */
async function eraseFrom(helper: CredentialHelper, server: string): Promise<boolean> {
  return (await helper.get(server)) !== null && (await helper.erase(server));
}

/** Somebody who names a file wants to sign in with it. @throws ClientError */
function requireNamed(
  file: AuthFile | null,
  path: string,
  { authFile }: CredentialStoreOptions,
): AuthFile | null {
  if (file === null && path === authFile) throw new ClientError("invalid", `there is no file ${path}`);
  return file;
}

/** Files in the order in which they are read; the first is written. */
function filesOf({ env, homeDir, authFile }: CredentialStoreOptions): readonly [string, ...string[]] {
  const only = authFile ?? textOf(env.REGISTRY_AUTH_FILE);
  if (only !== null) return [only];
  const runtime = textOf(env.XDG_RUNTIME_DIR);
  const config = textOf(env.XDG_CONFIG_HOME) ?? join(homeDir, ".config");
  return [
    join(textOf(env.DOCKER_CONFIG) ?? join(homeDir, ".docker"), "config.json"),
    ...new Set([
      ...(runtime === null ? [] : [join(runtime, "containers", "auth.json")]),
      join(config, "containers", "auth.json"),
      join(homeDir, ".config", "containers", "auth.json"),
    ]),
  ];
}

/** @throws ClientError `invalid` when the environment says half of it */
function environmentCredentials(
  { env, registries = [] }: CredentialStoreOptions,
  registry: string,
): Credentials | null {
  const named = textOf(env.STOWAGE_REGISTRY);
  const meant = new Set((named === null ? registries : [named]).map(normalizeAuthKey));
  if (meant.size !== 1 || !meant.has(normalizeAuthKey(registry))) return null;
  const token = textOf(env.STOWAGE_TOKEN);
  if (token !== null) {
    if (!/^[!-~]+$/.test(token)) throw invalid("STOWAGE_TOKEN has characters that are in no token");
    return { kind: "registry-token", token };
  }
  const username = textOf(env.STOWAGE_USERNAME);
  const password = textOf(env.STOWAGE_PASSWORD);
  if (username === null && password === null) return null;
  if (username === null) throw invalid("STOWAGE_PASSWORD is set but STOWAGE_USERNAME is not");
  if (password === null) throw invalid("STOWAGE_USERNAME is set but STOWAGE_PASSWORD is not");
  if (username.includes(":")) throw invalid("STOWAGE_USERNAME has a colon, which no name has");
  return { kind: "password", username, password };
}

function usernameOf(credentials: Credentials): string | null {
  return credentials.kind === "password" ? credentials.username : null;
}

function nameOf(username: string): string | null {
  return username === TOKEN_USERNAME ? null : username;
}

function textOf(value: string | undefined): string | null {
  return value === undefined || value === "" ? null : value;
}

function invalid(message: string): ClientError {
  return new ClientError("invalid", message);
}
