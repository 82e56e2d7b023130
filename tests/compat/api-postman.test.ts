import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exampleSteps } from "@stowage/oci/api/example-steps";
import { postmanCollection } from "@stowage/oci/api/postman";
import { program, suite, TOOLS } from "../support/suite.ts";
import { PASSWORD, startWithAccounts } from "./auth-registry.ts";

const SCRIPT = join(TOOLS, "newman", "node_modules", "newman", "bin", "newman.js");
const newman = { what: "newman (npm test installs it)", isMet: existsSync(SCRIPT) };

interface Run {
  readonly stats: Readonly<
    Record<"requests" | "assertions", { readonly total: number; readonly failed: number }>
  >;
  readonly failures: readonly {
    readonly source: { readonly name: string };
    readonly error: { readonly message: string };
  }[];
}

suite("Postman collection", [program("node"), newman], () => {
  test("runs as a whole against a registry: every request has the status that it says", async () => {
    await using registry = await startWithAccounts();
    const folder = await mkdtemp(join(tmpdir(), "stowage-postman-"));
    try {
      const collection = join(folder, "collection.json");
      const report = join(folder, "report.json");
      await Bun.write(collection, JSON.stringify(postmanCollection()));
      const variables = { baseUrl: registry.url, username: "mary", password: PASSWORD };
      const settings = Object.entries(variables).flatMap(([name, value]) => [
        "--env-var",
        `${name}=${value}`,
      ]);
      const reporting = ["--reporters", "json", "--reporter-json-export", report];
      const child = Bun.spawn([program("node").path, SCRIPT, "run", collection, ...settings, ...reporting], {
        cwd: folder,
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
      await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
      const { run } = (await Bun.file(report).json()) as { readonly run: Run };
      expect(run.failures.map(({ source, error }) => `${source.name}: ${error.message}`)).toEqual([]);
      const count = exampleSteps().filter(({ example }) => example.body?.kind !== "saved").length;
      expect(run.stats.requests).toMatchObject({ total: count, failed: 0 });
      expect(run.stats.assertions).toMatchObject({ total: count, failed: 0 });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
