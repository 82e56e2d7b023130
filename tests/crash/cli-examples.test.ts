import { afterAll, beforeAll, expect, test } from "bun:test";
import { allExamples, ExampleShell } from "../support/examples.ts";

/** Examples of the help that work with a data folder. */
const EXAMPLES = (await allExamples()).filter(({ line }) => /^(?:admin|server) /.test(line));

let shell: ExampleShell;

beforeAll(async () => {
  shell = await ExampleShell.start();
});

afterAll(async () => await shell[Symbol.asyncDispose]());

test.each(EXAMPLES.flatMap(({ line, untested }) => (untested === undefined ? [line] : [])))(
  "`stowage %s` ends well",
  async (line) => {
    const { code, stdout, stderr } = await shell.run({ line });
    expect({ code, said: code === 0 ? "" : stdout + stderr }).toEqual({ code: 0, said: "" });
  },
  30_000,
);
