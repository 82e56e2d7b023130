import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { ExampleShell } from "../support/examples.ts";
import { WORKSPACE } from "../support/registry-process.ts";

/** Keys that programs read are those that docs/command-line.md names, and no others. */

const APP = "localhost:5000/team/app";

/** What stands behind a command of the page. */
const ARGUMENTS: Readonly<Record<string, string>> = {
  catalog: "localhost:5000",
  ls: APP,
  "ls --long": APP,
  search: "localhost:5000 app",
  du: "localhost:5000",
  digest: `${APP}:1.0`,
  inspect: `${APP}:1.0`,
  layers: `${APP}:1.0`,
  history: `${APP}:1.0`,
  size: `${APP}:1.0`,
  tree: `${APP}:1.0`,
  diff: `${APP}:1.0 ${APP}:1.0`,
  validate: `${APP}:1.0`,
  copy: `${APP}:1.0 localhost:5000/copied/app`,
  pull: `${APP}:1.0 oci:layout`,
  sync: "-f mirror.yml",
  tag: `${APP}:1.0 other`,
  untag: `${APP}:old`,
  delete: `${APP}:gone --yes`,
  attach: `${APP}:1.0 sbom.json --type application/spdx+json`,
  "index list": "localhost:5000/team/multi:1.0",
  "index create": `${APP}:multi ${APP}:1.0`,
  "manifest head": `${APP}:1.0`,
  "manifest put": `${APP}:3.0 ./manifest.json`,
  "manifest delete": `${APP}@$DIGEST`,
  "manifest diff": `${APP}:1.0 ${APP}:1.1`,
  "blob head": `${APP}@$BLOB`,
  "blob put": `${APP} ./README.md`,
  "blob delete": `${APP}@$LOOSE`,
  "blob mount": `${APP}@$BLOB localhost:5000/team/web`,
  "auth whoami": "localhost:5000",
  version: "",
  "api routes": "",
};

const PAGE = await Bun.file(join(WORKSPACE, "docs", "command-line.md")).text();
const ROWS = [...PAGE.slice(PAGE.indexOf("\n## Keys")).matchAll(/^\| `([^`]+)` +\| ([\w, ]+?) *\|$/gm)].map(
  ([, command = "", keys = ""]) => [command, keys] as const,
);

let shell: ExampleShell;

beforeAll(async () => {
  shell = await ExampleShell.start();
});

afterAll(async () => await shell[Symbol.asyncDispose]());

test("the page has a row for each command that is tried", () => {
  expect(ROWS.map(([command]) => command).toSorted()).toEqual(Object.keys(ARGUMENTS).toSorted());
});

test.each(ROWS)(
  "`stowage %s --format jsonl` has the keys of the page",
  async (command, keys) => {
    const { stdout, stderr } = await shell.run({ line: `${command} ${ARGUMENTS[command]} --format jsonl` });
    const [line = ""] = stdout.split("\n");
    expect({ keys: line === "" ? stderr : Object.keys(JSON.parse(line)).join(", ") }).toEqual({ keys });
  },
  30_000,
);
