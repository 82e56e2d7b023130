import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmod, mkdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startRegistry, type TestRegistry } from "@stowage/server/testing";
import { TestHome } from "../support/run-stowage.ts";
import { WORKSPACE } from "../support/registry-process.ts";

let open: TestRegistry;
let closed: TestRegistry;
let secret = "";

beforeAll(async () => {
  open = await startRegistry();
  closed = await startRegistry({ args: ["--auth", "accounts"] });
  secret = /password {2}(\S+)/.exec(closed.told)?.[1] ?? "";
});

afterAll(async () => {
  await open[Symbol.asyncDispose]();
  await closed[Symbol.asyncDispose]();
});

const login = (home: TestHome, ...more: readonly string[]) =>
  home.run(["login", closed.host, "-u", "admin", "--password-stdin", ...more], `${secret}\n`);

const configOf = async (home: TestHome) =>
  JSON.parse(await readFile(join(home.path, ".docker/config.json"), "utf8"));

describe("stowage login", () => {
  test("keeps an identity token, and no password, for its owner alone; the other commands use it", async () => {
    await using home = await TestHome.make();
    const ran = await login(home);
    expect(ran).toMatchObject({ code: 0, stdout: "" });
    expect(ran.stderr).toContain(`signed in to ${closed.host} as admin`);
    expect(ran.stderr).toContain("has a token that anybody can use");
    const { identitytoken, auth } = (await configOf(home)).auths[closed.host];
    expect(identitytoken).toBeString();
    expect(Buffer.from(auth, "base64").toString()).toBe("<token>:");
    expect(JSON.stringify(await configOf(home))).not.toContain(secret);
    expect((await stat(join(home.path, ".docker/config.json"))).mode & 0o777).toBe(0o600);
    expect((await home.run(["auth", "whoami", closed.host])).stdout).toBe("admin\n");
  });

  test("a wrong password is 4, and nothing is kept", async () => {
    await using home = await TestHome.make();
    const ran = await home.run(["login", closed.host, "-u", "admin", "--password-stdin"], "wrong");
    expect(ran.code).toBe(4);
    expect(await Bun.file(join(home.path, ".docker/config.json")).exists()).toBe(false);
  });

  test("a registry that nobody answers for is 8", async () => {
    await using home = await TestHome.make();
    const ran = await home.run(["login", "127.0.0.1:1", "-u", "a", "--password-stdin"], "b");
    expect(ran.code).toBe(8);
  }, 60_000);

  test("where name and password are wanted with each request, the password is kept", async () => {
    const authorization = `Basic ${btoa("ann:pw")}`;
    await using basic = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: ({ headers }) =>
        headers.get("Authorization") === authorization
          ? Response.json({})
          : new Response("", { status: 401, headers: { "WWW-Authenticate": 'Basic realm="x"' } }),
    });
    await using home = await TestHome.make();
    const host = `127.0.0.1:${basic.port}`;
    const words = ["login", `http://${host}/`, "-u", "ann", "--password-stdin"];
    expect((await home.run(words, "wrong")).code).toBe(4);
    const ran = await home.run(words, "pw\n");
    expect(ran.code).toBe(0);
    expect(ran.stderr).toContain("has the password that anybody can use");
    expect((await configOf(home)).auths[host]).toEqual({ auth: btoa("ann:pw") });
    expect((await home.run(["auth", "token", host])).code).toBe(1);
  });

  test("a token endpoint of somebody else gets no password", async () => {
    let asked = 0;
    await using thief = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => {
        asked += 1;
        return Response.json({ token: "x" });
      },
    });
    await using liar = Bun.serve({
      port: 0,
      hostname: "localhost",
      fetch: () => {
        const challenge = `Bearer realm="http://127.0.0.1:${thief.port}/token",service="x"`;
        return new Response("", { status: 401, headers: { "WWW-Authenticate": challenge } });
      },
    });
    await using home = await TestHome.make();
    const ran = await home.run(["login", `localhost:${liar.port}`, "-u", "ann", "--password-stdin"], "pw");
    expect(ran.code).not.toBe(0);
    expect(asked).toBe(0);
    expect(await Bun.file(join(home.path, ".docker/config.json")).exists()).toBe(false);
  });

  test("a registry that asks nobody is told", async () => {
    await using home = await TestHome.make();
    const ran = await home.run(["login", open.host, "-u", "a", "--password-stdin"], "b");
    expect(ran.code).toBe(0);
    expect(ran.stderr).toContain("asks nobody to sign in; nothing was verified");
  });

  test("where a helper keeps it, no file does, and nobody is warned", async () => {
    await using home = await TestHome.make();
    await mkdir(join(home.path, "bin"));
    await mkdir(join(home.path, ".docker"));
    const program = join(home.path, "bin", "docker-credential-test");
    await writeFile(
      program,
      `#!/bin/sh\nif [ "$1" = store ]; then cat > ${home.path}/kept; else cat ${home.path}/kept; fi\n`,
    );
    await chmod(program, 0o755);
    await writeFile(join(home.path, ".docker/config.json"), '{"credsStore":"test"}');
    home.env.PATH = `${join(home.path, "bin")}:/usr/bin:/bin`;
    const ran = await login(home);
    expect(ran.stderr).toBe(`signed in to ${closed.host} as admin; kept by docker-credential-test\n`);
    expect(await configOf(home)).toEqual({ credsStore: "test" });
    expect((await home.run(["auth", "whoami", closed.host])).stdout).toBe("admin\n");
  });

  test.each([
    [["login", "h", "--password-stdin"], "--password-stdin needs --username"],
    [["login", "h/repo"], "is no registry"],
    [["login", "h"], "nobody can be asked"],
    [["login", "h", "-u", "a:b", "--password-stdin"], "no colon"],
    [["login", "h", "-u", "a", "--password-stdin"], "the password is empty"],
    [["login", "h", "--token-stdin"], "no token"],
    [["login", "h", "--token-stdin", "-u", "a"], "excludes"],
    [["login"], "HOST is missing"],
  ])("%p is 2", async (words, message) => {
    await using home = await TestHome.make();
    const ran = await home.run(words, words.includes("a:b") ? "x" : "");
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain(message);
  });

  test("a broken file is told by its name, and stays", async () => {
    await using home = await TestHome.make();
    await mkdir(join(home.path, ".docker"));
    await writeFile(join(home.path, ".docker/config.json"), "{");
    const ran = await login(home);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain(join(home.path, ".docker/config.json"));
    expect(await readFile(join(home.path, ".docker/config.json"), "utf8")).toBe("{");
  });
});

