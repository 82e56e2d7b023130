import { describe, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { WORKSPACE } from "./registry-process.ts";

/** Where the tools that tests build for themselves lie. */
export const TOOLS = join(WORKSPACE, ".cache", "tools");

/** Something of the machine that a suite cannot do without. */
export interface Need {
  readonly what: string;
  readonly isMet: boolean;
}

/** A program, by name: one that `npm test` built, or one of the machine. */
export function program(name: string): Need & { readonly path: string } {
  const built = join(TOOLS, name);
  const path = existsSync(built) ? built : (Bun.which(name) ?? Bun.which(name, { PATH: "/usr/sbin:/sbin" }));
  return { what: `the program ${name}`, isMet: path !== null, path: path ?? name };
}

export function root(): Need {
  return { what: "root", isMet: process.getuid?.() === 0 };
}

/**
 * A suite that needs something of the machine. Without it the suite is skipped loudly; where `CI=true` says that
 * everything has to be there, it fails instead.
 */
export function suite(name: string, needs: readonly Need[], body: () => void): void {
  const missing = needs.filter((need) => !need.isMet).map((need) => need.what);
  if (missing.length === 0) {
    describe(name, body);
    return;
  }
  const message = `${name}: NOT RUN, this machine lacks ${missing.join(", ")}`;
  if (process.env.CI === "true") {
    test(name, () => {
      throw new Error(message);
    });
    return;
  }
  process.stderr.write(`\n!!! ${message}\n\n`);
  test.skip(`${name} (lacks ${missing.join(", ")})`, () => undefined);
}
