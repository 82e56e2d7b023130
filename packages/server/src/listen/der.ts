/** One value of the Distinguished Encoding Rules (X.690). */
export interface DerValue {
  /** Class, constructed bit and number, as in the first byte. */
  readonly tag: number;
  readonly content: Uint8Array;
}

export const DER = { oid: 0x06, sequence: 0x30, set: 0x31 } as const;

/**
 * The values that follow each other in `bytes`; null when they do not fill it exactly. Only lengths that X.509
 * certificates have (definite, below 2^32) and tags of one byte are understood.
 */
export function readDer(bytes: Uint8Array): readonly DerValue[] | null {
  const values: DerValue[] = [];
  for (let at = 0; at < bytes.length;) {
    const [tag, first] = [bytes[at], bytes[at + 1]];
    if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) return null;
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    if (first === 0x80 || lengthBytes > 4) return null;
    let length = lengthBytes === 0 ? first : 0;
    for (let index = 0; index < lengthBytes; index++) length = length * 256 + (bytes[at + 2 + index] ?? 0);
    const start = at + 2 + lengthBytes;
    if (start + length > bytes.length) return null;
    values.push({ tag, content: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return values;
}
