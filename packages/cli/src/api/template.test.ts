import { expect, test } from "bun:test";
import { join } from "node:path";
import { ERROR_CODES } from "@stowage/oci/errors";
import { API_ROUTES } from "@stowage/oci/api/routes";
import { templateData } from "@stowage/oci/api/template-data";
import { compileTemplate } from "../go-template/template.ts";
import { DESCRIPTOR_FUNCTIONS } from "./template-functions.ts";

async function render(): Promise<string> {
  const name = "reference.md.tmpl";
  const text = await Bun.file(join(import.meta.dir, "fixtures", name)).text();
  const functions = DESCRIPTOR_FUNCTIONS;
  return compileTemplate(text, { name, functions, missingKey: "error" }).render(templateData());
}

test("a template in the shape of distribution's renders, with every route, request and error", async () => {
  const text = await render();
  for (const { method, path, entity } of API_ROUTES)
    expect(text).toContain(`| ${method} | \`${path}\` | ${entity} |`);
  for (const [code, { message, status }] of Object.entries(ERROR_CODES)) {
    expect(text).toContain(`- \`${code}\` (`);
    expect(text).toContain(`, ${status}, `);
    expect(text).toContain(message);
  }
  expect(text).not.toContain("<no value>");
  expect(text).not.toContain("map[");
});

test("an error code prints as itself and has its descriptor below", async () => {
  expect(await render()).toContain(
    "  - `BLOB_UNKNOWN`: blob unknown to registry (BLOB_UNKNOWN): The repository does not",
  );
});

test("prettygorilla leaves the names of a path, and templates get paths of gorilla's kind", () => {
  const [path] = templateData()
    .RouteDescriptors.map(({ Path }) => Path)
    .filter((candidate) => candidate.includes("{digest"));
  expect(path).toContain(":[a-z0-9]+");
  expect(DESCRIPTOR_FUNCTIONS.prettygorilla?.(path)).toBe("/v2/<name>/blobs/<digest>");
  expect(DESCRIPTOR_FUNCTIONS.prettygorilla?.("/a/{b:[0-9]{2,3}}/{c}/d")).toBe("/a/<b>/<c>/d");
});

test("the regular expression in a path matches names of that kind", () => {
  for (const { Path } of templateData().RouteDescriptors) {
    const pattern = Path.replaceAll(/\{[a-z]+:/g, "(?:").replaceAll(/\)?\}(?=\/|$)/g, (end) =>
      end.replace("}", ")"),
    );
    expect(() => new RegExp(`^${pattern}$`)).not.toThrow();
  }
});

test("removenewlines and statustext", () => {
  expect(DESCRIPTOR_FUNCTIONS.removenewlines?.("a\n   b\nc")).toBe("a b c");
  expect(DESCRIPTOR_FUNCTIONS.statustext?.(416)).toBe("Requested Range Not Satisfiable");
  expect(DESCRIPTOR_FUNCTIONS.statustext?.(799)).toBe("");
});
