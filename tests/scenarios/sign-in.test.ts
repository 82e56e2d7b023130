import { describe, expect, test } from "bun:test";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HtpasswdFile, parseHtpasswd } from "@stowage/server/auth/htpasswd";
import { KeyedHash } from "@stowage/server/auth/keyed-hash";
import { Passwords } from "@stowage/server/auth/passwords";
import { blobOf, imageOf } from "../support/content.ts";
import { basic, bearer, createAccount, PASSWORD, setRules, tokenFor } from "../support/sign-in.ts";
import { type RequestParts, TestApp } from "../support/test-app.ts";

const statusOf = async (app: TestApp, parts: RequestParts, path = "/v2/") =>
  (await app.request("GET", path, parts)).status;

const CERTIFICATE = {
  fingerprint: "ab".repeat(32),
  organizationalUnits: [],
  notAfter: Number.MAX_SAFE_INTEGER,
};

const bcrypt = (password: string, cost = 4) => Bun.password.hash(password, { algorithm: "bcrypt", cost });

function openPasswords(concurrencyMax: number, rests: number[] = []): Passwords {
  const wakeAfter = (ms: number, wake: () => void) => {
    rests.push(ms);
    wake();
  };
  let time = 0;
  const monotonic = () => (time += 10);
  return new Passwords({ concurrencyMax, keyedHash: new KeyedHash(), monotonic, wakeAfter });
}

describe("passwords", () => {
  test("the right one signs in and nothing else does", async () => {
    await using app = new TestApp({ auth: {} });
    await createAccount(app, "alice");
    await createAccount(app, "robot:ci");
    expect(await statusOf(app, basic("alice"))).toBe(200);
    for (const parts of [
      basic("alice", "wrong"),
      basic("alice", ""),
      basic("alice", `${PASSWORD} `),
      basic("alice", PASSWORD.toUpperCase()),
      basic("Alice"),
      basic("alice\0"),
      basic(""),
      basic("robot:ci"),
      basic("a".repeat(10_000)),
      basic("alice", "p".repeat(5_000)),
      { headers: { Authorization: "Basic" } },
      { headers: { Authorization: "Basic YWxpY2U=" } },
      { headers: { Authorization: `Basic ${"A".repeat(30_000)}` } },
      { headers: { Authorization: "Bearer " } },
      { headers: { Authorization: "alice" } },
    ]) {
      expect([parts, await statusOf(app, parts)]).toEqual([parts, 401]);
    }
  });

  test("a password that was right is not computed again, and a changed one ends that", async () => {
    await using app = new TestApp({ auth: {} });
    await createAccount(app, "alice");
    expect(await statusOf(app, basic("alice"))).toBe(200);
    expect(await statusOf(app, basic("alice"))).toBe(200);
    await app.metadata.accounts.update("alice", { passwordHash: await bcrypt("another one") });
    expect(await statusOf(app, basic("alice"))).toBe(401);
    expect(await statusOf(app, basic("alice", "another one"))).toBe(200);
  });

  test("an account that is disabled, has ended or is gone does not sign in", async () => {
    await using app = new TestApp({ auth: {} });
    await createAccount(app, "alice", { expiresAt: Date.now() + 60_000 });
    expect(await statusOf(app, basic("alice"))).toBe(200);
    app.clockAhead += 61_000;
    expect(await statusOf(app, basic("alice"))).toBe(401);
    await app.metadata.accounts.update("alice", { expiresAt: null });
    expect(await statusOf(app, basic("alice"))).toBe(200);
    await app.metadata.accounts.update("alice", { isDisabled: true });
    expect(await statusOf(app, basic("alice"))).toBe(401);
    await app.metadata.accounts.remove("alice");
    expect(await statusOf(app, basic("alice"))).toBe(401);
  });

  test("argon2id and bcrypt hashes are both verified, and long passwords as every other program does", async () => {
    const passwords = openPasswords(2);
    const long = `${"x".repeat(71)}€ and more`;
    // bcrypt has always looked at 72 bytes: in the middle of a character, too.
    const asOthersDo = await Bun.password.hash(Buffer.from(long).subarray(0, 72), {
      algorithm: "bcrypt",
      cost: 4,
    });
    const decoys: readonly string[] = [];
    expect(await passwords.verify("a", long, { hash: asOthersDo, decoys })).toBe(true);
    expect(await passwords.verify("a", "x".repeat(71), { hash: asOthersDo, decoys })).toBe(false);
    const argon2 = await passwords.hash(long);
    expect(argon2).toStartWith("$argon2id$v=19$m=19456,t=2,p=1$");
    expect(await passwords.verify("a", long, { hash: argon2, decoys })).toBe(true);
    expect(await passwords.verify("a", `${long}!`, { hash: argon2, decoys })).toBe(false);
    expect(await passwords.verify("a", "x".repeat(1_025), { hash: argon2, decoys })).toBe(false);
  });

  test("checks are few at a time, wait in a short queue, and beyond it are told to come back", async () => {
    const passwords = openPasswords(1);
    const hash = await bcrypt("right");
    const all = await Promise.allSettled(
      Array.from({ length: 60 }, (_, at) => passwords.verify("a", `guess ${at}`, { hash, decoys: [] })),
    );
    const refused = all.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
    expect(all.length - refused.length).toBe(33);
    expect(refused.every((reason) => reason.code === "TOOMANYREQUESTS")).toBe(true);
    expect(await passwords.verify("a", "right", { hash, decoys: [] })).toBe(true);
  });

  test("after a wrong one the core rests for as long as it worked, after a right one it does not", async () => {
    const rests: number[] = [];
    const passwords = openPasswords(1, rests);
    const hash = await bcrypt("right");
    await passwords.verify("a", "right", { hash, decoys: [] });
    expect(rests).toEqual([]);
    await passwords.verify("a", "wrong", { hash, decoys: [] });
    await passwords.verify("nobody", "wrong", { hash: null, decoys: [] });
    expect(rests).toEqual([10, 10]);
  });
});

