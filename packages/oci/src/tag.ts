declare const brand: unique symbol;

/** A tag. Only {@link parseTag} makes one. */
export type Tag = string & { readonly [brand]: "Tag" };

/** OCI Distribution Specification, "Pulling manifests": the grammar of a tag, at most 128 characters. */
export const TAG_SYNTAX = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

/** `text` as a tag, or null. */
export function parseTag(text: string): Tag | null {
  return TAG_SYNTAX.test(text) ? (text as Tag) : null;
}
