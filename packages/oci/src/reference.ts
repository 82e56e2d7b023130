import { type Digest, parseDigest } from "./digest.ts";
import { RegistryError } from "./errors.ts";
import { parseTag, type Tag } from "./tag.ts";

/** `<reference>` of the manifest endpoints: a tag or a digest. */
export type Reference =
  { readonly kind: "tag"; readonly tag: Tag } | { readonly kind: "digest"; readonly digest: Digest };

/**
 * Reads a `<reference>`. Text with a colon can only be a digest, because a tag has none.
 * @throws RegistryError DIGEST_INVALID or TAG_INVALID
 */
export function requireReference(text: string): Reference {
  if (text.includes(":")) return { kind: "digest", digest: requireDigest(text) };
  return { kind: "tag", tag: requireTag(text) };
}

/** @throws RegistryError TAG_INVALID */
export function requireTag(text: string): Tag {
  const tag = parseTag(text);
  if (tag !== null) return tag;
  throw new RegistryError("TAG_INVALID", {
    message: `invalid tag ${quote(text)}: wanted 1 to 128 of letters, digits, "_", "." and "-", not starting with "." or "-"`,
  });
}

/** @throws RegistryError DIGEST_INVALID */
export function requireDigest(text: string): Digest {
  const digest = parseDigest(text);
  if (digest !== null) return digest;
  throw new RegistryError("DIGEST_INVALID", {
    message: `invalid digest ${quote(text)}: wanted "sha256:" and 64 or "sha512:" and 128 lower-case hex digits`,
  });
}

/** Client text as it may stand in a message: quoted, control characters escaped, at most 100 characters. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
