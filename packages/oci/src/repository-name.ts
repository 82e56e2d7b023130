declare const brand: unique symbol;

/** A repository name. Only {@link parseRepositoryName} makes one. */
export type RepositoryName = string & { readonly [brand]: "RepositoryName" };

/** Longest name, in characters. The specification asks clients to expect 255 for host and name together. */
export const REPOSITORY_NAME_LENGTH_MAX = 255;

/** OCI Distribution Specification, "Pulling manifests": the grammar of `<name>`. */
export const REPOSITORY_NAME_SYNTAX =
  /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;

/** `text` as a name, or null. The length is checked first, so the expression never sees a long hostile text. */
export function parseRepositoryName(text: string): RepositoryName | null {
  if (text.length > REPOSITORY_NAME_LENGTH_MAX || !REPOSITORY_NAME_SYNTAX.test(text)) return null;
  return text as RepositoryName;
}