describe("htpasswd", () => {
  test("parseHtpasswd reads what htpasswd -B writes, and says every problem of the rest", async () => {
    const hash = (await bcrypt("x")).replace("$2b$", "$2y$");
    const good = parseHtpasswd(`# people\nalice:${hash}\r\n\nbob:${hash.replace("$2y$", "$2a$")}\n`);
    expect(good.ok && [...good.hashes.keys()]).toEqual(["alice", "bob"]);
    const bad = parseHtpasswd(
      [
        "alice:$apr1$abc$def",
        "bob:{SHA}x",
        "carol",
        `dave:${hash}`,
        `dave:${hash}`,
        `eve:${hash.replace("$04$", "$17$")}`,
        ":x",
      ].join("\n"),
    );
    expect(bad).toEqual({
      ok: false,
      problems: [
        'line 1: the hash of "alice" is $apr1$; wanted bcrypt: htpasswd -B FILE alice',
        'line 2: the hash of "bob" is {SHA}; wanted bcrypt: htpasswd -B FILE bob',
        "line 3: wanted NAME:HASH",
        'line 5: "dave" is there twice',
        'line 6: the hash of "eve" has cost 17; wanted 4 to 14',
        "line 7: wanted NAME:HASH",
      ],
    });
  });

  test("who is in the file works as with registry:2; a change counts, and a broken file changes nothing", async () => {
    const folder = await mkdtemp(join(tmpdir(), "stowage-htpasswd-"));
    const path = join(folder, "htpasswd");
    const warnings: string[] = [];
    let now = 0;
    const log = {
      warn: (_message: string, { problem }: Readonly<Record<string, string>>) => warnings.push(problem ?? ""),
    };
    const write = async (text: string) => {
      await writeFile(`${path}.new`, text);
      await rename(`${path}.new`, path);
      now += 2_000;
    };
    await write(`alice:${await bcrypt("one")}\n`);
    const htpasswd = await HtpasswdFile.open(path, { log, monotonic: () => now });
    await using app = new TestApp({ auth: { htpasswd } });
    const image = imageOf([blobOf("layer")]);
    expect((await app.pushImage("any/where", "v1", image, basic("alice", "one"))).status).toBe(201);
    expect((await app.request("DELETE", "/v2/any/where/manifests/v1", basic("alice", "one"))).status).toBe(
      202,
    );
    expect((await app.request("GET", "/api/v1/gc", basic("alice", "one"))).status).toBe(403);
    const token = bearer(await tokenFor(app, basic("alice", "one"), "repository:any/where:pull"));
    expect(await statusOf(app, token)).toBe(200);
    await write(`bob:${await bcrypt("two")}\n`);
    expect(await statusOf(app, basic("alice", "one"))).toBe(401);
    expect(await statusOf(app, token)).toBe(401);
    expect(await statusOf(app, basic("bob", "two"))).toBe(200);
    await write("bob:$apr1$x$y\n");
    expect(await statusOf(app, basic("bob", "two"))).toBe(200);
    expect(warnings).toEqual(['line 1: the hash of "bob" is $apr1$; wanted bcrypt: htpasswd -B FILE bob']);
    await rm(path);
    now += 2_000;
    expect(await statusOf(app, basic("bob", "two"))).toBe(200);
    expect(warnings).toHaveLength(2);
    await rm(folder, { recursive: true });
  });

  test("a file that cannot be used stops the start, with every problem", async () => {
    const folder = await mkdtemp(join(tmpdir(), "stowage-htpasswd-"));
    const options = { log: { warn: () => undefined }, monotonic: () => 0 };
    await writeFile(join(folder, "bad"), "a:b\nc\n");
    expect(HtpasswdFile.open(join(folder, "bad"), options)).rejects.toThrow(
      /line 1: .*; line 2: wanted NAME:HASH/,
    );
    expect(HtpasswdFile.open(join(folder, "none"), options)).rejects.toThrow("cannot read the htpasswd file");
    await rm(folder, { recursive: true });
  });

  test("rules that are set replace what the file gives by itself", async () => {
    const folder = await mkdtemp(join(tmpdir(), "stowage-htpasswd-"));
    await writeFile(join(folder, "htpasswd"), `alice:${await bcrypt("one")}\n`);
    const options = { log: { warn: () => undefined }, monotonic: () => 0 };
    await using app = new TestApp({
      auth: { htpasswd: await HtpasswdFile.open(join(folder, "htpasswd"), options) },
    });
    await setRules(app, [["group:htpasswd", "team/**", "reader"]]);
    expect(await statusOf(app, basic("alice", "one"), "/v2/team/x/tags/list")).toBe(404);
    expect(await statusOf(app, basic("alice", "one"), "/v2/other/x/tags/list")).toBe(403);
    await rm(folder, { recursive: true });
  });
});

