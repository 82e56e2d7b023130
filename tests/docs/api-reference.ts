import { join } from "node:path";
import { apiMarkdown } from "@stowage/oci/api/markdown";
import { WORKSPACE } from "../support/registry-process.ts";
import { managementReference } from "./management-reference.ts";
import { recordAnswers } from "./record-answers.ts";

/** Files that are made of the descriptor and its examples, by their path from the workspace. */
export async function apiReferenceFiles(): Promise<Readonly<Record<string, string>>> {
  const answers = await recordAnswers();
  const files = {
    "docs/api.md": apiMarkdown(answers),
    "docs/api-management.md": await managementReference(),
    "packages/oci/src/api/recorded-answers.json": JSON.stringify(answers),
  };
  const formatted = Object.entries(files).map(
    async ([path, text]) => [path, await format(path, text)] as const,
  );
  return Object.fromEntries(await Promise.all(formatted));
}

/** As `bun fmt` wants the file. */
async function format(path: string, text: string): Promise<string> {
  const child = Bun.spawn([process.execPath, "fmt", `--stdin-filepath=${path}`], {
    cwd: WORKSPACE,
    stdin: new TextEncoder().encode(text),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [formatted, problem] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(`cannot format ${path}: ${problem}`);
  return formatted;
}

export function inWorkspace(path: string): string {
  return join(WORKSPACE, path);
}
