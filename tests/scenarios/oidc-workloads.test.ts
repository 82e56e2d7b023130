// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how rules name claims
import { expect, test } from "bun:test";
import { join } from "node:path";
import { createFetchJson, lookupHost } from "@stowage/server/auth/outbound";
import { WorkloadTrust, type WorkloadVerdict } from "@stowage/server/auth/workload";
import { parseWorkloads } from "@stowage/server/auth/workload-document";
import { OidcIssuer } from "../support/oidc-issuer.ts";
import { WORKSPACE } from "../support/registry-process.ts";
import { Signer } from "../support/signed-tokens.ts";
import { GITHUB_CLAIMS, GITLAB_CLAIMS, KUBERNETES_CLAIMS } from "../support/workload-claims.ts";

const NOW = 1_800_000_000;
const TIMES = { iat: NOW, nbf: NOW - 5, exp: NOW + 300 };

const signer = await Signer.create("RS256", "key-1");
const stranger = await Signer.create("RS256", "key-1");

interface RuleLike {
  readonly claims: Readonly<Record<string, string | number | boolean>>;
  readonly repositories: readonly string[];
  readonly may: readonly string[];
}

interface TrustLike {
  readonly name: string;
  readonly issuer: string;
  readonly audience?: string;
  readonly jwks?: unknown;
  readonly rules: readonly RuleLike[];
}

async function trusting(...trusts: readonly TrustLike[]): Promise<WorkloadTrust> {
  const parsed = await parseWorkloads(
    trusts.map((trust) => ({ audience: "registry.example.com", ...trust })),
  );
  if (!parsed.ok) throw new Error(parsed.problems.join("\n"));
  return new WorkloadTrust({
    workloads: parsed.workloads,
    fetchJson: createFetchJson({ lookup: lookupHost, fetch }),
    now: () => NOW * 1_000,
    monotonic: () => performance.now(),
    report: () => undefined,
  });
}

type Refusal = Extract<WorkloadVerdict, { ok: false }>["reason"];

const answerOf = (verdict: WorkloadVerdict) => (verdict.ok ? verdict.grants : verdict.reason);

const MAIN: RuleLike = {
  claims: { repository: "acme/*", ref: "refs/heads/main" },
  repositories: ["${repository}", "acme/shared/**"],
  may: ["pull", "push"],
};

test("a job on GitHub's main branch may push to its own repository, without any password", async () => {
  await using issuer = new OidcIssuer(signer);
  const trust = await trusting({ name: "github", issuer: issuer.url, rules: [MAIN] });
  const token = await signer.sign(
    { ...GITHUB_CLAIMS, ...TIMES, iss: issuer.url },
    {
      typ: "JWT",
      alg: "RS256",
      x5t: "eBZ_cn3sXYAd0ch4THBKHIgOwOE",
      kid: "key-1",
    },
  );
  expect(await trust.exchange(token)).toEqual({
    ok: true,
    name: "workload:github:repo:acme/app:ref:refs/heads/main",
    issuer: issuer.url,
    grants: [{ repositories: ["acme/app", "acme/shared/**"], may: ["pull", "push"] }],
    expiresAt: (NOW + 300) * 1_000,
  });
  expect(issuer.asked).toEqual(["/.well-known/openid-configuration", "/keys"]);
});

test("a job on GitLab is known by its project; all rules that fit add up", async () => {
  await using issuer = new OidcIssuer(signer);
  const rules = [
    {
      claims: { project_path: "acme/**", ref_protected: true },
      repositories: ["${project_path}/**"],
      may: ["push"],
    },
    { claims: { groups_direct: "acme/release" }, repositories: ["release/*"], may: ["push", "delete"] },
    { claims: { runner_id: 1 }, repositories: ["runner-${runner_id}"], may: ["pull"] },
    { claims: { project_id: 21 }, repositories: ["**"], may: ["delete"] },
  ];
  const trust = await trusting({ name: "gitlab", issuer: issuer.url, jwks: `${issuer.url}/keys`, rules });
  const verdict = await trust.exchange(await signer.sign({ ...GITLAB_CLAIMS, ...TIMES, iss: issuer.url }));
  expect(answerOf(verdict)).toEqual([
    { repositories: ["acme/platform/app/**"], may: ["push"] },
    { repositories: ["release/*"], may: ["push", "delete"] },
    { repositories: ["runner-1"], may: ["pull"] },
  ]);
  expect(issuer.asked).toEqual(["/keys"]);
});

