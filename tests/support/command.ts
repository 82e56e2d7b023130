import { join } from "node:path";
import { WORKSPACE } from "./registry-process.ts";

const MAIN = join(WORKSPACE, "packages", "cli", "src", "main.ts");

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command as users do, in the folder `cwd`, and waits for its end. */
export async function stowageIn(cwd: string, ...args: readonly string[]): Promise<Ran> {
  const child = Bun.spawn([process.execPath, MAIN, ...args], {
    cwd,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, stdout, stderr };
}

/** Like stowageIn, where it does not matter in which folder. */
export async function stowage(...args: readonly string[]): Promise<Ran> {
  return await stowageIn(WORKSPACE, ...args);
}
