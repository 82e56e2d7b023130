import { afterAll, expect, test } from "bun:test";
import { RegistryClient } from "@stowage/client";
import { startRegistry } from "@stowage/server/testing";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { WORKSPACE } from "../support/registry-process.ts";
import { pushImage } from "./images.ts";

const page = await Bun.file(join(WORKSPACE, "docs", "client-library.md")).text();
const pieces = [...page.matchAll(/^## (.+?)$|^```ts\n([\s\S]*?)^```$/gm)];
const registry = await startRegistry();
const folder = await mkdtemp(join(WORKSPACE, "node_modules", ".documentation-"));
afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

let heading = "";
let count = 0;
for (const [, title, code] of pieces) {
  if (title !== undefined) heading = title;
  if (code === undefined) continue;
  const number = ++count;
  test(`docs/client-library.md: "${heading}", piece ${number}, runs as it stands`, async () => {
    await pushImage(new RegistryClient().repository(`${registry.host}/team/app`), { tag: "1.0" });
    const file = join(folder, `piece-${number}.ts`);
    await writeFile(file, code.replaceAll("localhost:5000", registry.host));
    const child = Bun.spawn([process.execPath, file], {
      cwd: folder,
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, HOME: folder },
    });
    const [output, error] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    expect([await child.exited, error]).toEqual([0, ""]);
    expect(output).not.toContain("undefined");
  });
}

test("docs/client-library.md has pieces of code", () => expect(count).toBeGreaterThan(5));
