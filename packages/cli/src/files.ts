import { stat } from "node:fs/promises";
import { UsageError } from "./arguments.ts";

/** How commands that take both tell a file from a reference; it stands in their help. */
export const FILE_RULE =
  "What begins with . or / or exists here as a file is a file, - is standard input, and everything else is a reference.";

/** By {@link FILE_RULE}. */
export async function isFile(text: string): Promise<boolean> {
  if (text === "-" || text.startsWith(".") || text.startsWith("/")) return true;
  return await stat(text).then(
    () => true,
    () => false,
  );
}

/** The file at a path, whose size is known. @throws UsageError when there is none */
export async function openFile(path: string): Promise<Bun.BunFile> {
  const found = await stat(path).catch((error: unknown) => {
    throw new UsageError(`cannot read "${path}": ${reasonOf(error)}`);
  });
  if (!found.isFile()) throw new UsageError(`"${path}" is no file`);
  return Bun.file(path);
}

/** What the system says, in its words and without the path again: `no such file or directory`. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/^[A-Z]+: /, "").replace(/, \w+ '.*'$/s, "");
}