describe("access tokens", () => {
  async function makeToken(
    app: TestApp,
    account: string,
    extra: { readonly expiresAt?: number } = {},
  ): Promise<{ readonly secret: string; readonly id: string }> {
    const wanted = {
      kind: "personal",
      account,
      label: "laptop",
      limit: null,
      expiresAt: extra.expiresAt ?? null,
    } as const;
    const made = await app.auth?.tokens.create(wanted);
    if (made === undefined) throw new Error("no authentication");
    return { secret: made.secret, id: made.token.id };
  }

  test("one stands for the password, as Basic under any name and as Bearer, until it ends", async () => {
    await using app = new TestApp({ auth: {} });
    await createAccount(app, "robot:ci");
    const { secret, id } = await makeToken(app, "robot:ci", { expiresAt: Date.now() + 60_000 });
    for (const parts of [basic("ci", secret), basic("whoever", secret), bearer(secret)]) {
      expect(await statusOf(app, parts)).toBe(200);
    }
    expect(app.log).toContain(`"caller":"robot:ci","credential":"access-token:${id}"`);
    expect(app.log).not.toContain(secret);
    app.clockAhead += 61_000;
    expect(await statusOf(app, bearer(secret))).toBe(401);
  });

  test("a revoked one, a changed one and one of an account that is gone are refused at once", async () => {
    await using app = new TestApp({ auth: {} });
    await createAccount(app, "alice");
    const { secret, id } = await makeToken(app, "alice");
    expect(await statusOf(app, bearer(secret))).toBe(200);
    const last = secret.at(-1) === "A" ? "B" : "A";
    for (const wrong of [
      secret.slice(0, -1) + last,
      secret.slice(0, -1),
      `${secret}A`,
      `stw_${id}_`,
      "stw_",
      secret.toUpperCase(),
    ]) {
      expect([wrong, await statusOf(app, bearer(wrong))]).toEqual([wrong, 401]);
    }
    const other = await makeToken(app, "alice");
    expect(await statusOf(app, bearer(`stw_${other.id}_${secret.slice(-43)}`))).toBe(401);
    await app.metadata.tokens.revoke(id, null);
    expect(await statusOf(app, bearer(secret))).toBe(401);
    await app.metadata.accounts.update("alice", { isDisabled: true });
    expect(await statusOf(app, bearer(other.secret))).toBe(401);
  });

  test("the store has no secret, and knows when a token was used", async () => {
    await using app = new TestApp({ auth: {} });
    await createAccount(app, "alice");
    const { secret, id } = await makeToken(app, "alice");
    const stored = await app.metadata.tokens.find(id);
    expect(JSON.stringify(stored)).not.toContain(secret.slice(-43));
    expect(stored?.usedAt).toBeNull();
    await statusOf(app, bearer(secret));
    await app.auth?.uses.flush();
    expect((await app.metadata.tokens.find(id))?.usedAt).toBeGreaterThan(0);
  });

  test("an account keeps a bounded number of refresh tokens: the longest unused goes", async () => {
    await using app = new TestApp({ auth: {} });
    await createAccount(app, "alice");
    const secrets: string[] = [];
    for (let at = 0; at < 103; at++) {
      app.clockAhead += 1;
      secrets.push((await app.auth?.tokens.createRefreshToken("alice", "docker")) ?? "");
    }
    const query = { account: "alice", kinds: ["refresh"], after: "", entriesMax: 1_000 } as const;
    expect(await app.metadata.tokens.list(query)).toHaveLength(100);
    await expect(app.auth?.authenticator.refresh(secrets[0] ?? "")).rejects.toThrow("not valid");
    expect(await app.auth?.authenticator.refresh(secrets[102] ?? "")).toMatchObject({ name: "alice" });
  });
});

