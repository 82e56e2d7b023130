import { afterAll, beforeAll, describe, expect, test, setDefaultTimeout } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FilesystemBlobStore } from "@stowage/server/blobstore/filesystem/filesystem-blob-store";
import { RegistryProcess, WORKSPACE } from "../support/registry-process.ts";
import { TestApp } from "../support/test-app.ts";

// A test here starts twenty processes, and other suites run beside it.
setDefaultTimeout(30_000);

const MAIN = join(WORKSPACE, "packages", "cli", "src", "main.ts");
const SECRET = /^stw_[A-Za-z0-9]{12}_[A-Za-z0-9_-]{43}\n$/;

let folder = "";
let data = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "stowage-admin-"));
  data = join(folder, "data");
  const store = await FilesystemBlobStore.open(data);
  await using _ = new TestApp({ store, databasePath: join(data, "stowage.sqlite") });
});

afterAll(async () => await rm(folder, { recursive: true, force: true }));

interface Said {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs `stowage admin ...` as a script does. */
async function admin(args: readonly string[], { stdin = "", env = {} }: Said = {}) {
  const child = Bun.spawn([process.execPath, MAIN, "admin", ...args], {
    cwd: folder,
    stdin: new Blob([stdin]),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...env },
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, stdout, stderr };
}

const here = async (...args: readonly string[]) => await admin([...args, "--data-dir", data]);

describe("stowage admin on a data folder", () => {
  test("trusts issuers elsewhere by a document, and says what is wrong with one", async () => {
    const rule = {
      claims: { repository_owner_id: "1", ref: "refs/heads/main" },
      repositories: ["acme/**"],
      may: ["push"],
    };
    const trust = {
      name: "gh",
      issuer: "https://token.actions.githubusercontent.com",
      audience: "r",
      rules: [rule],
    };
    const set = async (document: unknown) =>
      await admin(["workload", "set", "-", "--data-dir", data], { stdin: JSON.stringify(document) });
    expect(await set([trust])).toEqual({ code: 0, stdout: "", stderr: "1 issuer is trusted\n" });
    const stored = JSON.parse((await here("workload", "get")).stdout) as unknown;
    expect(stored).toMatchObject([{ name: "gh", rules: [{ repositories: ["acme/**"], may: ["push"] }] }]);
    const { name: _, ...nameless } = trust;
    const wrong = await set([nameless]);
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining("0.name")]);
    const forAll = await set([{ ...trust, rules: [{ ...rule, claims: { ref: "refs/heads/main" } }] }]);
    expect([forAll.code, forAll.stderr]).toEqual([2, expect.stringContaining("claims")]);
    expect(JSON.parse((await here("workload", "get")).stdout)).toEqual(stored);
    expect((await set([])).code).toBe(0);
  });

  test("makes users, and prints of secrets only those that it made", async () => {
    const given = await admin(["user", "create", "bob", "--admin", "--password-stdin", "--data-dir", data], {
      stdin: "a password of bob\n",
    });
    expect(given).toEqual({ code: 0, stdout: "", stderr: 'made the account "bob"\n' });
    const made = await here("user", "create", "alice", "--description", "on vacation", "-q");
    expect(made).toEqual({ code: 0, stdout: expect.stringMatching(/^[\w-]{24}\n$/), stderr: "" });
    expect((await here("user", "list", "-q")).stdout).toBe("alice\nbob\n");
    const table = (await here("user", "list")).stdout;
    expect(table).toMatch(
      /^NAME +ROLE +STATE +EXPIRES +DESCRIPTION\nalice +user +enabled +- +on vacation\nbob +admin/,
    );
    const json = JSON.parse((await here("user", "list", "--format", "json")).stdout) as unknown[];
    expect(json).toMatchObject([{ name: "alice" }, { name: "bob", isAdmin: true }]);
    expect((await here("user", "show", "alice")).stdout).toContain("description: on vacation\n");
    expect(await here("user", "disable", "alice")).toMatchObject({ code: 0, stdout: "" });
    expect((await here("user", "enable", "alice")).stderr).toBe('"alice" is a user, enabled\n');
    expect(await here("user", "delete", "alice")).toMatchObject({ code: 0, stdout: "" });
    // Who has the data folder comes in whatever happens.
    expect(await here("user", "demote", "bob")).toMatchObject({ code: 0 });
    expect(await here("user", "promote", "bob")).toMatchObject({ code: 0 });
  });

