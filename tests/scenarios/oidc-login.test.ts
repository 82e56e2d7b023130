import { expect, test } from "bun:test";
import { toLocalPath } from "@stowage/server/http/oidc/return-path";
import { LoginSeal } from "@stowage/server/http/oidc/sealed-login";
import { CLIENT_ID, CLIENT_SECRET, FakeProvider, PUBLIC_URL } from "../support/fake-provider.ts";
import { base64url, jsonPart, Signer } from "../support/signed-tokens.ts";

const cookiesOf = (response: Response): readonly string[] => response.headers.getSetCookie();

/** A login that succeeds with those claims; who it was. */
async function identityWith(provider: FakeProvider, claims: Readonly<Record<string, unknown>>) {
  provider.idToken = (nonce) => provider.signer.sign(provider.claims({ ...claims, nonce }));
  const response = await provider.finish(await provider.begin());
  return response.status === 200 ? [...provider.sessions.values()].at(-1) : response.status;
}

test("somebody signs in: sent there, back, and on to where they wanted to be", async () => {
  await using provider = new FakeProvider();
  const begun = await provider.begin("/r/team/app?tab=tags&q='x'");
  expect(`${begun.location.origin}${begun.location.pathname}`).toBe(`${provider.issuer.url}/authorize`);
  expect(Object.fromEntries(begun.location.searchParams)).toEqual({
    tenant: "1",
    response_type: "code",
    client_id: CLIENT_ID,
    redirect_uri: `${PUBLIC_URL}/auth/callback`,
    scope: "openid profile email",
    state: expect.stringMatching(/^[\w-]{43}$/),
    nonce: expect.stringMatching(/^[\w-]{43}$/),
    code_challenge: expect.stringMatching(/^[\w-]{43}$/),
    code_challenge_method: "S256",
  });
  const response = await provider.finish(begun);
  expect(response.status).toBe(200);
  expect(cookiesOf(response)).toEqual([
    "__Host-stowage=secret-0; Path=/; HttpOnly; Secure; SameSite=Strict",
    "__Host-stowage-login=; Path=/; HttpOnly; Secure; SameSite=Lax; Max-Age=0",
  ]);
  const page = await response.text();
  expect(page).toContain(
    '<meta http-equiv="refresh" content="0;url=/r/team/app?tab=tags&amp;q=&#39;x&#39;">',
  );
  expect(response.headers.get("Content-Security-Policy")).toStartWith("default-src 'none'");
  expect([...provider.sessions.values()]).toEqual([
    { name: "alice", groups: ["dev", "ops"], issuer: provider.issuer.url, subject: "f7c1a4a2" },
  ]);
  expect(provider.problems).toEqual([]);
});

test("the cookie of a login under way is for ten minutes, and tells its holder nothing", async () => {
  await using provider = new FakeProvider();
  const response = await provider.login.begin(new Request(`${PUBLIC_URL}/auth/login`));
  const [cookie = ""] = cookiesOf(response);
  expect(cookie).toMatch(
    /^__Host-stowage-login=[\w-]+; Path=\/; HttpOnly; Secure; SameSite=Lax; Max-Age=600$/,
  );
  const state = new URL(response.headers.get("Location") ?? "").searchParams.get("state") ?? "?";
  const value = cookie.split(/[=;]/)[1] ?? "";
  expect(Buffer.from(value, "base64url").toString("latin1")).not.toContain(state);
});

test("on this machine without TLS the cookies have plain names", async () => {
  await using provider = new FakeProvider({ publicUrl: "http://localhost:5000" });
  const response = await provider.finish(await provider.begin());
  expect(cookiesOf(response)).toEqual([
    "stowage=secret-0; Path=/; HttpOnly; SameSite=Strict",
    "stowage-login=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0",
  ]);
  expect(() => provider.create({ publicUrl: "http://registry.example.com" })).toThrow("wanted https");
  expect(() => provider.create({ secret: new Uint8Array(31) })).toThrow("at least 32");
});

test("the client shows its secret as the provider wants it, and PKCE always", async () => {
  await using provider = new FakeProvider();
  await provider.finish(await provider.begin());
  provider.issuer.metadata = {
    ...provider.issuer.metadata,
    token_endpoint_auth_methods_supported: ["client_secret_post"],
  };
  provider.login = provider.create();
  await provider.finish(await provider.begin());
  provider.login = provider.create({ clientSecret: null });
  await provider.finish(await provider.begin());
  const [basic, post, none] = provider.exchanges;
  const [user = "", password = ""] = Buffer.from(basic?.authorization?.slice(6) ?? "", "base64")
    .toString()
    .split(":");
  expect([user, new URLSearchParams(`p=${password}`).get("p")]).toEqual([CLIENT_ID, CLIENT_SECRET]);
  expect([post?.form.get("client_secret"), post?.authorization]).toEqual([CLIENT_SECRET, null]);
  expect([none?.form.get("client_secret"), none?.authorization, none?.form.get("client_id")]).toEqual([
    null,
    null,
    CLIENT_ID,
  ]);
  for (const exchange of [basic, post, none])
    expect(exchange?.form.get("code_verifier")).toMatch(/^[\w-]{43}$/);
});