describe("certificates and sessions", () => {
  test("a certificate signs in under its names, and a token for it carries them", async () => {
    await using app = new TestApp({ auth: {} });
    await setRules(app, [["certificate:dns:build.example", "team/**", "writer"]]);
    const clientCertificate = {
      commonName: "build 1",
      names: ["dns:build.example"],
      ...CERTIFICATE,
    };
    const path = "/v2/team/app/tags/list";
    expect(await statusOf(app, { clientCertificate }, path)).toBe(404);
    const token = bearer(await tokenFor(app, { clientCertificate }, "repository:team/app:pull"));
    expect(await statusOf(app, token, path)).toBe(404);
    expect(await statusOf(app, { clientCertificate: { ...clientCertificate, names: [] } }, path)).toBe(403);
    expect(
      await statusOf(app, { clientCertificate: { ...clientCertificate, commonName: null, names: [] } }),
    ).toBe(401);
    expect(app.log).toContain('"caller":"certificate:build 1"');
    const pretender = { ...clientCertificate, commonName: "dns:build.example", names: ["dns:other.example"] };
    expect(await statusOf(app, { clientCertificate: pretender }, path)).toBe(403);
  });

  test("credentials that are said win over a certificate: wrong ones are not made good by it", async () => {
    await using app = new TestApp({ auth: {} });
    const clientCertificate = { commonName: "build-1", names: [], ...CERTIFICATE };
    expect(await statusOf(app, { clientCertificate, ...basic("nobody") })).toBe(401);
  });

  test("the page of another site does not push with the certificate of somebody's browser", async () => {
    await using app = new TestApp({ auth: {} });
    await setRules(app, [["certificate:build-1", "team/**", "writer"]]);
    const clientCertificate = { commonName: "build-1", names: [], ...CERTIFICATE };
    const push = async (headers: Readonly<Record<string, string>>) =>
      (await app.request("POST", "/v2/team/app/blobs/uploads/", { clientCertificate, headers })).status;
    expect(await push({ "Sec-Fetch-Site": "cross-site" })).toBe(403);
    expect(await push({ Origin: "https://evil.example", Host: "registry.test" })).toBe(403);
    expect(await push({ Origin: "https://registry.test", Host: "registry.test" })).toBe(202);
    expect(await push({})).toBe(202);
  });

  test("a session's cookie counts on the management API and never on /v2/", async () => {
    await using app = new TestApp({ auth: {} });
    await createAccount(app, "root", { isAdmin: true });
    const wanted = {
      kind: "session",
      account: "root",
      label: "browser",
      limit: null,
      expiresAt: null,
    } as const;
    const secret = (await app.auth?.tokens.create(wanted))?.secret ?? "";
    for (const name of ["stowage", "__Host-stowage"]) {
      const parts = { headers: { Cookie: `a=b; ${name}=${secret}` } };
      expect(await statusOf(app, parts, "/api/v1/gc")).toBe(200);
      expect(await statusOf(app, parts, "/v2/")).toBe(401);
      expect(await statusOf(app, parts, "/v2/_catalog")).toBe(401);
    }
    expect(await statusOf(app, bearer(secret), "/api/v1/gc")).toBe(401);
    const wrong = { headers: { Cookie: `stowage=${secret.slice(0, -1)}` } };
    expect(await statusOf(app, wrong, "/api/v1/gc")).toBe(401);
  });
});