  test("makes robots, whose token is all there is on standard output", async () => {
    const made = await here("robot", "create", "ci", "--allow", "push:team/**", "--allow=pull:lib/**,x");
    expect(made.stdout).toMatch(SECRET);
    expect(made.stderr).toContain("push:team/** pull:lib/**,x");
    expect(await here("robot", "rotate", "ci", "-q")).toEqual({
      code: 0,
      stdout: expect.stringMatching(SECRET),
      stderr: "",
    });
    const json = await here("robot", "create", "json", "--format", "json");
    expect(JSON.parse(json.stdout)).toMatchObject({
      robot: { name: "json" },
      token: { secret: expect.any(String) },
    });
    await here("robot", "grant", "ci", "--allow", "delete:tmp/*");
    expect((await here("robot", "list")).stdout).toContain("push:team/** pull:lib/**,x delete:tmp/*");
    const [token] = (await here("token", "list", "--account", "robot:ci", "-q")).stdout.split("\n");
    expect(await here("token", "revoke", token ?? "", "--account", "robot:ci")).toMatchObject({ code: 0 });
    expect((await here("token", "create", "x", "--account", "robot:ci")).stdout).toMatch(SECRET);
    expect((await here("robot", "show", "ci")).stdout).toContain(" x, last used -\n");
    expect(await here("robot", "delete", "ci")).toMatchObject({ code: 0 });
  });

  test("edits the access rules, and says who may what", async () => {
    await here("access", "grant", "user:bob", "pull,delete", "team/**", "lib/*");
    await here("access", "grant", "anonymous", "pull", "public/**");
    const yes = await here("access", "check", "user:bob", "admin", "any/thing");
    expect(yes).toMatchObject({ code: 0, stdout: expect.stringMatching(/^yes: /) });
    const no = await here("access", "check", "anonymous", "push", "public/x");
    expect(no).toMatchObject({ code: 5, stdout: expect.stringMatching(/^no: /) });
    expect(await here("access", "revoke", "user:bob", "delete,pull", "lib/*")).toMatchObject({ code: 0 });
    expect(await here("access", "revoke", "anonymous")).toMatchObject({ code: 0 });
    expect(await here("access", "revoke", "anonymous")).toMatchObject({ code: 3 });
    const { stdout } = await here("access", "get");
    const { rules } = JSON.parse(stdout) as { rules: unknown[] };
    expect(rules).toContainEqual({ who: ["user:bob"], repositories: ["team/**"], may: ["pull", "delete"] });
    await writeFile(join(folder, "access.json"), '{"rules":[]}');
    expect(await here("access", "set", "access.json")).toMatchObject({ code: 0 });
    expect(await admin(["access", "set", "-", "--data-dir", data], { stdin: stdout })).toMatchObject({
      code: 0,
    });
    expect((await here("access", "get")).stdout).toBe(stdout);
  });

  test("lists and rotates keys, sets quotas, shows the audit trail", async () => {
    expect(await here("key", "rotate", "--revoke-all", "-q")).toMatchObject({ code: 0, stderr: "" });
    expect((await here("key", "list", "-q")).stdout.trim().split("\n")).toHaveLength(1);
    await here("quota", "set", "team", "--bytes", "10GiB", "--tags", "5");
    await here("quota", "set", "team", "--tags", "none", "--repositories", "7");
    const { stdout } = await here("quota", "list", "--format", "json");
    expect(JSON.parse(stdout)).toMatchObject([
      { namespace: "team", bytes: 10 * 2 ** 30, repositories: 7, tags: null },
    ]);
    expect((await here("quota", "list")).stdout).toContain("0 B of 10.0 GiB");
    expect(await here("quota", "remove", "team")).toMatchObject({ code: 0 });
    expect(await here("quota", "remove", "team")).toMatchObject({ code: 3 });
    expect(await here("audit", "--since", "24h", "--format", "json")).toMatchObject({ code: 0 });
  });

