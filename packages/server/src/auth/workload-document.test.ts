// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how rules name claims
import { expect, test } from "bun:test";
import { Signer } from "../../../../tests/support/signed-tokens.ts";
import { parseWorkloads } from "./workload-document.ts";

const GITHUB = {
  name: "github",
  issuer: "https://token.actions.githubusercontent.com",
  audience: "registry.example.com",
  rules: [
    {
      claims: { repository: "acme/*", ref: "refs/heads/main" },
      repositories: ["${repository}"],
      may: ["push"],
    },
  ],
};
const [RULE] = GITHUB.rules;

async function problemsOf(document: unknown): Promise<readonly string[]> {
  const parsed = await parseWorkloads(document);
  return parsed.ok ? [] : parsed.problems;
}

test("parseWorkloads takes what the documentation shows", async () => {
  const signer = await Signer.create("RS256");
  const parsed = await parseWorkloads([
    GITHUB,
    { ...GITHUB, name: "other", audience: "other.example.com" },
    {
      name: "cluster",
      issuer: "kubernetes/serviceaccount",
      audience: "registry.example.com",
      jwks: { keys: [signer.publicJwk] },
      rules: [{ claims: { "kubernetes\\.io.namespace": "ci" }, repositories: ["ci/**"], may: ["writer"] }],
    },
    { ...GITHUB, name: "local", issuer: "http://127.0.0.1:8080", jwks: "http://localhost:8080/keys" },
  ]);
  expect(parsed).toMatchObject({
    ok: true,
    workloads: [{ jwks: null }, {}, { jwks: [{ alg: "RS256" }] }, {}],
  });
});

const rule = (change: object) => [{ ...GITHUB, rules: [{ ...RULE, ...change }] }];
const trust = (change: object) => [{ ...GITHUB, ...change }];

test.each<[string, unknown, string]>([
  ["no list", {}, "expected array"],
  ["an unknown key", trust({ isuer: "x" }), 'Unrecognized key: "isuer"'],
  ["an unknown key of a rule", rule({ claim: {} }), 'Unrecognized key: "claim"'],
  ["no rules", trust({ rules: [] }), "rules"],
  ["no claims", rule({ claims: {} }), "at least one claim that"],
  ["stars alone", rule({ claims: { repository: "*/*", sub: "**" } }), "more than stars: as"],
  ["a claim that is a list", rule({ claims: { repository: ["acme/app"] } }), "wanted text"],
  ["a claim that is null", rule({ claims: { repository: null } }), "wanted text"],
  ["an empty pattern", rule({ claims: { repository: "" } }), "claims.repository"],
  ["a path that is none", rule({ claims: { repository: "acme/app", "a..b": "c" } }), "a claim's name"],
  ["a ref alone, on GitHub", rule({ claims: { ref: "refs/heads/main" } }), "everybody can have tokens"],
  ["any owner, on GitHub", rule({ claims: { repository: "*/app" } }), "everybody can have tokens"],
  [
    "a beginning of an owner, on GitHub",
    rule({ claims: { repository_owner: "acme*" } }),
    "everybody can have tokens",
  ],
  [
    "a beginning of a subject, on GitHub",
    rule({ claims: { sub: "repo:acme**" } }),
    "everybody can have tokens",
  ],
  [
    "the workflow of a stranger, on GitHub",
    rule({ claims: { job_workflow_ref: "acme/ci/.github/workflows/a.yml@refs/heads/main" } }),
    "everybody can have tokens",
  ],
  [
    "a ref alone, on GitLab",
    [{ ...GITHUB, issuer: "https://gitlab.com", rules: [{ ...RULE, claims: { ref: "main" } }] }],
    "everybody can have tokens",
  ],
  ["no repositories", rule({ repositories: [] }), "repositories"],
  ["a repository that is none", rule({ repositories: ["Acme/**"] }), "wanted a glob"],
  ["nothing allowed", rule({ may: [] }), "may"],
  ["administration", rule({ may: ["admin"] }), "may.0"],
  ["an issuer by http", trust({ issuer: "http://issuer.example.com" }), "wanted an address of https"],
  [
    "an issuer that is no address",
    trust({ issuer: "kubernetes/serviceaccount" }),
    "wanted an address of https",
  ],
  [
    "an issuer with a query",
    trust({ issuer: "https://issuer.example.com/?a" }),
    "wanted an address of https",
  ],
  ["keys by http", trust({ jwks: "http://issuer.example.com/keys" }), "jwks: wanted an address of https"],
  [
    "keys with credentials",
    trust({ jwks: "https://a:b@issuer.example.com/keys" }),
    "jwks: wanted an address of https",
  ],
  ["keys of a file", trust({ jwks: "file:///etc/keys" }), "jwks: wanted an address of https"],
  ["no keys", trust({ jwks: { keys: [] } }), "jwks"],
  ["symmetric keys", trust({ jwks: { keys: [{ kty: "oct", k: "AAAA" }] } }), "no key verifies signatures"],
  ["a name with a colon", trust({ name: "git:hub" }), "lower-case letters"],
  ["no audience", trust({ audience: "" }), "audience"],
  ["a name twice", [GITHUB, { ...GITHUB, audience: "other" }], "there twice"],
  ["an issuer and audience twice", [GITHUB, { ...GITHUB, name: "again" }], "put the rules together"],
])("parseWorkloads names the problem of %s", async (_, document, problem) => {
  const problems = await problemsOf(document);
  expect(problems).toHaveLength(problem === "more than stars: as" ? 2 : 1);
  expect(problems.join()).toContain(problem);
});

test("parseWorkloads names all problems at once, each with its place", async () => {
  const problems = await problemsOf([
    { ...GITHUB, name: "Git Hub", extra: 1 },
    { ...GITHUB, rules: [{ ...RULE, may: ["everything"], claims: {} }] },
  ]);
  expect(problems.map((problem) => problem.split(":")[0])).toEqual([
    "0.name",
    "0",
    "1.rules.0.claims",
    "1.rules.0.may.0",
  ]);
});
