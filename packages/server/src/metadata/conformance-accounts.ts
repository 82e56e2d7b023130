import { describe, expect, test } from "bun:test";
import { type AccessToken, type NewAccount, PERSONAL_TOKENS_MAX } from "./accounts.ts";
import type { MetadataUnderTest } from "./conformance-content.ts";

function accountNamed(name: string, extra: Partial<NewAccount> = {}): NewAccount {
  return {
    name,
    kind: "user",
    passwordHash: "$argon2id$1",
    isAdmin: false,
    groups: [],
    grants: [],
    description: "",
    createdBy: "somebody",
    expiresAt: null,
    ...extra,
  };
}

function tokenOf(account: string, id: string, extra: Partial<AccessToken> = {}) {
  const secretHash = "0".repeat(64);
  return {
    id,
    kind: "personal",
    account,
    label: "laptop",
    secretHash,
    limit: null,
    expiresAt: null,
    ...extra,
  } as const;
}

const ANY = { onlyFirst: false };

/** What a metadata store must do for those who sign in. */
export function testAccounts(get: () => MetadataUnderTest): void {
  describe("accounts", () => {
    testAccountUnits(get);
    testTokens(get);
    testKeys(get);
  });
}

function testAccountUnits(get: () => MetadataUnderTest): void {
  test("an account is created once, and found as it was made", async () => {
    const { accounts } = get().metadata;
    const grants = [{ repositories: ["team/**"], may: ["pull"] }];
    const robot = accountNamed("robot:ci", { kind: "robot", passwordHash: null, grants, expiresAt: 5 });
    expect(await accounts.find("robot:ci")).toBeNull();
    expect(await Promise.all([accounts.create(robot, ANY), accounts.create(robot, ANY)])).toEqual([
      true,
      false,
    ]);
    expect(await accounts.find("robot:ci")).toEqual({
      ...robot,
      externalId: null,
      createdAt: 1_000_000,
      disabledAt: null,
    });
    expect(await accounts.find("robot:c")).toBeNull();
  });

  test("a new account has no token that somebody of that name left behind", async () => {
    const { accounts, tokens } = get().metadata;
    await tokens.create(tokenOf("alice", "left"));
    await tokens.create(tokenOf("bob", "other"));
    expect(await accounts.create(accountNamed("alice"), ANY)).toBe(true);
    expect(await tokens.find("left")).toBeNull();
    await tokens.create(tokenOf("alice", "own"));
    expect(await accounts.create(accountNamed("alice"), ANY)).toBe(false);
    expect([await tokens.find("own"), await tokens.find("other")]).not.toContain(null);
  });

  test("of several first accounts one is made", async () => {
    const { accounts } = get().metadata;
    const first = { onlyFirst: true };
    const made = [accounts.create(accountNamed("a"), first), accounts.create(accountNamed("b"), first)];
    expect(await Promise.all(made)).toEqual([true, false]);
  });

  test("what is changed is changed, and the rest stays", async () => {
    const { metadata, advanceClock } = get();
    const { accounts } = metadata;
    await accounts.create(accountNamed("alice", { isAdmin: true, description: "d" }), ANY);
    expect(await accounts.update("nobody", { isAdmin: true })).toBeNull();
    expect(await accounts.update("alice", { isAdmin: false, groups: ["g"] })).toMatchObject({
      isAdmin: false,
      groups: ["g"],
      description: "d",
      passwordHash: "$argon2id$1",
      disabledAt: null,
    });
    await accounts.update("alice", { isDisabled: true });
    advanceClock(10);
    expect(await accounts.update("alice", { isDisabled: true })).toMatchObject({ disabledAt: 1_000_000 });
    expect(await accounts.update("alice", { isDisabled: false })).toMatchObject({ disabledAt: null });
    expect(await accounts.find("alice")).toMatchObject({ disabledAt: null, groups: ["g"] });
  });

  test("the last administrator stays one, also when two of them leave at once", async () => {
    const { accounts } = get().metadata;
    await accounts.create(accountNamed("a", { isAdmin: true }), ANY);
    await accounts.create(accountNamed("b", { isAdmin: true }), ANY);
    await accounts.create(accountNamed("soon", { isAdmin: true, expiresAt: 2_000_000 }), ANY);
    await accounts.create(accountNamed("oidc:x", { isAdmin: true, kind: "person" }), ANY);
    const demoted = { isAdmin: false };
    const both = [accounts.updateKeepingAdmin("a", demoted), accounts.removeKeepingAdmin("b")];
    expect(await Promise.all(both)).toEqual([
      expect.objectContaining({ name: "a", isAdmin: false }),
      "last-administrator",
    ]);
    for (const changes of [demoted, { isDisabled: true }, { expiresAt: 5 }]) {
      expect(await accounts.updateKeepingAdmin("b", changes)).toBe("last-administrator");
    }
    expect(await accounts.updateKeepingAdmin("b", { description: "x", expiresAt: null })).toMatchObject({
      isAdmin: true,
      description: "x",
    });
    expect(await accounts.updateKeepingAdmin("nobody", demoted)).toBeNull();
    expect(await accounts.removeKeepingAdmin("nobody")).toBe(false);
    expect(await accounts.removeKeepingAdmin("soon")).toBe(true);
  });

  test("accounts are listed by name, in pages and by kind", async () => {
    const { accounts } = get().metadata;
    for (const name of ["b", "a", "c"]) await accounts.create(accountNamed(name), ANY);
    await accounts.create(accountNamed("robot:x", { kind: "robot" }), ANY);
    const names = async (after: string, entriesMax: number) =>
      (await accounts.list({ kinds: ["user"], after, entriesMax })).map(({ name }) => name);
    expect(await names("", 2)).toEqual(["a", "b"]);
    expect(await names("b", 2)).toEqual(["c"]);
    const robots = await accounts.list({ kinds: ["robot", "person"], after: "", entriesMax: 9 });
    expect(robots.map(({ name }) => name)).toEqual(["robot:x"]);
  });
}