  test("tells apart what was wrong by its exit code, and helps", async () => {
    const table: readonly (readonly [readonly string[], number, string])[] = [
      [["user", "show", "nobody"], 3, "ACCOUNT_UNKNOWN"],
      [["user", "create", "bob"], 6, "CONFLICT"],
      [["user", "create", "../x"], 2, "REQUEST_INVALID"],
      [["user", "create"], 2, "NAME is missing"],
      [["user", "show", "a", "b"], 2, '"b" is one argument too many'],
      [["user", "lst"], 2, 'did you mean "list"?'],
      [["usr"], 2, 'did you mean "user"?'],
      [["user", "list", "--fromat", "json"], 2, "did you mean --format?"],
      [["user", "list", "--format", "xml"], 2, "wanted table, text, json"],
      [["user", "create", "x", "--password=secret"], 2, "--password-stdin"],
      [["user", "create", "x", "--generate", "--password-stdin"], 2, "exclude each other"],
      [["robot", "create", "x", "--allow", "push"], 2, "RIGHTS:GLOB"],
      [["robot", "create", "x", "--allow", "fly:a"], 2, "REQUEST_INVALID"],
      [["robot", "rotate", "x", "--overlap", "soon"], 2, "wanted a time"],
      [["token", "create", "x"], 2, "--server"],
      [["token", "create", "x", "--account", "bob"], 2, "nobody makes a token for somebody else"],
      [["quota", "set", "team"], 2, "--bytes"],
      [["quota", "set", "team", "--bytes", "ten"], 2, "10GiB"],
      [["access", "set", "absent.json"], 2, "cannot read"],
    ];
    for (const [args, code, text] of table) {
      const ran = await here(...args);
      expect({ args, code: ran.code, stdout: ran.stdout }).toEqual({ args, code, stdout: "" });
      expect(ran.stderr).toContain(text);
      expect(ran.stderr).not.toContain("secret");
    }
    for (const args of [["--help"], ["user", "--help"], ["robot", "create", "--help"]]) {
      expect(await admin(args)).toMatchObject({
        code: 0,
        stdout: expect.stringContaining("Examples:"),
        stderr: "",
      });
    }
    const absent = await admin(["user", "list", "--data-dir", join(folder, "absent")]);
    expect(absent).toMatchObject({ code: 1, stderr: expect.stringContaining("has no stowage.sqlite") });
  });
});

describe("stowage admin with a server", () => {
  test("does by the socket what it does without, and resets a lost password", async () => {
    await using _ = await RegistryProcess.start({ dataDir: data, args: ["--auth", "accounts"] });
    expect((await here("user", "list", "-q")).stdout).toContain("bob\n");
    expect((await here("user", "set-password", "bob", "-q")).stdout).toMatch(/^[\w-]{24}\n$/);
  });

  test("reaches it by its address with a password or a token, and manages one's own tokens with a password", async () => {
    await using registry = await RegistryProcess.start({ dataDir: data, args: ["--auth", "accounts"] });
    const password = (await here("user", "set-password", "bob", "-q")).stdout.trim();
    const there = async (env: Readonly<Record<string, string>>, ...args: readonly string[]) =>
      await admin([...args, "--server", registry.url], { env });
    const bob = { STOWAGE_USERNAME: "bob", STOWAGE_PASSWORD: password };
    expect((await there(bob, "user", "list", "-q")).stdout).toContain("bob\n");
    const made = await there(bob, "token", "create", "laptop", "--allow", "pull:team/**", "--expires", "1h");
    expect(made.stdout).toMatch(SECRET);
    const token = { STOWAGE_TOKEN: made.stdout.trim() };
    expect(await there(token, "user", "list")).toMatchObject({ code: 5 });
    expect(await there(token, "token", "create", "more")).toMatchObject({ code: 5 });
    expect(await there(bob, "token", "list")).toMatchObject({ stdout: expect.stringContaining("laptop") });
    expect(await there({}, "user", "list")).toMatchObject({ code: 4 });
    expect(await there({ ...bob, STOWAGE_PASSWORD: "wrong" }, "user", "list")).toMatchObject({ code: 4 });
  });

  test("sends no password in the clear over a network, nor to whoever it is sent on to", async () => {
    await using elsewhere = {
      server: Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        fetch: (request) => {
          asked.push(request.headers.get("Authorization"));
          return Response.redirect("http://127.0.0.1:1/api/v1/users", 307);
        },
      }),
      [Symbol.asyncDispose]: async () => {
        await elsewhere.server.stop(true);
      },
    };
    const asked: (string | null)[] = [];
    const env = { STOWAGE_TOKEN: "stw_x" };
    expect(await admin(["user", "list", "--server", "http://registry.example.com"], { env })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("wanted https"),
    });
    const redirected = await admin(
      ["user", "list", "--server", `http://127.0.0.1:${elsewhere.server.port}`],
      { env },
    );
    expect([redirected.code === 0, asked]).toEqual([false, ["Bearer stw_x"]]);
    expect(await admin(["user", "list", "--server", "http://127.0.0.1:1"], { env })).toMatchObject({
      code: 8,
    });
    const broken = { STOWAGE_TOKEN: "stw_secret\nX: y" };
    const refused = await admin(["user", "list", "--server", "http://127.0.0.1:1"], { env: broken });
    expect(refused).toMatchObject({ code: 2, stderr: expect.not.stringContaining("secret") });
  });
});
