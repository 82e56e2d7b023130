import { afterAll, beforeAll, expect, test } from "bun:test";
import { allExamples, ExampleShell } from "../support/examples.ts";

/** Examples of the help that work with a registry. Those that work with a data folder are slower, and typed by tests/crash. */
const EXAMPLES = (await allExamples()).filter(({ line }) => !/^(?:admin|server) /.test(line));

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

test("examples that are not typed say why, and are few", async () => {
  const all = await allExamples();
  const untested = all.filter((example) => example.untested !== undefined);
  expect(untested.filter(({ untested: why = "" }) => why.length < 10)).toEqual([]);
  expect(untested.length).toBeLessThan(all.length / 5);
});
