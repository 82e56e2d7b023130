import { expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSettings } from "@stowage/server/config/settings";
import { OidcIssuer } from "../support/oidc-issuer.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { Signer } from "../support/signed-tokens.ts";

const EXTERNAL = ["realm", "service", "issuer", "keys"].flatMap((name) => [
  `--auth-token-${name}`,
  "http://x",
]);

function problemsOf(...args: readonly string[]): readonly string[] {
  const result = readSettings({ args, env: {} });
  return result.ok ? [] : result.problems;
}

test("settings of authentication that do not fit together are said, all at once", () => {
  const table: readonly (readonly [readonly string[], readonly RegExp[]])[] = [
    [["--auth", "accounts"], []],
    [["--auth-htpasswd", "f", "--addr", ":5000"], []],
    [[...EXTERNAL, "--addr", ":5000"], []],
    [["--addr", ":5000"], [/say --auth accounts, or --auth none/]],
    [["--auth", "basic"], [/wanted none or accounts/]],
    [["--auth", "none", "--auth-htpasswd", "f"], [/--auth is none and --auth-htpasswd is set/]],
    [EXTERNAL.slice(0, 4), [/--auth-token-issuer, --auth-token-keys is missing/]],
    [["--auth", "accounts", "--auth-token-time", "2h"], [/wanted 1m to 1h/]],
    [["--auth", "accounts", "--auth-token-time", "5s"], [/wanted 1m to 1h/]],
    [
      ["--oidc-issuer", "https://x"],
      [/--oidc-client-id is missing/, /--public-url is missing/],
    ],
    [["--public-url", "https://x/path"], [/--public-url is "https:\/\/x\/path"; wanted/]],
    [["--trusted-proxies", "10.0.0.0/99"], [/wanted addresses or CIDR blocks/]],
    [
      ["--limit-pulls", "many", "--limit-requests", "0/s"],
      [/--limit-requests is/, /--limit-pulls is/],
    ],
  ];
  for (const [args, wanted] of table) {
    const problems = problemsOf(...args);
    expect([args, problems.length]).toEqual([args, wanted.length]);
    for (const [at, pattern] of wanted.entries()) expect(problems[at]).toMatch(pattern);
  }
});

test("a registry with another token server sends clients there and believes its tokens alone", async () => {
  const folder = await mkdtemp(join(tmpdir(), "stowage-external-"));
  const signer = await Signer.create("RS256", null);
  await writeFile(join(folder, "keys.json"), JSON.stringify({ keys: [signer.publicJwk] }));
  const said = { realm: "https://tokens.example.com/auth", service: "my-registry", issuer: "tokens" };
  const settings = Object.entries({ ...said, keys: join(folder, "keys.json") });
  const args = settings.flatMap(([name, value]) => [`--auth-token-${name}`, value]);
  await using registry = await RegistryProcess.start({ args });
  const get = async (path: string, token?: string) =>
    await fetch(
      `${registry.url}${path}`,
      token === undefined ? {} : { headers: { Authorization: `Bearer ${token}` } },
    );
  expect((await get("/v2/")).headers.get("WWW-Authenticate")).toBe(
    'Bearer realm="https://tokens.example.com/auth",service="my-registry"',
  );
  expect((await get("/token")).status).toBe(404);
  const now = Math.floor(Date.now() / 1_000);
  const claims = { iss: "tokens", aud: "my-registry", sub: "user:admin", iat: now, exp: now + 300 };
  const access = [{ type: "repository", name: "team/app", actions: ["pull"] }];
  const token = await signer.sign({ ...claims, access });
  expect((await get("/v2/team/app/tags/list", token)).status).toBe(404);
  expect((await get("/v2/other/app/tags/list", token)).status).toBe(401);
  expect((await get("/api/v1/gc", token)).status).toBe(403);
  expect(registry.log).toContain('"caller":"external:user:admin"');
  for (const wrong of [{ aud: "other" }, { iss: "other" }, { exp: now - 100_000, iat: now - 100_300 }]) {
    expect((await get("/v2/", await signer.sign({ ...claims, access, ...wrong }))).status).toBe(401);
  }
  await rm(folder, { recursive: true });
});

test("a registry with single sign-on sends people to their provider", async () => {
  await using issuer = new OidcIssuer();
  issuer.metadata = {
    authorization_endpoint: `${issuer.url}/authorize`,
    token_endpoint: `${issuer.url}/token`,
  };
  const args = [
    "--public-url",
    "http://localhost:5000",
    "--oidc-issuer",
    issuer.url,
    "--oidc-client-id",
    "stowage",
  ];
  await using registry = await RegistryProcess.start({ args });
  const begin = async () => await fetch(`${registry.url}/auth/login?return=/x`, { redirect: "manual" });
  const first = await begin();
  expect(first.status).toBe(303);
  expect(first.headers.get("Location")).toStartWith(`${issuer.url}/authorize?`);
  const cookie = first.headers.get("Set-Cookie")?.split(";")[0] ?? "";
  await registry.kill("SIGTERM");
  await registry.start();
  // Whoever signs in while the registry restarts comes back to one that knows them: their login fails by its code alone.
  const state = new URL(first.headers.get("Location") ?? "").searchParams.get("state") ?? "";
  const back = await fetch(`${registry.url}/auth/callback?code=x&state=${state}`, {
    headers: { Cookie: cookie },
  });
  expect(await back.text()).not.toContain("too old");
});

test("a file that authentication needs and that is not there stops the start, and says its setting", async () => {
  for (const [args, problem] of [
    [["--auth-htpasswd", "/nowhere/htpasswd"], 'cannot read the htpasswd file "/nowhere/htpasswd"'],
    [
      [...EXTERNAL.slice(0, 6), "--auth-token-keys", "/nowhere/keys"],
      '--auth-token-keys is "/nowhere/keys", which cannot be read',
    ],
  ] as const) {
    await expect(RegistryProcess.start({ args })).rejects.toThrow(problem);
  }
});
