import { UsageError } from "./arguments.ts";
import type { Source } from "./world.ts";

/** Everything that comes, as text. @throws UsageError when it is longer than `bytesMax` */
export async function readInput(stdin: Pick<Source, "stream">, bytesMax: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of stdin.stream()) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) throw new UsageError(`standard input has more than ${bytesMax} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