function testTokens(get: () => MetadataUnderTest): void {
  test("an account has a hundred personal tokens, those that have ended not counted", async () => {
    const { tokens } = get().metadata;
    const create = (id: string, extra: Partial<AccessToken> = {}) =>
      tokens.create(tokenOf("alice", id, extra));
    await create("ended", { expiresAt: 5 });
    for (let at = 0; at < PERSONAL_TOKENS_MAX; at++) expect(await create(`t${at}`)).not.toBeNull();
    expect(await create("more")).toBeNull();
    expect(await tokens.find("more")).toBeNull();
    expect(await create("refresh", { kind: "refresh" })).not.toBeNull();
    expect(await tokens.create(tokenOf("bob", "bobs"))).not.toBeNull();
    await tokens.revoke("t7", null);
    expect(await create("more")).not.toBeNull();
  });

  test("a new token ends the others of its account, and no later than they would", async () => {
    const { tokens } = get().metadata;
    for (const token of [
      tokenOf("alice", "new"),
      tokenOf("alice", "old"),
      tokenOf("alice", "sooner", { expiresAt: 5 }),
      tokenOf("alice", "login", { kind: "refresh", expiresAt: 9 }),
      tokenOf("bob", "other"),
    ]) {
      await tokens.create(token);
    }
    await tokens.endOthers("new", 8);
    const ends = ["new", "old", "sooner", "login", "other"].map(
      async (id) => (await tokens.find(id))?.expiresAt,
    );
    expect(await Promise.all(ends)).toEqual([null, 8, 5, 9, null]);
  });

  test("a token is found by its id until it is revoked, by its owner or by anybody", async () => {
    const { tokens } = get().metadata;
    const limit = [{ repositories: ["a"], may: ["pull"] }];
    const made = await tokens.create(tokenOf("alice", "t1", { limit, expiresAt: 7 }));
    expect(made).toMatchObject({ createdAt: 1_000_000, usedAt: null });
    expect(await tokens.find("t1")).toEqual(made);
    expect(await tokens.revoke("t1", "bob")).toBe(false);
    expect(await tokens.find("t1")).toEqual(made);
    expect(await tokens.revoke("t1", "alice")).toBe(true);
    expect(await tokens.find("t1")).toBeNull();
    await tokens.create(tokenOf("alice", "t2"));
    expect(await tokens.revoke("t2", null)).toBe(true);
    expect(await tokens.revoke("t2", null)).toBe(false);
  });

  test("a new password or the end of an account ends what was signed in with the old one", async () => {
    const { accounts, tokens } = get().metadata;
    const left = async () =>
      (
        await tokens.list({
          account: "alice",
          kinds: ["personal", "refresh", "session"],
          after: "",
          entriesMax: 9,
        })
      ).map(({ id }) => id);
    await accounts.create(accountNamed("alice"), ANY);
    for (const kind of ["personal", "refresh", "session"] as const) {
      await tokens.create(tokenOf("alice", kind, { kind }));
    }
    await tokens.create(tokenOf("bob", "other", { kind: "refresh" }));
    await accounts.update("alice", { isAdmin: true });
    expect(await left()).toEqual(["personal", "refresh", "session"]);
    await accounts.update("alice", { passwordHash: "$argon2id$2" });
    expect(await left()).toEqual(["personal"]);
    expect(await accounts.remove("alice")).toBe(true);
    expect(await accounts.remove("alice")).toBe(false);
    expect(await left()).toEqual([]);
    expect(await tokens.find("other")).not.toBeNull();
  });

  test("use of a token is noted, and puts the end off of one that has an end", async () => {
    const { tokens } = get().metadata;
    await tokens.create(tokenOf("alice", "t1", { expiresAt: 100 }));
    await tokens.create(tokenOf("alice", "t2"));
    await tokens.noteUse([
      { id: "t1", at: 50, extendTo: 90 },
      { id: "t2", at: 50, extendTo: 90 },
      { id: "gone", at: 50, extendTo: null },
    ]);
    expect(await tokens.find("t1")).toMatchObject({ usedAt: 50, expiresAt: 100 });
    expect(await tokens.find("t2")).toMatchObject({ usedAt: 50, expiresAt: null });
    await tokens.noteUse([{ id: "t1", at: 40, extendTo: 200 }]);
    expect(await tokens.find("t1")).toMatchObject({ usedAt: 50, expiresAt: 200 });
  });

  test("tokens that have ended are forgotten, a few at a time", async () => {
    const { metadata, advanceClock } = get();
    for (const [id, ms] of [
      ["a", 1],
      ["b", 2],
      ["c", 1_000],
    ] as const) {
      await metadata.tokens.create(tokenOf("alice", id, { expiresAt: 1_000_000 + ms }));
    }
    await metadata.tokens.create(tokenOf("alice", "d"));
    expect(await metadata.tokens.expire(10)).toBe(0);
    advanceClock(10);
    expect(await metadata.tokens.expire(1)).toBe(1);
    expect(await metadata.tokens.expire(10)).toBe(1);
    expect(await metadata.tokens.expire(10)).toBe(0);
    expect(await metadata.tokens.find("c")).not.toBeNull();
    expect(await metadata.tokens.find("d")).not.toBeNull();
  });
}

