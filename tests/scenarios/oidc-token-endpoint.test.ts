// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how rules name claims
import { expect, test } from "bun:test";
import type { ForeignTokens } from "@stowage/server/auth/authenticate";
import { EVERYBODY, NOBODY, SIGNED_IN } from "@stowage/server/auth/caller";
import { compileGrants } from "@stowage/server/auth/grants";
import { createFetchJson, lookupHost } from "@stowage/server/auth/outbound";
import { WorkloadTrust } from "@stowage/server/auth/workload";
import { parseWorkloads } from "@stowage/server/auth/workload-document";
import { blobOf, imageOf } from "../support/content.ts";
import { OidcIssuer } from "../support/oidc-issuer.ts";
import { Signer } from "../support/signed-tokens.ts";
import { TestApp } from "../support/test-app.ts";
import { GITHUB_CLAIMS } from "../support/workload-claims.ts";

const signer = await Signer.create("RS256", "key-1");

/** What the registry makes of a job that its issuer vouches for. */
async function workloadsOf(issuer: OidcIssuer): Promise<ForeignTokens> {
  const rules = [
    {
      claims: { repository: "acme/*", ref: "refs/heads/main" },
      repositories: ["${repository}"],
      may: ["pull", "push"],
    },
  ];
  const document = [{ name: "github", issuer: issuer.url, audience: "registry.example.com", rules }];
  const parsed = await parseWorkloads(document);
  const trust = new WorkloadTrust({
    workloads: parsed.ok ? parsed.workloads : [],
    fetchJson: createFetchJson({ lookup: lookupHost, fetch }),
    now: Date.now,
    monotonic: () => performance.now(),
    report: () => undefined,
  });
  return {
    caller: async (text) => {
      const verdict = await trust.exchange(text);
      if (!verdict.ok) return null;
      const { name, grants } = verdict;
      const principals = [EVERYBODY, SIGNED_IN, name];
      const credential = { kind: "workload", id: null } as const;
      return { ...NOBODY, name, credential, principals, grants: [compileGrants(grants)] };
    },
  };
}

function tokenOf(issuer: OidcIssuer, claims: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1_000);
  return signer.sign({
    ...GITHUB_CLAIMS,
    iss: issuer.url,
    iat: now,
    nbf: now - 5,
    exp: now + 300,
    ...claims,
  });
}

const basic = (password: string) => ({ Authorization: `Basic ${btoa(`ci:${password}`)}` });

/** RFC 8693 section 2.1, as curl sends it. */
const exchangeOf = (token: string, scope: string) => ({
  headers: { "Content-Type": "application/x-www-form-urlencoded" },
  body: new URLSearchParams({
    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
    subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
    subject_token: token,
    scope,
  }).toString(),
});

test("docker login takes a job's token as the password, and the job pushes with what it gets for it", async () => {
  await using issuer = new OidcIssuer(signer);
  await using app = new TestApp({ auth: { workloads: await workloadsOf(issuer) } });
  const scopes = "scope=repository:acme/app:pull,push&scope=repository:acme/other:pull,push";
  const headers = basic(await tokenOf(issuer));
  const response = await app.request("GET", `/token?service=stowage&offline_token=true&${scopes}`, {
    headers,
  });
  expect(response.status).toBe(200);
  const granted = (await response.json()) as { readonly token: string; readonly scope: string };
  expect(granted.scope).toBe("repository:acme/app:pull,push");
  // It must not outlive what the issuer gave.
  expect(granted).not.toHaveProperty("refresh_token");
  const parts = { headers: { Authorization: `Bearer ${granted.token}` } };
  const { bytes, digest } = blobOf("layer");
  const push = (repository: string) =>
    app.request("POST", `/v2/${repository}/blobs/uploads/?digest=${digest}`, { ...parts, body: bytes });
  expect((await push("acme/app")).status).toBe(201);
  expect((await push("acme/other")).status).toBeOneOf([401, 403]);
});

test("curl changes a job's token for one of the registry, and the tag says who pushed it", async () => {
  await using issuer = new OidcIssuer(signer);
  await using app = new TestApp({ auth: { workloads: await workloadsOf(issuer) } });
  const token = await tokenOf(issuer);
  const response = await app.request("POST", "/token", exchangeOf(token, "repository:acme/app:pull,push"));
  expect(response.status).toBe(200);
  const { access_token } = (await response.json()) as { readonly access_token: string };
  const parts = { headers: { Authorization: `Bearer ${access_token}` } };
  await app.pushImage("acme/app", "main", imageOf([blobOf("one")]), parts);
  const tags = await app.request("GET", "/api/v1/repositories/acme/app/-/tags/main", { isLocal: true });
  expect(await tags.text()).toContain('"workload:github:repo:acme/app:ref:refs/heads/main"');
});

test.each<[string, Readonly<Record<string, unknown>>]>([
  ["a fork", { repository: "mallory/app" }],
  ["a pull request", { ref: "refs/pull/7/merge" }],
  ["another audience", { aud: "https://github.com/acme" }],
  ["yesterday", { iat: 1_700_000_000, exp: 1_700_000_300 }],
])("the token of a job of %s is a wrong password, and nothing more is told", async (_, claims) => {
  await using issuer = new OidcIssuer(signer);
  await using app = new TestApp({ auth: { workloads: await workloadsOf(issuer) } });
  const token = await tokenOf(issuer, claims);
  const answers = [
    await app.request("GET", "/token?service=stowage", { headers: basic(token) }),
    await app.request("POST", "/token", exchangeOf(token, "repository:acme/app:pull")),
    await app.request("GET", "/v2/", { headers: basic(token) }),
    await app.request("GET", "/v2/", { headers: { Authorization: `Bearer ${token}` } }),
  ];
  expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 401]);
  for (const answer of answers) expect(await answer.text()).not.toContain(token);
  expect(app.log).not.toContain(token);
});
