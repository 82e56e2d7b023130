import { ClientError } from "../client-error.ts";
import type { Credentials } from "../credentials.ts";
import { isJsonObject, type JsonObject, parseAuthEntry, withCredentials } from "./auth-entry.ts";
import { normalizeAuthKey, storedAuthKey } from "./auth-key.ts";
import { editFile, readSmallFile } from "./replace-file.ts";

/** What somebody signs in with, of one place. */
export interface AuthEntry {
  /** Registry, or registry and namespace. */
  readonly key: string;
  readonly credentials: Credentials;
}

/** A `config.json` of docker or an `auth.json` of podman: the parts that are about credentials. */
export class AuthFile {
  readonly path: string;
  readonly #root: JsonObject;

  private constructor(path: string, root: JsonObject) {
    this.path = path;
    this.#root = root;
  }

  /** The file, or null when there is none. @throws ClientError that names it */
  static async read(path: string): Promise<AuthFile | null> {
    const text = await readSmallFile(path);
    return text === null ? null : new AuthFile(path, parseRoot(path, text));
  }

  /**
   * Name of the helper that a registry's credentials are kept by: its own, or the one for all. Null: none, they are in the file.
   * @throws ClientError
   */
  helperFor(registry: string): string | null {
    const wanted = normalizeAuthKey(registry);
    const own = Object.entries(this.#section("credHelpers")).find(
      ([key]) => normalizeAuthKey(key) === wanted,
    );
    const helper = own?.[1] ?? this.#root.credsStore ?? "";
    if (typeof helper !== "string") throw this.#wrong("names a credential helper that is not text");
    return helper === "" ? null : helper;
  }

  /** The helper for all registries, or null. */
  get helperForAll(): string | null {
    const { credsStore } = this.#root;
    return typeof credsStore === "string" && credsStore !== "" ? credsStore : null;
  }

  /** Registries that have a helper of their own, and its name. @throws ClientError */
  ownHelpers(): readonly (readonly [key: string, helper: string])[] {
    return Object.entries(this.#section("credHelpers")).flatMap(([key, name]) =>
      typeof name === "string" && name !== "" ? [[normalizeAuthKey(key), name] as const] : [],
    );
  }

  /** What the file itself has under the first of `keys`. @throws ClientError */
  find(keys: readonly string[]): Credentials | null {
    const auths = Object.entries(this.#section("auths"));
    for (const wanted of keys) {
      // As it is first: another spelling is left from an older login.
      const spellings = auths
        .filter(([key]) => normalizeAuthKey(key) === wanted)
        .toSorted(([a], [b]) => Number(b === storedAuthKey(wanted)) - Number(a === storedAuthKey(wanted)));
      for (const [key, entry] of spellings) {
        const credentials = this.#parse(key, entry);
        if (credentials !== null) return credentials;
      }
    }
    return null;
  }

  /** Everything the file itself has. @throws ClientError */
  entries(): readonly AuthEntry[] {
    return Object.entries(this.#section("auths")).flatMap(([key, entry]) => {
      const credentials = this.#parse(key, entry);
      return credentials === null ? [] : [{ key: normalizeAuthKey(key), credentials }];
    });
  }

  #parse(key: string, entry: unknown): Credentials | null {
    const result = parseAuthEntry(entry);
    if (result.ok) return result.credentials;
    throw this.#wrong(`has an entry ${JSON.stringify(key.slice(0, 300))} that ${result.problem}`);
  }

  #section(name: string): JsonObject {
    const section = Object.hasOwn(this.#root, name) ? this.#root[name] : null;
    if (section === null) return {};
    if (!isJsonObject(section)) throw this.#wrong(`has ${name} that is not an object`);
    return section;
  }

  #wrong(what: string): ClientError {
    return new ClientError("invalid", `${this.path} ${what}`);
  }
}

/** Puts credentials into the file; everything else in it stays. @throws ClientError */
export async function putAuthEntry(path: string, registry: string, credentials: Credentials): Promise<void> {
  const key = storedAuthKey(registry);
  await editFile(path, (text) => {
    const root = text === null ? {} : parseRoot(path, text);
    const auths = authsOf(path, root);
    return format({ ...root, auths: { ...auths, [key]: withCredentials(auths[key], credentials) } });
  });
}

/** Takes every spelling of the registry out of the file; whether there was one. @throws ClientError */
export async function dropAuthEntry(path: string, registry: string): Promise<boolean> {
  // No folder is made for a file that has nothing to lose.
  if ((await readSmallFile(path)) === null) return false;
  const wanted = normalizeAuthKey(registry);
  let dropped = false;
  await editFile(path, (text) => {
    if (text === null) return null;
    const root = parseRoot(path, text);
    const auths = Object.entries(authsOf(path, root));
    const kept = auths.filter(([key]) => normalizeAuthKey(key) !== wanted);
    dropped = kept.length < auths.length;
    return dropped ? format({ ...root, auths: Object.fromEntries(kept) }) : null;
  });
  return dropped;
}

function authsOf(path: string, root: JsonObject): JsonObject {
  const auths = Object.hasOwn(root, "auths") ? root.auths : {};
  if (auths === null) return {};
  if (!isJsonObject(auths)) throw new ClientError("invalid", `${path} has auths that is not an object`);
  return auths;
}

function parseRoot(path: string, text: string): JsonObject {
  const bare = text.replace(/^\uFEFF/, "");
  // Docker reads an empty file as an empty configuration.
  if (bare.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(bare);
    if (isJsonObject(value)) return value;
  } catch {
    // Without what the parser says: it quotes the file, which has passwords.
    throw new ClientError("invalid", `${path} is not JSON`);
  }
  throw new ClientError("invalid", `${path} is not a JSON object`);
}

/** As docker writes it. */
function format(root: JsonObject): string {
  return JSON.stringify(root, null, "\t");
}
