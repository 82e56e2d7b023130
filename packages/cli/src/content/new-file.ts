import { open, rename, stat, unlink } from "node:fs/promises";
import { UsageError } from "../arguments.ts";
import type { World } from "../world.ts";

/**
 * Writes pieces to a file, which appears when all of them are there, or to standard output with `-`.
 * @throws UsageError when standard output is a terminal
 */
export async function writePieces(
  path: string,
  pieces: AsyncIterable<Uint8Array<ArrayBuffer>>,
  { stdout }: Pick<World, "stdout">,
): Promise<void> {
  if (path === "-") {
    if (stdout.isTerminal) throw new UsageError("standard output is a terminal; wanted a file, or a pipe");
    for await (const piece of inLargerPieces(pieces)) {
      stdout.write(piece);
      await stdout.flush();
    }
    return;
  }
  const before = await stat(path).catch(() => null);
  // A pipe or a device is written as it is.
  const isSpecial = before !== null && !before.isFile();
  const place = isSpecial ? path : `${path}.${crypto.randomUUID()}`;
  try {
    await using file = await open(place, isSpecial ? "w" : "wx");
    for await (const piece of inLargerPieces(pieces)) await file.writeFile(piece);
  } catch (error) {
    if (!isSpecial) await unlink(place).catch(() => undefined);
    throw error;
  }
  if (!isSpecial) await rename(place, path);
}

/** Bytes that are written at once. */
const WRITE_BYTES = 256 * 1024;

/** A tar file is made of headers, small files and padding: a system call for each of them is most of the time. */
async function* inLargerPieces(
  pieces: AsyncIterable<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  let buffer = new Uint8Array(WRITE_BYTES);
  let filled = 0;
  for await (const piece of pieces) {
    if (filled + piece.byteLength > WRITE_BYTES) {
      if (filled > 0) yield buffer.subarray(0, filled);
      // What is on its way keeps its memory.
      buffer = new Uint8Array(WRITE_BYTES);
      filled = 0;
    }
    if (piece.byteLength > WRITE_BYTES) yield piece;
    else {
      buffer.set(piece, filled);
      filled += piece.byteLength;
    }
  }
  if (filled > 0) yield buffer.subarray(0, filled);
}