test.each<[string, Readonly<Record<string, unknown>>, unknown]>([
  [
    "a verified address",
    { preferred_username: undefined, email: "a@example.com", email_verified: true },
    "a@example.com",
  ],
  [
    "the subject",
    { preferred_username: undefined, email: "a@example.com", email_verified: false },
    "f7c1a4a2",
  ],
  [
    "the subject, the address not said to be verified",
    { preferred_username: undefined, email: "a@example.com" },
    "f7c1a4a2",
  ],
  [
    "the subject, verified as text",
    { preferred_username: undefined, email: "a@example.com", email_verified: "true" },
    "f7c1a4a2",
  ],
])("without a user name it is %s", async (_, claims, name) => {
  await using provider = new FakeProvider();
  expect(await identityWith(provider, claims)).toMatchObject({ name });
});

test.each<[string, Readonly<Record<string, unknown>>]>([
  ["with a space", { preferred_username: "alice admin" }],
  ["with a line break", { preferred_username: "alice\nadmin" }],
  ["with a zero-width space", { preferred_username: "alice\u200b" }],
  ["turned around", { preferred_username: "\u202ealice" }],
  ["empty", { preferred_username: "" }],
  ["that is a list", { preferred_username: ["alice"] }],
  ["that is too long", { preferred_username: "a".repeat(201) }],
])("a name %s lets nobody in", async (_, claims) => {
  await using provider = new FakeProvider();
  expect(await identityWith(provider, claims)).toBe(403);
  expect(provider.sessions.size).toBe(0);
});

test("the name and the groups are where the configuration says", async () => {
  await using provider = new FakeProvider();
  provider.login = provider.create({ nameClaim: ["email"], groupsClaim: ["realm_access", "roles"] });
  const claims = { email: "a@example.com", realm_access: { roles: ["dev", 1, "two words", "dev"] } };
  expect(await identityWith(provider, { ...claims, email_verified: true })).toMatchObject({
    name: "a@example.com",
    groups: ["dev"],
  });
  expect(await identityWith(provider, claims)).toBe(403);
  provider.login = provider.create({ groupsClaim: null });
  expect(await identityWith(provider, claims)).toMatchObject({ name: "alice", groups: [] });
});

/** Everything that a refused login must not have done. */
async function expectRefused(provider: FakeProvider, response: Response, status: number): Promise<void> {
  expect(response.status).toBe(status);
  expect(provider.sessions.size).toBe(0);
  expect(cookiesOf(response).filter((cookie) => !cookie.includes("-login=; "))).toEqual([]);
  expect(provider.problems.length).toBeGreaterThan(0);
  expect(await response.text()).not.toContain("http-equiv");
}

test.each<[string, Readonly<Record<string, string | null>>, number]>([
  ["without state", { state: null }, 400],
  ["with an empty state", { state: "" }, 400],
  ["with another state", { state: "x".repeat(43) }, 400],
  ["of another issuer", { iss: "https://evil.example" }, 400],
  ["of an issuer with a slash more", { iss: `${"https://evil.example"}/` }, 400],
  ["without the issuer that was promised", { iss: null }, 400],
  ["without a code", { code: null }, 400],
  ["with an identity token in the address", { id_token: "a.b.c" }, 400],
  ["with a token in the address", { response: "a.b.c" }, 400],
  ["with a code of somebody else", { code: "code-2" }, 502],
  ["with a refusal", { code: null, error: "access_denied", error_description: "<script>" }, 403],
])("a way back %s lets nobody in", async (_, parameters, status) => {
  await using provider = new FakeProvider();
  await expectRefused(provider, await provider.finish(await provider.begin(), parameters), status);
});

test("a code that somebody slips in is of no use: it belongs to another login", async () => {
  await using provider = new FakeProvider();
  const victim = await provider.begin();
  const attacker = await provider.begin();
  // The victim's browser follows an address with the attacker's code, with and without the attacker's state.
  await expectRefused(provider, await provider.finish({ cookie: victim.cookie, state: attacker.state }), 400);
  await expectRefused(provider, await provider.finish(victim), 502);
  expect(provider.exchanges).toHaveLength(1);
});

