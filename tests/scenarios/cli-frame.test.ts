import { describe, expect, test } from "bun:test";
import { cli } from "../support/cli.ts";
import { type Commands, isGroup } from "../../packages/cli/src/command.ts";
import { helpOfCommand, helpOfGroup } from "../../packages/cli/src/help.ts";
import { TREE } from "../../packages/cli/src/tree.ts";

describe("runStowage", () => {
  const table: readonly (readonly [string, number, string, string])[] = [
    ["", 0, "Commands:", ""],
    ["help", 0, "Commands:", ""],
    ["--help", 0, "Commands:", ""],
    ["help version", 0, "Usage: stowage version [options]", ""],
    ["help admin user create", 0, "Usage: stowage admin user create NAME [options]", ""],
    ["admin audit --help", 0, "Usage: stowage admin audit list [options]", ""],
    ["version --help", 0, "Usage: stowage version [options]", ""],
    ["server --help", 0, "Commands:", ""],
    ["server", 2, "", "Commands:"],
    ["vresion", 2, "", 'error: unknown command "vresion"\nhint: did you mean "version"?\n'],
    ["server gcc", 2, "", 'error: unknown command "server gcc"\nhint: did you mean "gc"?\n'],
    ["admin user lst", 2, "", 'error: unknown command "admin user lst"\nhint: did you mean "list"?\n'],
    ["xyzzy", 2, "", 'error: unknown command "xyzzy"\nhint: run `stowage --help` for the commands\n'],
    ["--nonsense", 2, "", 'error: unknown option "--nonsense"'],
    [
      "version --formt json",
      2,
      "",
      'unknown option "--formt"; did you mean --format?\nhint: run `stowage version --help`',
    ],
    ["version more", 2, "", 'error: version: "more" is one argument too many'],
    ["version --format", 2, "", "error: version: --format has no value; wanted FORMAT"],
    ["version --format {{.nope}}", 2, "", "wanted .architecture, .bun, .os, .version"],
    ["version --format {{", 2, "", "error: version: "],
    ["--format json version", 0, '"bun": "', ""],
    ["-q version", 0, "0.1.0\n", ""],
  ];
  test.each(table)("%p ends with %p", async (line, code, stdout, stderr) => {
    const ran = await cli(line.split(" ").filter((word) => word !== ""));
    expect(ran).toMatchObject({
      code,
      stdout: stdout === "" ? "" : expect.stringContaining(stdout),
      stderr: stderr === "" ? "" : expect.stringContaining(stderr),
    });
  });
});

test("help of every command fits into 80 columns, and has examples of that command", async () => {
  for (const [name, text] of await allHelp(TREE, [])) {
    expect({
      name,
      wide: text.split("\n").filter((line) => line.length > 80 && !/^ {2}stowage /.test(line)),
    }).toEqual({
      name,
      wide: [],
    });
    expect(text).toContain(`\nExamples:\n  stowage ${name.split(" ")[0]}`);
  }
});

async function allHelp(
  commands: Commands,
  names: readonly string[],
): Promise<readonly (readonly [string, string])[]> {
  const all: (readonly [string, string])[] = [];
  for (const [word, { load, isHidden }] of Object.entries(commands)) {
    if (isHidden === true) continue;
    const node = await load();
    const name = [...names, word].join(" ");
    if (isGroup(node))
      all.push([name, helpOfGroup(name, node)], ...(await allHelp(node.commands, [...names, word])));
    else all.push([name, helpOfCommand(name, node)]);
  }
  return all;
}
