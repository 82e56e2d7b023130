import { expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundleSuite, RemoteSuite } from "./elsewhere.ts";
import { ALL_CASES } from "./suite.ts";

test("client on Node: every case of the suite", async () => {
  await using suite = await RemoteSuite.start();
  const folder = await mkdtemp(join(tmpdir(), "stowage-node-"));
  try {
    const script = join(folder, "suite.mjs");
    await writeFile(script, await bundleSuite("node"));
    const { registries, control } = suite;
    const instructions = { control, host: registries.open.host, signIn: registries.signIn };
    const child = Bun.spawn(["node", script], {
      env: { ...process.env, INSTRUCTIONS: JSON.stringify(instructions) },
      stdout: "inherit",
      stderr: "inherit",
    });
    const outcomes = await Promise.race([
      suite.report(),
      child.exited.then((code) => {
        if (code !== 0) throw new Error(`node ended with ${code}`);
        return suite.report();
      }),
    ]);
    expect(outcomes.filter(({ problem }) => problem !== null)).toEqual([]);
    expect(outcomes.length).toBe(ALL_CASES.length);
    await child.exited;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