test("two parameters of one name are none", async () => {
  await using provider = new FakeProvider();
  const { cookie, state } = await provider.begin();
  const address = `${PUBLIC_URL}/auth/callback?code=code-1&code=code-2&state=${state}&iss=${provider.issuer.url}`;
  const response = await provider.login.finish(new Request(address, { headers: { Cookie: cookie } }));
  await expectRefused(provider, response, 400);
});

test.each<[string, (cookie: string) => string]>([
  ["no cookie", () => ""],
  ["an empty cookie", () => "__Host-stowage-login="],
  ["a changed cookie", (cookie) => cookie.replace(/.{3}$/, "AAA")],
  ["two cookies", (cookie) => `${cookie}; ${cookie}`],
  ["a cookie of another name", (cookie) => cookie.replace("__Host-", "")],
  ["a cookie that is no base64", () => "__Host-stowage-login=%%%"],
  ["a huge cookie", () => `__Host-stowage-login=${"A".repeat(7_000)}`],
])("a way back with %s lets nobody in", async (_, change) => {
  await using provider = new FakeProvider();
  const { cookie, state } = await provider.begin();
  await expectRefused(provider, await provider.finish({ cookie: change(cookie), state }), 400);
  expect(provider.exchanges).toEqual([]);
});

test("a cookie of another registry's key, or of ten minutes ago, is none", async () => {
  await using provider = new FakeProvider();
  const begun = await provider.begin();
  provider.login = provider.create({ secret: new Uint8Array(32).fill(8) });
  await expectRefused(provider, await provider.finish(begun), 400);
  provider.login = provider.create();
  provider.clockAhead = 10 * 60_000;
  await expectRefused(provider, await provider.finish(begun), 400);
});

const stranger = await Signer.create("RS256");

type MakeToken = (provider: FakeProvider, nonce: string) => string | Promise<string>;

const signed =
  (claims: Readonly<Record<string, unknown>>): MakeToken =>
  (provider, nonce) =>
    provider.signer.sign(provider.claims({ nonce, ...claims }));

test.each<[string, MakeToken]>([
  ["of another nonce", signed({ nonce: "other" })],
  ["without a nonce", signed({ nonce: undefined })],
  ["of another issuer", signed({ iss: "https://evil.example" })],
  ["for another client", signed({ aud: "other" })],
  ["for several clients, of another", signed({ aud: [CLIENT_ID, "other"], azp: "other" })],
  ["that has ended", signed({ iat: 1_700_000_000, exp: 1_700_000_300 })],
  ["without an end", signed({ exp: undefined })],
  ["without a subject", signed({ sub: undefined })],
  [
    "with alg none",
    (provider, nonce) => `${jsonPart({ alg: "none" })}.${jsonPart(provider.claims({ nonce }))}.`,
  ],
  [
    "with alg none and a signature",
    (provider, nonce) => `${jsonPart({ alg: "none" })}.${jsonPart(provider.claims({ nonce }))}.AAAA`,
  ],
  [
    "with the client's secret as key",
    (provider, nonce) => {
      const text = `${jsonPart({ alg: "HS256" })}.${jsonPart(provider.claims({ nonce }))}`;
      return `${text}.${new Bun.CryptoHasher("sha256", CLIENT_SECRET).update(text).digest("base64url")}`;
    },
  ],
  ["of another key", (provider, nonce) => stranger.sign(provider.claims({ nonce }))],
  [
    "with a key in it",
    (provider, nonce) =>
      stranger.sign(provider.claims({ nonce }), { alg: "RS256", kid: "key-1", jwk: stranger.publicJwk }),
  ],
  [
    "with claims that were changed",
    async (provider, nonce) => {
      const [header, , signature] = (await provider.signer.sign(provider.claims({ nonce }))).split(".");
      return `${header}.${jsonPart(provider.claims({ nonce, preferred_username: "admin" }))}.${signature}`;
    },
  ],
  [
    "that says everything twice",
    (provider, nonce) =>
      provider.signer.signParts(
        jsonPart(provider.signer.header),
        base64url(JSON.stringify(provider.claims({ nonce })).replace("{", '{"preferred_username":"admin",')),
      ),
  ],
  ["that is none", () => "token"],
  ["that is empty", () => ""],
])("an identity token %s lets nobody in", async (_, make) => {
  await using provider = new FakeProvider();
  provider.idToken = async (nonce) => await make(provider, nonce);
  const response = await provider.finish(await provider.begin());
  expect(response.status).toBeGreaterThanOrEqual(400);
  await expectRefused(provider, response, response.status);
});

