import type { Credentials } from "../credentials.ts";

/** The name that stands for: the secret is an identity token (docker-credential-helpers). */
export const TOKEN_USERNAME = "<token>";

/** Members of an entry that are secrets or belong to one. */
const SECRET_MEMBERS: readonly string[] = ["auth", "identitytoken", "registrytoken", "username", "password"];

export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export type EntryResult =
  | { readonly ok: true; readonly credentials: Credentials | null }
  | { readonly ok: false; readonly problem: string };

/**
 * Reads an entry of `auths`. An entry without a secret is what docker leaves behind when a helper has it. A problem never
 * quotes what is in the entry.
 */
export function parseAuthEntry(entry: unknown): EntryResult {
  if (!isJsonObject(entry)) return { ok: false, problem: "is not an object" };
  const { auth, identitytoken, registrytoken, username, password } = entry;
  // As docker does it: a token that is sent as it is comes before one that is changed for another.
  if (isText(registrytoken)) return found({ kind: "registry-token", token: registrytoken });
  if (isText(identitytoken)) return found({ kind: "identity-token", token: identitytoken });
  if (isText(auth)) return parseAuth(auth);
  if (isText(username) && isText(password)) return found(credentialsOf(username, password));
  return { ok: true, credentials: null };
}

/** A name and a secret, as helpers and `auth` have them. */
export function credentialsOf(username: string, secret: string): Credentials {
  return username === TOKEN_USERNAME
    ? { kind: "identity-token", token: secret }
    : { kind: "password", username, password: secret };
}

/** The entry with other credentials; whatever else somebody keeps in it stays. */
export function withCredentials(entry: unknown, credentials: Credentials | null): JsonObject {
  const kept = Object.entries(isJsonObject(entry) ? entry : {}).filter(
    ([name]) => !SECRET_MEMBERS.includes(name),
  );
  return { ...Object.fromEntries(kept), ...(credentials === null ? {} : membersOf(credentials)) };
}

function membersOf(credentials: Credentials): JsonObject {
  switch (credentials.kind) {
    case "password":
      return { auth: encodeAuth(credentials.username, credentials.password) };
    case "identity-token":
      // Podman skips an entry that has no `auth`; the name says nothing.
      return { auth: encodeAuth(TOKEN_USERNAME, ""), identitytoken: credentials.token };
    case "registry-token":
      return { registrytoken: credentials.token };
    default:
      return credentials satisfies never;
  }
}

function encodeAuth(username: string, password: string): string {
  const bytes = new TextEncoder().encode(`${username}:${password}`);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

function parseAuth(auth: string): EntryResult {
  let text: string;
  try {
    const bytes = Uint8Array.from(atob(auth.trim()), (character) => character.charCodeAt(0));
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { ok: false, problem: "has an `auth` that is not base64 of a name, a colon and a password" };
  }
  const colon = text.indexOf(":");
  if (colon <= 0) return { ok: false, problem: "has an `auth` without a name or without a colon" };
  // Old dockers filled the text up with zeros.
  return found(credentialsOf(text.slice(0, colon), text.slice(colon + 1).replace(/\0+$/, "")));
}

function found(credentials: Credentials): EntryResult {
  return { ok: true, credentials };
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}
