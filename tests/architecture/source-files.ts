import { join } from "node:path";
import { WORKSPACE } from "../support/registry-process.ts";

export interface SourceFile {
  /** Path from the workspace, with slashes. */
  readonly path: string;
  readonly text: string;
}

/** The TypeScript files that git knows or would add, below `folders`. */
export async function sourceFiles(...folders: readonly string[]): Promise<readonly SourceFile[]> {
  const command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", ...folders];
  const listed = await new Response(Bun.spawn(command, { cwd: WORKSPACE }).stdout).text();
  const paths = listed.split("\n").filter((path) => /\.(?:ts|mjs)$/.test(path));
  const files = paths.map(async (path) => ({ path, file: Bun.file(join(WORKSPACE, path)) }));
  const present: SourceFile[] = [];
  for (const { path, file } of await Promise.all(files)) {
    if (await file.exists()) present.push({ path, text: await file.text() });
  }
  return present;
}

/** What a file imports: module specifiers of static and dynamic imports and re-exports. */
export function importsOf({ text }: SourceFile): readonly string[] {
  const found = text.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)"([^"]+)"/g);
  return [...found].flatMap((match) => (match[1] === undefined ? [] : [match[1]]));
}
