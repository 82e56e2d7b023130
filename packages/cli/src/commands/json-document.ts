import { UsageError } from "../arguments.ts";

/** The JSON document of a file, or of standard input for `-`. @throws UsageError */
export async function readDocument(file: string): Promise<unknown> {
  const text = await (file === "-" ? Bun.stdin.text() : Bun.file(file).text()).catch((error: unknown) => {
    throw new UsageError(`cannot read "${file}": ${error instanceof Error ? error.message : String(error)}`);
  });
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new UsageError(`"${file}" is not JSON`);
  }
}
