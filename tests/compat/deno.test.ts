import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { runElsewhere } from "../client/elsewhere.ts";
import { ALL_CASES } from "../client/suite.ts";
import { suite, TOOLS } from "../support/suite.ts";

const TEST_MS_MAX = 120_000;
const SCRIPT = join(TOOLS, "deno", "node_modules", ".bin", "deno");
const deno = { what: "Deno (npm test installs it)", isMet: existsSync(SCRIPT) };

suite("Deno", [deno], () => {
  test(
    "the client passes its suite",
    async () => {
      const outcomes = await runElsewhere([SCRIPT, "run", "--quiet", "--allow-net", "--allow-env"]);
      expect(outcomes.filter(({ problem }) => problem !== null)).toEqual([]);
      expect(outcomes.length).toBe(ALL_CASES.length);
    },
    TEST_MS_MAX,
  );
});
