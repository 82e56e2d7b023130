// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how rules name claims
import { expect, test } from "bun:test";
import { parseRepositoryTemplate } from "./repository-template.ts";

const CLAIMS = {
  project: "app",
  path: "acme/team/app",
  id: 17,
  protected: true,
  list: ["app"],
  "kubernetes.io": { namespace: "ci" },
};

test.each<[string, string]>([
  ["acme/**", "acme/**"],
  ["acme/app", "acme/app"],
  ["${path}", "acme/team/app"],
  ["mirror/${path}/**", "mirror/acme/team/app/**"],
  ["acme/${project}", "acme/app"],
  ["acme/${project}-*", "acme/app-*"],
  ["team-${id}/${project}", "team-17/app"],
  ["${kubernetes\\.io.namespace}/**", "ci/**"],
  ["${project}${id}", "app17"],
])("parseRepositoryTemplate: %s is filled", (template, glob) => {
  expect(parseRepositoryTemplate(template)?.fill(CLAIMS)).toBe(glob);
});

test.each([
  ["acme/${missing}"],
  ["acme/${list}"],
  ["acme/${kubernetes\\.io}"],
  ["acme/${constructor}"],
  ["x${path}"],
  ["${path}x"],
  ["acme/x-${path}/y"],
  ["${project}${path}"],
  ["${path}${project}"],
])("parseRepositoryTemplate: %s is nothing for these claims", (template) => {
  expect(parseRepositoryTemplate(template)?.fill(CLAIMS)).toBeNull();
});

const HOSTILE = [
  "*",
  "**",
  "a*",
  "?",
  "..",
  ".",
  "",
  "/",
  "/a",
  "a/",
  "a//b",
  "../x",
  "a/../b",
  "A",
  "Acme/App",
  "a b",
  "a\n",
  "a%2Fb",
  "${id}",
  "-a",
  "a-",
  "a___b",
  "é",
  "a\0",
  "a".repeat(256),
  "a:b",
  "a@b",
];

test.each(HOSTILE)("parseRepositoryTemplate: a claim of %j grants nothing", (project) => {
  for (const template of ["acme/${project}", "${project}", "${project}/**", "x-${project}", "${project}-*"]) {
    expect(parseRepositoryTemplate(template)?.fill({ project })).toBeNull();
  }
});

test.each([
  "",
  "/",
  "Acme",
  "acme//x",
  "acme/${",
  "acme/${}",
  "acme/${a..b}",
  "acme/$project",
  "acme/${a}b**",
  "acme/{a}",
  "a".repeat(513),
])("parseRepositoryTemplate refuses %j", (template) => {
  expect(parseRepositoryTemplate(template)).toBeNull();
});

test("parseRepositoryTemplate: what is too long together is nothing", () => {
  const template = parseRepositoryTemplate(`${"a".repeat(200)}/\${project}`);
  expect(template?.fill({ project: "b".repeat(100) })).toBeNull();
});