function testKeys(get: () => MetadataUnderTest): void {
  test("of replicas that rotate together one adds a key, and keys go when their tokens have ended", async () => {
    const { metadata, advanceClock } = get();
    const { keys } = metadata;
    const key = (kid: string, until: number) => ({
      kid,
      privateJwk: "{}",
      signsUntil: 1_000_000 + until,
      verifiesUntil: 1_000_000 + 2 * until,
    });
    const options = { ifNoneSince: 0, endingAll: false };
    expect(await Promise.all([keys.add(key("k1", 10), options), keys.add(key("k2", 10), options)])).toEqual([
      true,
      false,
    ]);
    expect((await keys.list()).map(({ kid }) => kid)).toEqual(["k1"]);
    advanceClock(5);
    expect(await keys.add(key("k3", 100), { ifNoneSince: 1_000_000, endingAll: true })).toBe(true);
    expect(await keys.list()).toMatchObject([{ kid: "k3" }, { kid: "k1", signsUntil: 1_000_005 }]);
    advanceClock(20);
    expect(await keys.add(key("k4", 100), { ifNoneSince: 1_000_006, endingAll: false })).toBe(true);
    expect((await keys.list()).map(({ kid }) => kid)).toEqual(["k4", "k3"]);
    await keys.clear();
    expect(await keys.list()).toEqual([]);
  });
}
