import { expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { WORKSPACE } from "../support/registry-process.ts";

/** What a page may pay, in bytes after gzip, for what it imports. */
const BUNDLES = [
  {
    what: "every endpoint: sign-in, verified reads, uploads that resume",
    imports: "RegistryClient, ClientError",
    bytesMax: 12 * 1024,
  },
  { what: "the whole library, with copy, inspect and sync", imports: "*", bytesMax: 16 * 1024 },
] as const;

/** Bundles what a page would import, for browsers. */
async function bundle(imports: string): Promise<string> {
  // Inside the workspace, where the package is found by its name.
  const folder = await mkdtemp(join(WORKSPACE, "node_modules", ".bundle-"));
  try {
    const entry = join(folder, "entry.ts");
    await writeFile(entry, `export ${imports === "*" ? "*" : `{ ${imports} }`} from "@stowage/client";`);
    const built = await Bun.build({ entrypoints: [entry], target: "browser", minify: true });
    return (await built.outputs[0]?.text()) ?? "";
  } finally {
    await rm(folder, { recursive: true });
  }
}

for (const { what, imports, bytesMax } of BUNDLES) {
  test(`the client's bundle for browsers has at most ${bytesMax} bytes after gzip: ${what}`, async () => {
    const script = await bundle(imports);
    const bytes = Bun.gzipSync(script, { level: 9 }).byteLength;
    process.stderr.write(`>>> client bundle for browsers, ${imports}: ${bytes} bytes after gzip\n`);
    expect(bytes).toBeGreaterThan(1_000);
    expect(bytes).toBeLessThanOrEqual(bytesMax);
    expect(script).not.toMatch(/from\s*"node:|require\(/);
  });
}
