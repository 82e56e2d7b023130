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
    for await (const piece of pieces) {
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
    for await (const piece of pieces) await file.writeFile(piece);
  } catch (error) {
    if (!isSpecial) await unlink(place).catch(() => undefined);
    throw error;
  }
  if (!isSpecial) await rename(place, path);
}
