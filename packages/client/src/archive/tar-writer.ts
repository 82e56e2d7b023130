import { formatPaxRecords } from "./pax-records.ts";
import { makeTarHeader, TAR_BLOCK_BYTES, USTAR_NAME_BYTES_MAX, USTAR_SIZE_MAX } from "./tar-header.ts";

/** What ends an archive: two blocks of zeros. */
export const TAR_END: Uint8Array<ArrayBuffer> = new Uint8Array(2 * TAR_BLOCK_BYTES);

/** Name in a pax header's own header block; nobody reads it. */
const PAX_NAME = "pax-header";

/** What stands before the bytes of a file. The same for the same path and size: no time, no owner. */
export function tarHeaderOf(path: string, size: number): Uint8Array<ArrayBuffer> {
  const isLong = new TextEncoder().encode(path).byteLength > USTAR_NAME_BYTES_MAX;
  const records = {
    ...(isLong ? { path } : {}),
    ...(size > USTAR_SIZE_MAX ? { size: String(size) } : {}),
  };
  const short = isLong ? path.slice(-USTAR_NAME_BYTES_MAX / 2) : path;
  const header = makeTarHeader(short, size, "0");
  if (Object.keys(records).length === 0) return header;
  const pax = formatPaxRecords(records);
  const padded = new Uint8Array(
    TAR_BLOCK_BYTES + pax.byteLength + tarPaddingOf(pax.byteLength) + TAR_BLOCK_BYTES,
  );
  padded.set(makeTarHeader(PAX_NAME, pax.byteLength, "x"));
  padded.set(pax, TAR_BLOCK_BYTES);
  padded.set(header, padded.byteLength - TAR_BLOCK_BYTES);
  return padded;
}

/** How many zero bytes follow the bytes of a file of `size` bytes. */
export function tarPaddingOf(size: number): number {
  return (TAR_BLOCK_BYTES - (size % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES;
}

/** How many bytes of an archive the file takes, with what stands before and after. */
export function tarBytesOf(path: string, size: number): number {
  return tarHeaderOf(path, size).byteLength + size + tarPaddingOf(size);
}
