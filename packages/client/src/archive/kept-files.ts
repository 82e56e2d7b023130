import { MANIFEST_BYTES_MAX } from "@stowage/oci/manifest";
import { quote } from "@stowage/oci/reference";
import { archiveTooLarge } from "./archive-error.ts";
import type { TarEntry } from "./tar-reader.ts";

/** Bytes of small files that are kept in memory for one archive; what comes then is treated as a blob. */
const KEPT_BYTES_MAX = 32 * 1024 ** 2;

/** Files up to this size are kept whatever they are, in bytes. */
const SMALL_FILE_BYTES = 4_096;

/** Bytes of a file that are looked at. */
export const START_BYTES = 8;

/** Files that say what an archive is. */
const METADATA: readonly string[] = ["index.json", "manifest.json", "oci-layout"];

const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;

/**
 * Whether a file is kept in memory: it is small, or it looks like JSON, as manifests, configs and the archive's own files do.
 * @throws ClientError when one of the latter is too large
 */
export function keepsFile(
  { path, size }: Pick<TarEntry, "path" | "size">,
  start: Uint8Array,
  keptBytes: number,
): boolean {
  const isJson = start[0] === OPEN_BRACE || start[0] === OPEN_BRACKET;
  const isSmall = size <= SMALL_FILE_BYTES || (isJson && size <= MANIFEST_BYTES_MAX);
  const isKept = isSmall && keptBytes + size <= KEPT_BYTES_MAX;
  if (!isKept && METADATA.includes(path))
    throw archiveTooLarge(`${quote(path)} of ${size} bytes is too large`);
  return isKept;
}

export interface Started {
  readonly start: Uint8Array;
  /** All bytes, those of the start as well. */
  readonly rest: AsyncGenerator<Uint8Array, void, void>;
}

/** Looks at the first bytes of a file. */
export async function startOf(bytes: AsyncGenerator<Uint8Array, void, void>): Promise<Started> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  while (size < START_BYTES) {
    const next = await bytes.next();
    if (next.done === true) break;
    pieces.push(next.value);
    size += next.value.byteLength;
  }
  const start = Uint8Array.from(
    pieces.flatMap((piece) => [...piece.subarray(0, START_BYTES)]).slice(0, START_BYTES),
  );
  return { start, rest: joined(pieces, bytes) };
}

async function* joined(
  first: readonly Uint8Array[],
  rest: AsyncGenerator<Uint8Array, void, void>,
): AsyncGenerator<Uint8Array, void, void> {
  yield* first;
  yield* rest;
}
