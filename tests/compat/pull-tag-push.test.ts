import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startRegistry } from "@stowage/server/testing";
import { blobOf, seededBytes } from "../support/content.ts";
import { dockerImage, pushTo } from "../support/docker-image.ts";
import { WORKSPACE } from "../support/registry-process.ts";
import { shell } from "../support/shell.ts";
import { program, suite } from "../support/suite.ts";
import { Distribution } from "./distribution.ts";

const SCRIPT = join(WORKSPACE, "docs", "scripts", "pull-tag-push.py");
const registry = program("docker-registry");

suite("pull-tag-push.py with distribution's registry", [program("python3"), registry], () => {
  test("copies there and back, with mounts there, and sends nothing twice", async () => {
    const folder = await mkdtemp(join(tmpdir(), "stowage-script-"));
    try {
      await using here = await startRegistry();
      await using there = await Distribution.withSchema1(folder);
      const layers = [blobOf(seededBytes(3_000_000, 1)), blobOf(seededBytes(7, 2))];
      const image = dockerImage({ layers, history: layers.map(() => ({ created_by: "a step" })) });
      await pushTo(here, "team/app", "1.0", image);
      const run = async (source: string, dest: string) => {
        const ran = await shell(`python3 ${SCRIPT} ${source} ${dest}`);
        const [name] = dest.split(/:[^:/]*$/);
        expect(ran).toMatchObject({ code: 0, stdout: `${name}@${image.manifest.digest}\n` });
        return [...ran.stderr.matchAll(/^\w+/gm)].map(([word]) => word);
      };
      const three = (outcome: string) => [outcome, outcome, outcome];
      const [mine, theirs] = [`${here.host}/team/app:1.0`, `${there.host}/team/app:1.0`];
      expect(await run(mine, theirs)).toEqual(three("uploaded"));
      expect(await run(mine, theirs)).toEqual(three("exists"));
      expect(await run(theirs, `${there.host}/other/app:1.0`)).toEqual(three("mounted"));
      expect(await run(`${there.host}/other/app:1.0`, `${here.host}/back/app:1.0`)).toEqual(
        three("uploaded"),
      );
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