test("a provider that is not there is named in the log, and asked again after a while", async () => {
  await using provider = new FakeProvider();
  provider.issuer.routes.set("/.well-known/openid-configuration", () => new Response(null, { status: 503 }));
  const begin = () => provider.login.begin(new Request(`${PUBLIC_URL}/auth/login`));
  expect((await begin()).status).toBe(502);
  expect((await begin()).status).toBe(502);
  expect(provider.issuer.asked).toHaveLength(1);
  provider.issuer.routes.delete("/.well-known/openid-configuration");
  provider.clockAhead = 10_000;
  expect((await begin()).status).toBe(303);
});

test.each<[string, Readonly<Record<string, unknown>>]>([
  ["another issuer", { issuer: "https://evil.example" }],
  ["no place to sign in", { authorization_endpoint: undefined }],
  ["a script as the place to sign in", { authorization_endpoint: "javascript:alert(1)" }],
])("a provider whose metadata names %s is not used", async (_, metadata) => {
  await using provider = new FakeProvider();
  provider.issuer.metadata = { ...provider.issuer.metadata, ...metadata };
  const response = await provider.login.begin(new Request(`${PUBLIC_URL}/auth/login`));
  expect([response.status, response.headers.get("Location")]).toEqual([502, null]);
});

test("the client's secret goes to no private address that the operator did not name", async () => {
  await using provider = new FakeProvider();
  await using other = new FakeProvider();
  provider.issuer.metadata = { ...provider.issuer.metadata, token_endpoint: `${other.issuer.url}/token` };
  await expectRefused(provider, await provider.finish(await provider.begin()), 502);
  expect(other.exchanges).toEqual([]);
});

test.each([
  "//evil.example",
  "///evil.example",
  "/\\evil.example",
  "\\\\evil.example",
  "/\t/evil.example",
  "/\n/evil.example",
  "\t//evil.example",
  " //evil.example",
  "https://evil.example",
  "https:evil.example",
  "javascript:alert(1)",
  "evil.example",
  "",
  "/a b",
  '/"><script>',
  "/a\0",
  "/a\r\nSet-Cookie: x=y",
  "/ä",
  `/${"a".repeat(2_048)}`,
])("the way back never leads elsewhere: %j", async (returnTo) => {
  expect(toLocalPath(returnTo)).toBe("/");
  await using provider = new FakeProvider();
  const response = await provider.finish(await provider.begin(returnTo));
  expect(await response.text()).toContain('content="0;url=/">');
});

test.each(["/", "/r/team/app", "/r/a?tab=tags&sort=-name#top", "/a%20b", "/@a:b", "/%2F/x", "/%5Cevil"])(
  "the way back leads to %s",
  (returnTo) => {
    expect(toLocalPath(returnTo)).toBe(returnTo);
    expect(new URL(returnTo, PUBLIC_URL).origin).toBe(PUBLIC_URL);
  },
);

test("signing out ends the session and takes the cookie away", async () => {
  await using provider = new FakeProvider();
  await provider.finish(await provider.begin());
  const headers = { Cookie: "__Host-stowage=secret-0", Origin: PUBLIC_URL, "Sec-Fetch-Site": "same-origin" };
  const response = await provider.login.logout(
    new Request(`${PUBLIC_URL}/auth/logout`, { method: "POST", headers }),
  );
  expect(response.status).toBe(204);
  expect(cookiesOf(response)).toEqual([
    "__Host-stowage=; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=0",
  ]);
  expect(provider.sessions.size).toBe(0);
});

test.each<[string, Readonly<Record<string, string>>]>([
  ["another origin", { Origin: "https://evil.example" }],
  ["an origin that is hidden", { Origin: "null" }],
  ["an origin that begins the same", { Origin: `${PUBLIC_URL}.evil.example` }],
  ["another port", { Origin: `${PUBLIC_URL}:8443` }],
  ["another site", { "Sec-Fetch-Site": "cross-site" }],
  ["a neighbour", { "Sec-Fetch-Site": "same-site" }],
])("nobody is signed out from %s", async (_, headers) => {
  await using provider = new FakeProvider();
  await provider.finish(await provider.begin());
  const request = new Request(`${PUBLIC_URL}/auth/logout`, {
    method: "POST",
    headers: { ...headers, Cookie: "__Host-stowage=secret-0" },
  });
  expect((await provider.login.logout(request)).status).toBe(403);
  expect(provider.sessions.size).toBe(1);
});

test("LoginSeal gives back what it sealed, and never the same text twice", async () => {
  const seal = new LoginSeal(new Uint8Array(32).fill(1), () => 0);
  const login = { state: "s", nonce: "n", verifier: "v", returnTo: "/" };
  const [one, two] = [await seal.seal(login), await seal.seal(login)];
  expect(one).not.toBe(two);
  expect(await seal.open(one)).toEqual(login);
});