test("a pod on Kubernetes is known by its service account, with keys that nobody has to ask for", async () => {
  const trust = await trusting({
    name: "cluster",
    issuer: "https://kubernetes.default.svc.cluster.local",
    jwks: { keys: [signer.publicJwk] },
    rules: [
      {
        claims: { "kubernetes\\.io.namespace": "ci", "kubernetes\\.io.serviceaccount.name": "builder" },
        repositories: ["${kubernetes\\.io.namespace}/**"],
        may: ["writer"],
      },
    ],
  });
  const iss = "https://kubernetes.default.svc.cluster.local";
  // The API server leaves out `typ`, and a projected token may live for a week.
  const token = await signer.sign(
    { ...KUBERNETES_CLAIMS, ...TIMES, iss, exp: NOW + 7 * 86_400 },
    { alg: "RS256", kid: "key-1" },
  );
  expect(await trust.exchange(token)).toMatchObject({
    ok: true,
    name: "workload:cluster:system:serviceaccount:ci:builder",
    grants: [{ repositories: ["ci/**"], may: ["writer"] }],
  });
});

const PULL_REQUEST = {
  sub: "repo:acme/app:pull_request",
  ref: "refs/pull/7/merge",
  event_name: "pull_request",
  head_ref: "main",
  base_ref: "main",
  ref_type: "branch",
};

test.each<[string, Readonly<Record<string, unknown>>, Refusal]>([
  [
    "a fork",
    { repository: "mallory/app", repository_owner: "mallory", sub: "repo:mallory/app:ref:refs/heads/main" },
    "no-rule",
  ],
  ["an owner with a longer name", { repository: "acme-evil/app" }, "no-rule"],
  ["an owner whose name ends the same", { repository: "evil-acme/app" }, "no-rule"],
  ["a repository with a slash more", { repository: "acme/app/x" }, "no-rule"],
  ["a pull request", PULL_REQUEST, "no-rule"],
  ["a branch named like main", { ref: "refs/heads/main-2" }, "no-rule"],
  ["a branch that holds the name", { ref: "refs/heads/x/refs/heads/main" }, "no-rule"],
  ["a tag named main", { ref: "refs/tags/main" }, "no-rule"],
  ["a list of repositories with a list in it", { repository: [["acme/app"]] }, "no-rule"],
  ["a repository that is an object", { repository: { "acme/app": true } }, "no-rule"],
  ["no repository", { repository: undefined }, "no-rule"],
  ["another audience", { aud: "https://github.com/acme" }, "audience"],
  ["an audience of one character more", { aud: "registry.example.com." }, "audience"],
  ["no subject", { sub: undefined }, "claims"],
  ["an empty subject", { sub: "" }, "claims"],
  ["a line break in its subject", { sub: "repo:acme/app\nalice" }, "claims"],
  ["an end that passed", { exp: NOW - 61, iat: NOW - 400 }, "expired"],
  ["a beginning to come", { nbf: NOW + 61 }, "not-yet"],
  ["an age of more than a day", { iat: NOW - 86_401, exp: NOW + 300 }, "too-old"],
])("GitHub's token of %s is refused", async (_, claims, reason) => {
  await using issuer = new OidcIssuer(signer);
  const trust = await trusting({ name: "github", issuer: issuer.url, rules: [MAIN] });
  const token = await signer.sign({ ...GITHUB_CLAIMS, ...TIMES, iss: issuer.url, ...claims });
  expect(answerOf(await trust.exchange(token))).toBe(reason);
});

test.each([
  ["repo:acme/*:ref:refs/heads/main", "repo:acme/x:environment:y:ref:refs/heads/main"],
  ["repo:acme/*:ref:refs/heads/main", "repo:acme/x/y:ref:refs/heads/main"],
  ["repo:acme/app:ref:refs/heads/*", "repo:acme/app:ref:refs/heads/a/b"],
  ["repo:acme/app:*", "repo:acme/app:ref:refs/heads/main"],
  ["repo:acme/app:environment:*", "repo:acme/app-2:environment:production"],
  ["repo:acme/app:ref:refs/heads/main", "repo:acme/app:ref:refs/heads/main:pull_request"],
])("a subject cannot grow over what the pattern %s means: %s", async (pattern, sub) => {
  await using issuer = new OidcIssuer(signer);
  const trust = await trusting({
    name: "github",
    issuer: issuer.url,
    rules: [{ ...MAIN, claims: { sub: pattern } }],
  });
  const token = await signer.sign({ ...GITHUB_CLAIMS, ...TIMES, iss: issuer.url, sub });
  expect(answerOf(await trust.exchange(token))).toBe("no-rule");
});

test.each(["*", "**", "acme/**", "acme/*", "acme/../prod", "acme/App", "acme//x", "acme/", "", "ACME"])(
  "a claim of %j fills in nothing",
  async (repository) => {
    await using issuer = new OidcIssuer(signer);
    const rule = {
      claims: { repository_owner: "acme" },
      repositories: ["${repository}", "mirror/${repository}/**"],
      may: ["push"],
    };
    const trust = await trusting({ name: "github", issuer: issuer.url, rules: [rule] });
    const token = await signer.sign({ ...GITHUB_CLAIMS, ...TIMES, iss: issuer.url, repository });
    expect(answerOf(await trust.exchange(token))).toBe("no-rule");
  },
);

