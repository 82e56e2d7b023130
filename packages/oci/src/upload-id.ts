declare const brand: unique symbol;

/** Id of an upload session: 128 random bits in lower-case hexadecimal, so it cannot be guessed. */
export type UploadId = string & { readonly [brand]: "UploadId" };

export const UPLOAD_ID_SYNTAX = /^[0-9a-f]{32}$/;

/** `text` as an upload id, or null. Uuids with dashes are not ours and therefore unknown. */
export function parseUploadId(text: string): UploadId | null {
  return UPLOAD_ID_SYNTAX.test(text) ? (text as UploadId) : null;
}

export function randomUploadId(): UploadId {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("") as UploadId;
}
