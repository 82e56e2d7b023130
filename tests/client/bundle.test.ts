import { expect, test } from "bun:test";
import { join } from "node:path";
import { WORKSPACE } from "../support/registry-process.ts";

/** What a page pays for the client, in bytes after gzip. */
const BUNDLE_BYTES_MAX = 12 * 1024;

test(`the client's bundle for browsers has at most ${BUNDLE_BYTES_MAX} bytes after gzip, and needs no module of Node`, async () => {
  const built = await Bun.build({
    entrypoints: [join(WORKSPACE, "packages", "client", "src", "index.ts")],
    target: "browser",
    minify: true,
  });
  expect(built.success).toBe(true);
  const script = (await built.outputs[0]?.text()) ?? "";
  const bytes = Bun.gzipSync(script, { level: 9 }).byteLength;
  process.stderr.write(`>>> client bundle for browsers: ${bytes} bytes after gzip\n`);
  expect(bytes).toBeLessThanOrEqual(BUNDLE_BYTES_MAX);
  expect(script).not.toMatch(/from\s*"node:|require\(/);
});
