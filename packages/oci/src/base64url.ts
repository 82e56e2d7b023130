/** Bytes per step: `String.fromCharCode` takes its characters as arguments, of which there may not be too many. */
const STEP_BYTES = 8_192;

/** Base64url without padding (RFC 4648 section 5), in any runtime. */
export function encodeBase64url(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.byteLength; at += STEP_BYTES) {
    text += String.fromCharCode(...bytes.subarray(at, at + STEP_BYTES));
  }
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The bytes, or null when the text is not base64url; padding is refused, and so are bits that mean nothing. */
export function decodeBase64url(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return null;
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  return encodeBase64url(bytes) === text ? bytes : null;
}
