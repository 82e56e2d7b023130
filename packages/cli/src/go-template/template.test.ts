import { expect, test } from "bun:test";
import cases from "./go-cases/cases.json";
import { compileTemplate } from "./template.ts";
import { TemplateError } from "./template-error.ts";

interface Case {
  readonly template: string;
  readonly data?: unknown;
  /** What Go's text/template renders, unless it refuses. */
  readonly want?: string;
  readonly error?: string;
}

function outcome({ template, data }: Case): { readonly text: string } | { readonly error: string } {
  try {
    return { text: compileTemplate(template, { name: "t" }).render(data ?? null) };
  } catch (error) {
    if (error instanceof TemplateError) return { error: error.message };
    throw error;
  }
}

// The answers in cases.json were written by Go: go-cases/produce.go says how.
for (const example of cases satisfies readonly Case[]) {
  const { template, want } = example as Case;
  const verdict = want === undefined ? "refuses" : "renders";
  test(`compileTemplate ${verdict}, as Go does: ${JSON.stringify(template)}`, () => {
    const found = outcome(example as Case);
    if (want === undefined) expect(found).toHaveProperty("error");
    else expect(found).toEqual({ text: want });
  });
}

const problem = (text: string, data: unknown = {}, missingKey: "error" | "no value" = "no value"): string => {
  try {
    return `rendered ${compileTemplate(text, { name: "page.tmpl", missingKey }).render(data)}`;
  } catch (error) {
    return error instanceof TemplateError ? error.message : `unexpected ${error}`;
  }
};

test.each([
  ["a\n  {{.Name", "template page.tmpl:2:3: unclosed action: wanted }}"],
  ["{{if .A}}\n{{else}}", "template page.tmpl:2:9: unexpected end of the template: wanted {{end}}"],
  ["x\n{{end}}", "template page.tmpl:2:3: unexpected {{end}}"],
  ["{{.A | nofunc}}", 'template page.tmpl:1:8: function "nofunc" is not defined'],
  ["{{$x}}", "template page.tmpl:1:3: undefined variable $x"],
  ["{{.A | }}", "template page.tmpl:1:8: missing value: unexpected }}"],
  ["{{index .L 7}}", "template page.tmpl:1:3: error calling index: index out of range: 7"],
  ["{{join .L}}", "template page.tmpl:1:3: wrong number of arguments of join: wanted 2, got 1"],
  ["{{slice}}", "template page.tmpl:1:3: wrong number of arguments of slice: wanted 1 to 3, got 0"],
  [
    "\n\n  {{upper 1}}",
    "template page.tmpl:3:5: error calling upper: wrong type of value: 1 is int, wanted string",
  ],
  ["{{range .T}}{{end}}", "template page.tmpl:1:9: cannot range over true of type bool"],
  ['{{template "x"}}', 'template page.tmpl:1:1: template "x" is not defined'],
  [
    '{{define "x"}}{{template "x"}}{{end}}{{template "x"}}',
    "template page.tmpl:1:15: templates call each other more than 500 deep",
  ],
  [
    `{{define "0"}}{{end}}${Array.from({ length: 60 }, (_, at) => `{{define "${at + 1}"}}{{template "${at}"}}{{template "${at}"}}{{end}}`).join("")}{{template "60"}}`,
    "template page.tmpl:1:",
  ],
  ["{{99999999999999999999}}", 'template page.tmpl:1:3: bad number "99999999999999999999"'],
])("compileTemplate says where and what is wrong: %j", (text, message) => {
  expect(problem(text, { L: ["a"], T: true })).toStartWith(message);
});

test("compileTemplate with missingKey error names the fields that there are", () => {
  const data = { digest: "sha256:1", tag: "v1" };
  const message = "template page.tmpl:1:3: no field .digset: wanted .digest, .tag";
  expect(problem("{{.digset}}", data, "error")).toBe(message);
  expect(problem("{{.digset}}", data)).toBe("rendered <no value>");
});

test("a template prints data that has a member called toString", () => {
  const render = (data: unknown) => compileTemplate("{{.}}", { name: "page.tmpl" }).render(data);
  expect(render({ toString: "x", a: 1 })).toBe("map[a:1 toString:x]");
});

test("compileTemplate gives nothing that objects inherit", () => {
  expect(problem("{{.constructor}} {{.L.length}}", { L: [] })).toContain("no field .length");
  expect(problem('{{.constructor}} {{.__proto__}} {{index . "toString"}}')).toBe(
    "rendered <no value> <no value> <no value>",
  );
});

test("compileTemplate takes functions of the caller, with as many arguments as they declare", () => {
  const functions = { twice: (value: unknown) => `${value}${value}` };
  expect(compileTemplate("{{.A | twice}}", { name: "t", functions }).render({ A: "x" })).toBe("xx");
  expect(() => compileTemplate("{{twice 1 2}}", { name: "t", functions }).render({})).toThrow(
    "wanted 1, got 2",
  );
});

test("truncate counts bytes, and leaves no half character", () => {
  const render = (text: string): string => compileTemplate(text, { name: "t" }).render({ A: "aéz" });
  expect(render("{{truncate .A 2}}|{{truncate .A 3}}|{{truncate .A 9}}")).toBe("a|aé|aéz");
});

test("a template renders several times, each from the beginning", () => {
  const template = compileTemplate("{{$n := .N}}{{range .L}}{{$n = .}}{{end}}{{$n}}", { name: "t" });
  expect(template.render({ N: 1, L: [2] })).toBe("2");
  expect(template.render({ N: 5, L: [] })).toBe("5");
});
