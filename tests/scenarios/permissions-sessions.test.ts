import { describe, expect, test } from "bun:test";
import { basic, bearer, createAccount, setRules } from "../support/sign-in.ts";
import { errorCode, type RequestParts, TestApp, type TestAppOptions } from "../support/test-app.ts";

/** Browsers' sessions: which requests they count for, and whose word about a request is taken. */

const PUBLIC_URL = "https://registry.example.com";
const JSON_BODY = { "Content-Type": "application/json" };

async function openApp(options: TestAppOptions = {}): Promise<TestApp> {
  const app = new TestApp({ auth: {}, publicUrl: PUBLIC_URL, ...options });
  for (const name of ["root", "mallory"]) await createAccount(app, name, { isAdmin: name === "root" });
  await setRules(app, [["user:root", "**", "admin"]]);
  return app;
}

async function sessionFor(app: TestApp, account: string): Promise<string> {
  const wish = { kind: "session", account, label: "", limit: null, expiresAt: null } as const;
  return (await app.auth?.tokens.create(wish))?.secret ?? "";
}

async function nameOf(app: TestApp, cookies: string): Promise<unknown> {
  const response = await app.request("GET", "/api/v1/whoami", { headers: { Cookie: cookies } });
  return response.status === 200 ? ((await response.json()) as { name: unknown }).name : response.status;
}

describe("the cookie of a session", () => {
  test("at an https address is the one that no other host can set", async () => {
    await using app = await openApp();
    const [own, slipped] = [await sessionFor(app, "root"), await sessionFor(app, "mallory")];
    expect(await nameOf(app, `__Host-stowage=${own}`)).toBe("root");
    expect(await nameOf(app, `stowage=${slipped}`)).toBe(401);
    expect(await nameOf(app, `stowage=${slipped}; __Host-stowage=${own}`)).toBe("root");
    expect(await nameOf(app, `__host-stowage=${slipped}`)).toBe(401);
    // Signed out, and somebody has put another one there meanwhile.
    expect(await nameOf(app, `__Host-stowage=; stowage=${slipped}`)).toBe(401);
  });

  test("on this machine, without TLS, has a plain name", async () => {
    await using app = await openApp({ publicUrl: "http://localhost:5000" });
    expect(await nameOf(app, `stowage=${await sessionFor(app, "root")}`)).toBe("root");
  });

  test("counts for the management API alone, and not beside an Authorization that is wrong", async () => {
    await using app = await openApp();
    const headers = { Cookie: `__Host-stowage=${await sessionFor(app, "root")}` };
    for (const [method, path] of [
      ["GET", "/v2/"],
      ["GET", "/v2/_catalog"],
      ["GET", "/v2/team/app/tags/list"],
      ["POST", "/v2/team/app/blobs/uploads/"],
      ["PUT", "/v2/team/app/manifests/v1"],
      ["DELETE", "/v2/team/app/manifests/v1"],
    ] as const) {
      expect([path, (await app.request(method, path, { headers })).status]).toEqual([path, 401]);
    }
    const token = await app.request("GET", "/token?service=stowage&scope=registry:catalog:*", { headers });
    expect(await token.json()).toMatchObject({ scope: "" });
    for (const { headers: wrong } of [basic("root", "wrong"), bearer("stw_x"), bearer("x")]) {
      const both = { headers: { ...headers, ...wrong } };
      expect((await app.request("GET", "/api/v1/whoami", both)).status).toBe(401);
    }
  });
});

