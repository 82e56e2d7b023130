import { describe, expect, test } from "bun:test";
import { readArguments, UsageError } from "./arguments.ts";
import { readOutput } from "./output.ts";
import { OUTPUT_OPTIONS } from "./shared-options.ts";
import type { Sink } from "./world.ts";

const EVIL = "a\u001b[31m\u202eb";
const DIGEST = `sha256:${"0123456789ab".repeat(6).slice(0, 64)}`;

function sinkOf(columns: number | null): Sink & { readonly text: string } {
  let text = "";
  return {
    isTerminal: columns !== null,
    columns: columns ?? 80,
    rows: 24,
    write(data) {
      text += String(data);
    },
    flush: () => Promise.resolve(),
    get text() {
      return text;
    },
  };
}

/** What a list of two entries is printed as. */
async function listAs(words: readonly string[], columns: number | null = null): Promise<string> {
  const sink = sinkOf(columns);
  const output = await readOutput(readArguments(words, OUTPUT_OPTIONS), sink);
  const entries = [
    { name: "one", digest: DIGEST },
    { name: EVIL, digest: DIGEST },
  ];
  await output.list(entries, {
    id: ({ name }) => name,
    value: (entry) => entry,
    head: ["NAME", "DIGEST"],
    cells: ({ name, digest }) => [name, digest],
  });
  return sink.text;
}

describe("Output", () => {
  const forms: readonly (readonly [string, string])[] = [
    ["", `NAME      DIGEST\none       ${DIGEST}\na?[31m?b  ${DIGEST}\n`],
    ["--format text", `one\t${DIGEST}\na?[31m?b\t${DIGEST}\n`],
    ["-q", "one\na?[31m?b\n"],
    [
      "--format jsonl",
      `{"name":"one","digest":"${DIGEST}"}\n{"name":"a\\u001b[31m\u202eb","digest":"${DIGEST}"}\n`,
    ],
    ["--format {{.name}}", `one\n${EVIL}\n`],
    ["-q --format json", "one\na?[31m?b\n"],
  ];
  test.each(forms)("lists with %p", async (line, text) => {
    expect(await listAs(line.split(" ").filter((word) => word !== ""))).toBe(text);
  });

  test("json and yaml are whole documents", async () => {
    const entries = [
      { name: "one", digest: DIGEST },
      { name: EVIL, digest: DIGEST },
    ];
    expect(JSON.parse(await listAs(["--format", "json"]))).toEqual(entries);
    expect(Bun.YAML.parse(await listAs(["--format=yaml"]))).toEqual(entries);
  });

  test("obeys nothing that others wrote on a terminal, in no form", async () => {
    for (const format of ["table", "text", "json", "jsonl", "yaml", "{{.name}}"]) {
      expect({ format, text: await listAs(["--format", format], 200) }).toMatchObject({
        format,
        text: expect.not.stringMatching(/(?!\n|\t)\p{C}/u),
      });
    }
  });

  test("shortens digests only in a table on a terminal that is too narrow", async () => {
    expect(await listAs([], 40)).not.toContain(DIGEST);
    expect(await listAs([], 40)).toContain("sha256:0123456789ab\n");
    for (const [words, columns] of [
      [[], 200],
      [[], null],
      [["--format", "text"], 40],
    ] as const) {
      expect(await listAs(words, columns)).toContain(DIGEST);
    }
  });

  test("a template is wrong before anything is asked, and where a key is not there", async () => {
    expect(listAs(["--format", "{{.name"])).rejects.toBeInstanceOf(UsageError);
    expect(listAs(["--format", "{{.nmae}}"])).rejects.toBeInstanceOf(UsageError);
    expect(listAs(["--format", "tabel"])).rejects.toBeInstanceOf(UsageError);
  });
});
