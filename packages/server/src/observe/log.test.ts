import { expect, test } from "bun:test";
import { createLog, type LogFields } from "./log.ts";

function lineOf(message: string, fields: LogFields): string {
  let written = "";
  const write = (lines: string) => {
    written += lines;
  };
  const log = createLog({ level: "info", format: "json", write, now: () => 0 });
  log.info(message, fields);
  log.flush();
  return written;
}

test("a line is JSON whatever is logged, and one line", () => {
  const fields = {
    text: 'a "quoted"\nline\u001b[31m\u2028',
    number: 1.5,
    nan: Number.NaN,
    huge: Number.POSITIVE_INFINITY,
    no: false,
    nothing: null,
    absent: undefined,
  };
  const line = lineOf("it\nsaid", fields);
  expect(line.indexOf("\n")).toBe(line.length - 1);
  expect(JSON.parse(line)).toEqual({
    time: "1970-01-01T00:00:00.000Z",
    level: "info",
    message: "it\nsaid",
    text: fields.text,
    number: 1.5,
    nan: null,
    huge: null,
    no: false,
    nothing: null,
  });
});

test("long texts are cut, and debug is not written at info", () => {
  const { text } = JSON.parse(lineOf("m", { text: "x".repeat(5_000) })) as { readonly text: string };
  expect(text).toBe(`${"x".repeat(1_024)}…`);
  let written = "";
  const write = (lines: string) => {
    written += lines;
  };
  const log = createLog({ level: "info", format: "json", write, now: () => 0 });
  log.debug("nothing");
  log.flush();
  expect(written).toBe("");
});
