import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestRegistry } from "@stowage/server/testing";
import { bundleSuite, type Instructions, RemoteSuite } from "../client/elsewhere.ts";
import { ALL_CASES } from "../client/suite.ts";
import { program, suite } from "../support/suite.ts";

const TEST_MS_MAX = 120_000;

const TYPES = { ".html": "text/html", ".js": "text/javascript" };

/** Puts a page into a registry, which is how the page is of the registry's own origin. */
function publish(
  registry: TestRegistry,
  { script, instructions }: { script: string; instructions: Instructions },
) {
  const html = `<!doctype html><script>INSTRUCTIONS = ${JSON.stringify(instructions)}</script><script type="module" src="/suite.js"></script>`;
  const answer = (path: RegExp, type: string, body: string) =>
    registry.faults.add({ kind: "answer", status: 200, headers: { "Content-Type": type }, path, body });
  answer(/^\/suite\.html$/, TYPES[".html"], html);
  answer(/^\/suite\.js$/, TYPES[".js"], script);
}

/** Opens a page in a browser that nobody sees, until the work has ended. */
async function browse<T>(address: string, work: Promise<T>): Promise<T> {
  const profile = await mkdtemp(join(tmpdir(), "stowage-chromium-"));
  const child = Bun.spawn(
    [
      "chromium",
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--remote-debugging-port=0",
      `--user-data-dir=${profile}`,
      address,
    ],
    { stdout: "ignore", stderr: "ignore" },
  );
  try {
    return await work;
  } finally {
    child.kill();
    await child.exited;
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

suite("chromium", [program("chromium")], () => {
  test(
    "the client in a page passes its suite",
    async () => {
      await using remote = await RemoteSuite.start();
      const { registries, control } = remote;
      const script = await bundleSuite("browser");
      publish(registries.open, {
        script,
        instructions: { control, host: registries.open.host, signIn: null },
      });
      const open = await browse(`${registries.open.url}/suite.html`, remote.report());
      publish(registries.closed, {
        script,
        instructions: { control, host: registries.closed.host, signIn: registries.signIn },
      });
      const closed = await browse(`${registries.closed.url}/suite.html`, remote.report());
      const outcomes = [...open, ...closed];
      expect(outcomes.filter(({ problem }) => problem !== null)).toEqual([]);
      expect(outcomes.length).toBe(ALL_CASES.filter(({ isForPages = true }) => isForPages).length);
    },
    TEST_MS_MAX,
  );
});