describe("stowage logout", () => {
  test("forgets, and says what is left elsewhere", async () => {
    await using home = await TestHome.make();
    await login(home);
    expect((await home.run(["logout", closed.host])).stderr).toBe(`signed out of ${closed.host}\n`);
    expect((await home.run(["logout", closed.host])).stderr).toBe(`not signed in to ${closed.host}\n`);
    expect((await home.run(["auth", "whoami", closed.host])).stdout).toBe("nobody\n");
    const podman = join(home.path, ".config/containers");
    await mkdir(podman, { recursive: true });
    await writeFile(
      join(podman, "auth.json"),
      JSON.stringify({ auths: { [closed.host]: { auth: btoa("a:b") } } }),
    );
    expect((await home.run(["logout", closed.host])).stderr).toContain("auth.json still has credentials");
  });
});

describe("stowage auth", () => {
  test("get prints as a helper does, and is 3 when there is nothing", async () => {
    await using home = await TestHome.make();
    expect((await home.run(["auth", "get", closed.host])).code).toBe(3);
    await home.run(["login", open.host, "-u", "ann", "--password-stdin"], "pw");
    expect(JSON.parse((await home.run(["auth", "get", open.host])).stdout)).toEqual({
      ServerURL: open.host,
      Username: "ann",
      Secret: "pw",
    });
  });

  test("token prints one that curl can use, for what was asked", async () => {
    await using home = await TestHome.make();
    await login(home);
    const { stdout, code } = await home.run(["auth", "token", `${closed.host}/team/app`, "--push"]);
    expect(code).toBe(0);
    const token = stdout.trim();
    const { access } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
    expect(access).toEqual([{ type: "repository", name: "team/app", actions: ["pull", "push"] }]);
    const answer = await fetch(`${closed.url}/v2/team/app/tags/list`, {
      headers: { Authorization: `Bearer ${token}` },
    });
    expect(answer.status).toBe(404);
    expect((await home.run(["auth", "token", `${open.host}/team/app`])).code).toBe(1);
    expect((await home.run(["auth", "token", closed.host, "--scope", "nonsense"])).code).toBe(2);
  });

  test("whoami takes what the environment says of the registry that is named", async () => {
    await using home = await TestHome.make({ STOWAGE_USERNAME: "admin", STOWAGE_PASSWORD: secret });
    const { stdout } = await home.run(["auth", "whoami", closed.host, "--format", "json"]);
    expect(JSON.parse(stdout)).toMatchObject({ name: "admin", isAdmin: true });
  });
});

describe("stowage auth helper", () => {
  test("stores, gives, lists and erases as docker wants it", async () => {
    await using home = await TestHome.make();
    const stored = { ServerURL: "https://index.docker.io/v1/", Username: "ann", Secret: "pw" };
    expect(await home.run(["auth", "helper", "store"], JSON.stringify(stored))).toMatchObject({
      code: 0,
      stdout: "",
    });
    const got = await home.run(["auth", "helper", "get"], "https://index.docker.io/v1/\n");
    expect(JSON.parse(got.stdout)).toEqual(stored);
    expect(JSON.parse((await home.run(["auth", "helper", "list"])).stdout)).toEqual({ "docker.io": "ann" });
    expect((await home.run(["auth", "helper", "erase"], stored.ServerURL)).code).toBe(0);
    expect(await home.run(["auth", "helper", "get"], stored.ServerURL)).toMatchObject({
      code: 1,
      stdout: "credentials not found in native keychain\n",
    });
  });

  test("is not run by itself when docker's file names it", async () => {
    await using home = await TestHome.make({ PATH: "/nowhere" });
    await mkdir(join(home.path, ".docker"));
    await writeFile(join(home.path, ".docker/config.json"), '{"credsStore":"stowage"}');
    expect((await home.run(["auth", "helper", "get"], "r.example.com")).stdout).toContain(
      "credentials not found",
    );
  });

  test.each([
    ["nonsense", ""],
    ["store", "no JSON"],
    ["store", "{}"],
  ])("%s of %p fails", async (action, input) => {
    await using home = await TestHome.make();
    expect((await home.run(["auth", "helper", action], input)).code).toBe(1);
  });

  test.each(["stowage", "stowage.mjs"])(
    "a link to %s that is called docker-credential-stowage is one",
    async (name) => {
      await using home = await TestHome.make();
      const link = join(home.path, "docker-credential-stowage");
      await symlink(join(WORKSPACE, "bin", name), link);
      const child = Bun.spawn([link, "list"], {
        env: { HOME: home.path, PATH: process.env.PATH },
        stdin: "ignore",
        stdout: "pipe",
      });
      expect(await child.stdout.text()).toBe("{}\n");
      expect(await child.exited).toBe(0);
    },
  );
});
