import type { RegistryProcess } from "../support/registry-process.ts";
import { program } from "../support/suite.ts";
import { run } from "./support.ts";

export const regctlProgram = program("regctl");

/** The command line of regctl for a registry without TLS. */
export function regctlCommand(host: string, args: readonly string[]): string[] {
  return [regctlProgram.path, "--host", `reg=${host},tls=disabled`, ...args];
}

/** Runs regctl and resolves with its output. @throws Error unless it succeeds */
export async function regctl(
  { host }: Pick<RegistryProcess, "host">,
  args: readonly string[],
  input: Uint8Array<ArrayBuffer> | string = "",
): Promise<string> {
  const stdin = typeof input === "string" ? new TextEncoder().encode(input) : input;
  return (await run(regctlCommand(host, args), { stdin })).stdout;
}
