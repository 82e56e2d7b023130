declare const brand: unique symbol;

/**
 * A content digest, `<algorithm>:<lower-case hex>`, of an algorithm this registry can verify.
 * Only {@link parseDigest} and {@link digestFromHex} make one.
 */
export type Digest = string & { readonly [brand]: "Digest" };

/** Algorithms that the image specification registers and this registry computes. */
export const DIGEST_ALGORITHMS = ["sha256", "sha512"] as const;
export type DigestAlgorithm = (typeof DIGEST_ALGORITHMS)[number];

const HEX_LENGTH: Readonly<Record<DigestAlgorithm, number>> = { sha256: 64, sha512: 128 };
const LOWER_HEX = /^[0-9a-f]+$/;

/** The algorithm named by `text`, or null. */
export function parseDigestAlgorithm(text: string): DigestAlgorithm | null {
  return DIGEST_ALGORITHMS.find((algorithm) => algorithm === text) ?? null;
}

/** `sha256:` with 64 or `sha512:` with 128 lower-case hex digits; anything else is null. */
export function parseDigest(text: string): Digest | null {
  const algorithm = text.startsWith("sha256:") ? "sha256" : text.startsWith("sha512:") ? "sha512" : null;
  return algorithm === null ? null : digestFromHex(algorithm, text.slice(7));
}

/** A digest from its two halves, or null when `hex` is not of the algorithm's length and lower case. */
export function digestFromHex(algorithm: DigestAlgorithm, hex: string): Digest | null {
  if (hex.length !== HEX_LENGTH[algorithm] || !LOWER_HEX.test(hex)) return null;
  return `${algorithm}:${hex}` as Digest;
}

export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.startsWith("sha256:") ? "sha256" : "sha512";
}

/** The hexadecimal half. */
export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(":") + 1);
}