test("another issuer cannot speak for this one, whatever its keys are called", async () => {
  await using good = new OidcIssuer(signer);
  await using evil = new OidcIssuer(stranger);
  const rule = { ...MAIN, repositories: ["evil/**"] };
  const trust = await trusting(
    { name: "github", issuer: good.url, rules: [MAIN] },
    { name: "evil", issuer: evil.url, rules: [rule] },
  );
  const claims = { ...GITHUB_CLAIMS, ...TIMES };
  const asGood = await stranger.sign({ ...claims, iss: good.url });
  expect(answerOf(await trust.exchange(asGood))).toBe("signature");
  const asItself = await stranger.sign({ ...claims, iss: evil.url });
  expect(answerOf(await trust.exchange(asItself))).toEqual([
    { repositories: ["evil/**"], may: ["pull", "push"] },
  ]);
  const replayed = await signer.sign({ ...claims, iss: evil.url });
  expect(answerOf(await trust.exchange(replayed))).toBe("signature");
  for (const iss of [
    `${good.url}/`,
    good.url.toUpperCase(),
    `${good.url}#`,
    "https://token.actions.githubusercontent.com",
    [good.url],
    null,
  ]) {
    expect(answerOf(await trust.exchange(await signer.sign({ ...claims, iss })))).toBe("unknown-issuer");
  }
});

test("an issuer whose name ends in a slash is another one", async () => {
  await using issuer = new OidcIssuer(signer);
  issuer.metadata = { issuer: `${issuer.url}/` };
  const trust = await trusting({ name: "tenant", issuer: `${issuer.url}/`, rules: [MAIN] });
  const claims = { ...GITHUB_CLAIMS, ...TIMES };
  expect(answerOf(await trust.exchange(await signer.sign({ ...claims, iss: issuer.url })))).toBe(
    "unknown-issuer",
  );
  const verdict = await trust.exchange(await signer.sign({ ...claims, iss: `${issuer.url}/` }));
  expect(verdict).toMatchObject({ ok: true });
});

test("one issuer may be trusted with several audiences, each for its own", async () => {
  await using issuer = new OidcIssuer(signer);
  const rule = (repository: string) => ({ ...MAIN, repositories: [repository] });
  const trust = await trusting(
    { name: "one", issuer: issuer.url, rules: [rule("one/**")] },
    { name: "two", issuer: issuer.url, audience: "second", rules: [rule("two/**")] },
    {
      name: "three",
      issuer: issuer.url,
      audience: "third",
      jwks: { keys: [stranger.publicJwk] },
      rules: [rule("three/**")],
    },
  );
  const claims = { ...GITHUB_CLAIMS, ...TIMES, iss: issuer.url };
  const given = async (aud: unknown) => answerOf(await trust.exchange(await signer.sign({ ...claims, aud })));
  expect(await given("registry.example.com")).toEqual([{ repositories: ["one/**"], may: ["pull", "push"] }]);
  expect(await given("second")).toEqual([{ repositories: ["two/**"], may: ["pull", "push"] }]);
  expect(await given("third")).toBe("signature");
  expect(await given("fourth")).not.toBeArray();
  const third = await stranger.sign({ ...claims, aud: "third" });
  expect(answerOf(await trust.exchange(third))).toEqual([
    { repositories: ["three/**"], may: ["pull", "push"] },
  ]);
});

test("nobody is asked about a token of an issuer that is not trusted", async () => {
  await using issuer = new OidcIssuer(signer);
  await using other = new OidcIssuer(stranger);
  const trust = await trusting({ name: "github", issuer: issuer.url, rules: [MAIN] });
  const token = await stranger.sign({ ...GITHUB_CLAIMS, ...TIMES, iss: other.url });
  expect(answerOf(await trust.exchange(token))).toBe("unknown-issuer");
  for (const text of ["", "a.b.c", "password", `${token}.`]) {
    expect(answerOf(await trust.exchange(text))).toBe("malformed");
  }
  expect([...issuer.asked, ...other.asked]).toEqual([]);
});

test("a caller's name is cut to 255 characters", async () => {
  await using issuer = new OidcIssuer(signer);
  const trust = await trusting({ name: "github", issuer: issuer.url, rules: [MAIN] });
  const token = await signer.sign({ ...GITHUB_CLAIMS, ...TIMES, iss: issuer.url, sub: "s".repeat(1_000) });
  const verdict = await trust.exchange(token);
  expect(verdict.ok ? verdict.name : "").toBe(`workload:github:${"s".repeat(239)}`);
});

test("the example of the documentation is understood", async () => {
  const page = await Bun.file(join(WORKSPACE, "docs/ci-without-secrets.md")).text();
  const [, document = ""] = /```json\n([^`]*)```/.exec(page) ?? [];
  expect(await parseWorkloads(JSON.parse(document))).toMatchObject({
    ok: true,
    workloads: [{ name: "github" }, { name: "gitlab" }, { name: "cluster" }],
  });
});