describe("a change by a session", () => {
  interface Case {
    readonly name: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly isDone: boolean;
    readonly publicUrl?: string;
    readonly more?: Partial<RequestParts>;
  }
  const [HOST, OWN] = ["registry.example.com", PUBLIC_URL];
  const proxy = { trustedProxies: "10.0.0.0/8" };
  const cases: readonly Case[] = [
    { name: "of the registry's own page", headers: { Origin: OWN, Host: HOST }, isDone: true },
    { name: "behind a proxy that says nothing", headers: { Origin: OWN, Host: "inner:5000" }, isDone: true },
    { name: "of a client that is no browser", headers: { Host: HOST }, isDone: true },
    {
      name: "of the same name without TLS",
      headers: { Origin: `http://${HOST}`, Host: HOST },
      isDone: false,
    },
    {
      name: "of the same name without TLS, to a door with TLS",
      headers: { Origin: "http://inner:5000", Host: "inner:5000" },
      more: { isSecure: true },
      isDone: false,
    },
    {
      name: "of an inner name, to a door without TLS",
      headers: { Origin: "http://inner:5000", Host: "inner:5000" },
      isDone: true,
    },
    { name: "of another port", headers: { Origin: `${OWN}:8443`, Host: HOST }, isDone: false },
    { name: "of a neighbour", headers: { Origin: "https://evil.example.com", Host: HOST }, isDone: false },
    { name: "of nobody", headers: { Origin: "null", Host: HOST }, isDone: false },
    { name: "from another site", headers: { "Sec-Fetch-Site": "cross-site", Host: HOST }, isDone: false },
    { name: "from the same site", headers: { "Sec-Fetch-Site": "same-site", Host: HOST }, isDone: false },
    {
      name: "with a forwarded host that nobody vouches for",
      headers: { Origin: "https://evil.example", Host: HOST, "X-Forwarded-Host": "evil.example" },
      more: { address: "192.0.2.1" },
      isDone: false,
    },
    {
      name: "with the host that a trusted proxy says",
      headers: { Origin: "https://hub.example", Host: "inner", "X-Forwarded-Host": "hub.example" },
      more: { address: "::ffff:10.0.0.1" },
      isDone: true,
    },
  ];
  for (const { name, headers, isDone, more = {} } of cases) {
    test(`${name} is ${isDone ? "done" : "refused"}`, async () => {
      await using app = await openApp(proxy);
      const session = { Cookie: `__Host-stowage=${await sessionFor(app, "root")}` };
      const parts = { ...more, headers: { ...session, ...headers, ...JSON_BODY } };
      for (const [method, path, body] of [
        ["POST", "/api/v1/repositories", '{"name":"made"}'],
        ["PUT", "/api/v1/access", '{"rules":[]}'],
        ["POST", "/api/v1/self/tokens", '{"label":"x"}'],
        ["DELETE", "/api/v1/repositories/made", null],
      ] as const) {
        const response = await app.request(method, path, { ...parts, ...(body === null ? {} : { body }) });
        expect([path, response.status < 300]).toEqual([path, isDone]);
        if (!isDone) expect([response.status, await errorCode(response)]).toEqual([403, "DENIED"]);
      }
      // To look is another thing: no page of another site can read what is answered.
      expect((await app.request("GET", "/api/v1/whoami", parts)).status).toBe(200);
    });
  }
});

describe("what a request says of where it comes from", () => {
  const FORWARDED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "hub.example",
  };

  /** Address in the log, and realm of the challenge. */
  async function seen(address: string, headers: Readonly<Record<string, string>>) {
    await using app = new TestApp({ auth: {}, trustedProxies: "10.0.0.0/8,fd00::/8,127.0.0.1,fe80::/10" });
    const response = await app.request("GET", "/v2/", { address, headers: { Host: "r.test", ...headers } });
    const [, realm] = /realm="([^"]+)"/.exec(response.headers.get("WWW-Authenticate") ?? "") ?? [];
    const [, remote] = /"remote":"([^"]+)"/.exec(app.log) ?? [];
    return [remote, realm];
  }

  test.each([
    "10.0.0.1",
    "::ffff:10.0.0.1",
    "::FFFF:10.0.0.1",
    "::ffff:a00:1",
    "0:0:0:0:0:ffff:a00:1",
    "0000:0000:0000:0000:0000:ffff:0a00:0001",
    "fd00::1",
    "FD00:0:0::0001",
    "fe80::1%eth0",
    "127.0.0.1",
    "::ffff:127.0.0.1",
  ])("is believed of a trusted proxy, however its address is written: %s", async (address) => {
    expect(await seen(address, FORWARDED)).toEqual(["203.0.113.7", "https://hub.example/token"]);
    const forwarded = { Forwarded: 'for="[2001:DB8:0::1]";proto=https;host=hub.example' };
    expect(await seen(address, forwarded)).toEqual(["2001:db8::1", "https://hub.example/token"]);
  });

  test.each([
    ["11.0.0.1", "11.0.0.1"],
    ["::ffff:11.0.0.1", "11.0.0.1"],
    ["::10.0.0.1", "::a00:1"],
    ["::1", "::1"],
    ["64:ff9b::10.0.0.1", "64:ff9b::a00:1"],
    ["fc00::1", "fc00::1"],
    ["127.0.0.2", "127.0.0.2"],
  ])("is not believed of anybody else: %s", async (address, remote) => {
    const realm = "http://r.test/token";
    expect(await seen(address, FORWARDED)).toEqual([remote, realm]);
    expect(await seen(address, { Forwarded: "for=203.0.113.7;proto=https;host=hub.example" })).toEqual([
      remote,
      realm,
    ]);
  });

  test("never makes it a request through the socket of the data folder", async () => {
    await using app = await openApp({ trustedProxies: "10.0.0.0/8" });
    for (const hops of ["127.0.0.1", "unix", "::1", "", "10.0.0.2"]) {
      const headers = { ...FORWARDED, "X-Forwarded-For": hops };
      expect((await app.request("GET", "/api/v1/users", { address: "10.0.0.1", headers })).status).toBe(401);
    }
  });
});
