import type { World } from "./world.ts";

/** Asks on the terminal; anything but y and yes is a no. */
export async function askYes({ stdin, stderr }: World): Promise<boolean> {
  stderr.write("Go on? [y/N] ");
  let text = "";
  for await (const piece of stdin.stream()) {
    text += new TextDecoder().decode(piece);
    if (text.includes("\n")) break;
  }
  return /^\s*y(?:es)?\s*$/i.test(text.split("\n")[0] ?? "");
}
