/** What somebody signs in with. */
export type Credentials =
  | { readonly kind: "password"; readonly username: string; readonly password: string }
  /** A refresh token of the registry's token endpoint; docker's `identitytoken`. */
  | { readonly kind: "identity-token"; readonly token: string }
  /** A token that is sent as it is. */
  | { readonly kind: "registry-token"; readonly token: string };

/** Finds what to sign in to a registry with, or null: as nobody. Asked once per registry, and only after it said 401. */
export type CredentialLookup = (registry: string) => Promise<Credentials | null>;

/** `Authorization` of RFC 7617, in UTF-8. */
export function basicAuthorization(username: string, password: string): string {
  const bytes = new TextEncoder().encode(`${username}:${password}`);
  return `Basic ${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))}`;
}
