import { expect, test } from "bun:test";
import { People } from "@stowage/server/auth/people";
import type { OidcIdentity } from "@stowage/server/http/oidc/identity";
import type { Login } from "@stowage/server/http/oidc/login";
import { FakeProvider, PUBLIC_URL } from "../support/fake-provider.ts";
import { basic, createAccount, setRules } from "../support/sign-in.ts";
import { TestApp } from "../support/test-app.ts";

/** A registry whose people sign in by a provider, everything through the door. */
class SignOn implements AsyncDisposable {
  readonly provider = new FakeProvider();
  readonly app: TestApp;

  constructor() {
    let people: People | null = null;
    const requirePeople = () => {
      if (people === null) throw new Error("nobody signs in yet");
      return people;
    };
    const login = this.provider.create({
      sessions: {
        create: async (identity: OidcIdentity) => await requirePeople().create(identity),
        end: async (secret: string) => await requirePeople().end(secret),
      },
    });
    this.app = new TestApp({ auth: {}, login, publicUrl: PUBLIC_URL });
    const { metadata, administration } = this.app;
    const { tokens } = administration.directory;
    people = new People({
      accounts: metadata.accounts,
      stored: metadata.tokens,
      tokens,
      now: administration.now,
    });
    const throughTheDoor: Login["begin"] = async (request) => {
      const target = request.url.slice(PUBLIC_URL.length);
      const headers = Object.fromEntries(request.headers);
      return await this.app.request(request.method, target, { headers });
    };
    this.provider.login = { begin: throughTheDoor, finish: throughTheDoor, logout: throughTheDoor };
  }

  /** Signs somebody in; the answer, and the cookie of the session. */
  async signIn(claims: Readonly<Record<string, unknown>> = {}) {
    this.provider.idToken = (nonce) => this.provider.signer.sign(this.provider.claims({ ...claims, nonce }));
    const response = await this.provider.finish(await this.provider.begin());
    const cookie = response.headers.getSetCookie().find((line) => line.startsWith("__Host-stowage="));
    return { status: response.status, cookie: cookie?.split(";")[0] ?? "" };
  }

  async whoAmI(cookie: string): Promise<Record<string, unknown> | number> {
    const response = await this.app.request("GET", "/api/v1/whoami", { headers: { Cookie: cookie } });
    return response.status === 200 ? ((await response.json()) as Record<string, unknown>) : response.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.app[Symbol.asyncDispose]();
    await this.provider[Symbol.asyncDispose]();
  }
}

test("who signs in has an account with the provider's groups, and what the rules give it", async () => {
  await using sso = new SignOn();
  await setRules(sso.app, [["group:dev", "team/**", "writer"]]);
  const { status, cookie } = await sso.signIn();
  expect(status).toBe(200);
  expect(await sso.whoAmI(cookie)).toMatchObject({
    name: "oidc:alice",
    credential: { kind: "session" },
    isAdmin: false,
    principals: ["anonymous", "authenticated", "oidc:alice", "group:dev", "group:ops"],
  });
  const repositories = await sso.app.request("GET", "/api/v1/repositories/team/x", {
    headers: { Cookie: cookie },
  });
  expect(repositories.status).toBe(404);
  expect(
    (await sso.app.request("GET", "/api/v1/repositories/other/x", { headers: { Cookie: cookie } })).status,
  ).toBe(403);
  expect((await sso.app.request("GET", "/v2/", { headers: { Cookie: cookie } })).status).toBe(401);
});

test("over https no session counts that a neighbouring host can plant", async () => {
  await using sso = new SignOn();
  const { cookie } = await sso.signIn();
  expect(await sso.whoAmI(cookie)).toMatchObject({ name: "oidc:alice" });
  expect(await sso.whoAmI(cookie.replace("__Host-stowage=", "stowage="))).toBe(401);
});

test("a token that somebody makes in their session is the password of docker login", async () => {
  await using sso = new SignOn();
  const { cookie } = await sso.signIn();
  const headers = { Cookie: cookie, "Content-Type": "application/json" };
  const made = await sso.app.request("POST", "/api/v1/self/tokens", { headers, body: '{"label":"laptop"}' });
  expect(made.status).toBe(201);
  const { secret } = (await made.json()) as { readonly secret: string };
  expect((await sso.app.request("GET", "/v2/", basic("alice", secret))).status).toBe(200);
});

test("groups follow the provider at the next sign-in", async () => {
  await using sso = new SignOn();
  await sso.signIn();
  const { cookie } = await sso.signIn({ groups: ["ops"] });
  const who = await sso.whoAmI(cookie);
  expect(who).toMatchObject({ principals: ["anonymous", "authenticated", "oidc:alice", "group:ops"] });
});

test("a name that another person has at the provider by now brings nothing of the one before", async () => {
  await using sso = new SignOn();
  const first = await sso.signIn();
  const second = await sso.signIn({ sub: "somebody else" });
  expect(second).toEqual({ status: 403, cookie: "" });
  expect(sso.provider.problems.join()).toContain(
    "the account of another person of that name; delete it first",
  );
  expect(await sso.whoAmI(first.cookie)).toMatchObject({ name: "oidc:alice" });
  await sso.app.metadata.accounts.remove("oidc:alice");
  expect((await sso.signIn({ sub: "somebody else" })).status).toBe(200);
  expect(await sso.whoAmI(first.cookie)).toBe(401);
});

test("a user of that name is somebody else, and a disabled account does not come in", async () => {
  await using sso = new SignOn();
  await createAccount(sso.app, "alice", { isAdmin: true });
  const { cookie } = await sso.signIn();
  expect(await sso.whoAmI(cookie)).toMatchObject({ name: "oidc:alice", isAdmin: false });
  await sso.app.metadata.accounts.update("oidc:alice", { isDisabled: true });
  expect(await sso.whoAmI(cookie)).toBe(401);
  expect((await sso.signIn()).cookie).toBe("");
});

test("a session ends by signing out, and by itself after its time", async () => {
  await using sso = new SignOn();
  const first = await sso.signIn();
  const out = await sso.app.request("POST", "/auth/logout", { headers: { Cookie: first.cookie } });
  expect(out.status).toBe(204);
  expect(await sso.whoAmI(first.cookie)).toBe(401);
  const second = await sso.signIn();
  expect(await sso.whoAmI(second.cookie)).toMatchObject({ name: "oidc:alice" });
  expect(sso.app.log).toMatch(/"message":"audit".*"action":"login.succeeded".*"account":"oidc:alice"/);
  sso.app.clockAhead += 12 * 3_600_000 + 1_000;
  expect(await sso.whoAmI(second.cookie)).toBe(401);
});

test("paths of sign-in take their own methods, and are not there without a provider", async () => {
  await using sso = new SignOn();
  expect((await sso.app.request("POST", "/auth/login")).status).toBe(405);
  expect((await sso.app.request("GET", "/auth/logout")).status).toBe(405);
  await using without = new TestApp({ auth: {} });
  for (const path of ["/auth/login", "/auth/callback"]) {
    expect((await without.request("GET", path)).status).toBe(404);
  }
});
