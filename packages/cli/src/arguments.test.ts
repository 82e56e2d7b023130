import { describe, expect, test } from "bun:test";
import { type OptionSpecs, readArguments, UsageError } from "./arguments.ts";

const SPECS: OptionSpecs = {
  all: { value: null, short: "a", help: "" },
  dry: { value: null, short: "n", help: "" },
  jobs: { value: "N", short: "j", help: "" },
  sort: { value: "KEY", choices: ["name", "size"], help: "" },
};

describe("readArguments", () => {
  const good: readonly (readonly [string, readonly string[], Readonly<Record<string, readonly string[]>>])[] =
    [
      ["x y", ["x", "y"], {}],
      ["-", ["-"], {}],
      ["x --jobs 3", ["x"], { jobs: ["3"] }],
      ["--jobs=3 x", ["x"], { jobs: ["3"] }],
      ["-j 3 x", ["x"], { jobs: ["3"] }],
      ["-j3 x", ["x"], { jobs: ["3"] }],
      ["-j=3", [], { jobs: ["3"] }],
      ["-an x", ["x"], { all: [""], dry: [""] }],
      ["-anj3", [], { all: [""], dry: [""], jobs: ["3"] }],
      ["--sort size", [], { sort: ["size"] }],
      ["--jobs 1 --jobs 2", [], { jobs: ["1", "2"] }],
      ["-- --jobs -a", ["--jobs", "-a"], {}],
      ["--jobs --all", [], { jobs: ["--all"] }],
    ];
  test.each(good)("reads %p", (line, places, values) => {
    const args = readArguments(line.split(" "), SPECS);
    expect(args.places).toEqual(places);
    for (const name of Object.keys(SPECS)) expect(args.all(name)).toEqual(values[name] ?? []);
  });

  const bad: readonly (readonly [string, string])[] = [
    ["--nothing", 'unknown option "--nothing"'],
    ["--job 3", 'unknown option "--job"; did you mean --jobs?'],
    ["--__proto__ 3", 'unknown option "--__proto__"'],
    ["-x", 'unknown option "-x"'],
    ["-ax", 'unknown option "-x"'],
    ["--all=yes", "--all takes no value"],
    ["-a=yes", "-a takes no value"],
    ["--jobs", "--jobs has no value; wanted N"],
    ["--sort nam", '--sort is "nam"; wanted name or size; did you mean name?'],
  ];
  test.each(bad)("refuses %p", (line, message) => {
    expect(() => readArguments(line.split(" "), SPECS)).toThrow(new UsageError(message));
  });
});
