const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** Base64url without padding (RFC 4648 section 5) as ASCII, in any runtime. For megabytes: `btoa` takes text. */
export function base64urlBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const encoded = new Uint8Array(Math.ceil((bytes.byteLength * 4) / 3));
  let to = 0;
  for (let at = 0; at < bytes.byteLength; at += 3) {
    const three = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    // What is beyond the end of the last group is not kept: writes outside a typed array do nothing.
    encoded[to++] = ALPHABET.charCodeAt(three >> 18);
    encoded[to++] = ALPHABET.charCodeAt((three >> 12) & 63);
    encoded[to++] = ALPHABET.charCodeAt((three >> 6) & 63);
    encoded[to++] = ALPHABET.charCodeAt(three & 63);
  }
  return encoded;
}

/** Base64url without padding (RFC 4648 section 5). */
export function encodeBase64url(bytes: Uint8Array): string {
  return new TextDecoder().decode(base64urlBytes(bytes));
}

/** The bytes, or null when the text is not base64url; padding is refused, and so are bits that mean nothing. */
export function decodeBase64url(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return null;
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  return encodeBase64url(bytes) === text ? bytes : null;
}
