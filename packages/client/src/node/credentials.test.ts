import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { CredentialHelper } from "./credential-helper.ts";
import { createCredentialStore, type CredentialStoreOptions } from "./credentials.ts";

let home = "";

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "stowage-credentials-"));
});

afterEach(async () => {
  await rm(home, { recursive: true, force: true });
});

function store(env: Record<string, string> = {}, rest: Partial<CredentialStoreOptions> = {}) {
  return createCredentialStore({ env, homeDir: home, ...rest });
}

async function write(path: string, content: unknown): Promise<string> {
  const full = join(home, path);
  await mkdir(dirname(full), { recursive: true });
  await writeFile(full, typeof content === "string" ? content : JSON.stringify(content));
  return full;
}

const DOCKER = ".docker/config.json";
const PODMAN = ".config/containers/auth.json";

const auth = (text: string) => ({ auth: Buffer.from(text).toString("base64") });
const password = (username: string, secret: string) => ({
  kind: "password" as const,
  username,
  password: secret,
});

/** A helper that keeps its secrets in files of a folder, and notes how it was called. */
const HELPER = `#!/bin/sh
folder="$(dirname "$0")"
echo "$1" >> "$folder/calls"
case "$1" in
  get)
    read -r server
    file="$folder/$(echo "$server" | tr -c 'a-z0-9\\n' _)"
    if [ -f "$file" ]; then cat "$file"; else echo "credentials not found in native keychain"; exit 1; fi ;;
  store)
    input="$(cat)"
    server="$(echo "$input" | sed 's/.*"ServerURL":"\\([^"]*\\)".*/\\1/')"
    echo "$input" > "$folder/$(echo "$server" | tr -c 'a-z0-9\\n' _)" ;;
  erase)
    read -r server
    rm "$folder/$(echo "$server" | tr -c 'a-z0-9\\n' _)" ;;
  list) echo '{"https://listed.example.com/v1/":"ann","tokens.example.com":"<token>"}' ;;
esac
`;

/** The environment in which `docker-credential-<name>` is `script`. */
async function helper(name: string, script: string = HELPER): Promise<Record<string, string>> {
  const path = await write(`bin/docker-credential-${name}`, script);
  await chmod(path, 0o755);
  return { PATH: `${join(home, "bin")}:/usr/bin:/bin` };
}

describe("CredentialStore.get, order", () => {
  test("the file that is named, then REGISTRY_AUTH_FILE, docker, podman's runtime, podman's configuration", async () => {
    const host = "r.example.com";
    const env = { XDG_RUNTIME_DIR: join(home, "run"), XDG_CONFIG_HOME: join(home, "xdg") };
    await write(PODMAN, { auths: { [host]: auth("five:p") } });
    expect(await store(env).get(host)).toEqual(password("five", "p"));
    await write("xdg/containers/auth.json", { auths: { [host]: auth("four:p") } });
    expect(await store(env).get(host)).toEqual(password("four", "p"));
    await write("run/containers/auth.json", { auths: { [host]: auth("three:p") } });
    expect(await store(env).get(host)).toEqual(password("three", "p"));
    await write("d/config.json", { auths: { [host]: auth("two:p") } });
    expect(await store({ ...env, DOCKER_CONFIG: join(home, "d") }).get(host)).toEqual(password("two", "p"));
    const REGISTRY_AUTH_FILE = await write("one.json", { auths: { [host]: auth("one:p") } });
    expect(await store({ ...env, REGISTRY_AUTH_FILE }).get(host)).toEqual(password("one", "p"));
    const authFile = await write("zero.json", { auths: { [host]: auth("zero:p") } });
    expect(await store({ ...env, REGISTRY_AUTH_FILE }, { authFile }).get(host)).toEqual(
      password("zero", "p"),
    );
  });

  test("a file that is named is the only one, and must be there", async () => {
    await write(DOCKER, { auths: { "r.example.com": auth("a:b") } });
    const authFile = await write("only.json", {});
    expect(await store({}, { authFile }).get("r.example.com")).toBeNull();
    await expect(store({}, { authFile: join(home, "none.json") }).get("r.example.com")).rejects.toThrow(
      "none.json",
    );
  });

  test("nothing anywhere is null", async () => {
    expect(await store().get("r.example.com")).toBeNull();
    expect(await store().list()).toEqual([]);
  });
});

describe("CredentialStore.get, environment", () => {
  const env = { STOWAGE_USERNAME: "ann", STOWAGE_PASSWORD: "pw" };

  test("a password of the environment goes to the one registry that is named", async () => {
    expect(await store(env, { registries: ["r.example.com"] }).get("r.example.com")).toEqual(
      password("ann", "pw"),
    );
    expect(await store(env, { registries: ["r.example.com"] }).get("evil.example.com")).toBeNull();
    expect(await store(env).get("r.example.com")).toBeNull();
  });

  test("of two registries STOWAGE_REGISTRY says which", async () => {
    const registries = ["r.example.com", "other.example.com"];
    expect(await store(env, { registries }).get("r.example.com")).toBeNull();
    const told = store({ ...env, STOWAGE_REGISTRY: "r.example.com" }, { registries });
    expect(await told.get("r.example.com")).toEqual(password("ann", "pw"));
    expect(await told.get("other.example.com")).toBeNull();
  });

  test("a token is sent as it is, and comes before a password", async () => {
    const told = store({ ...env, STOWAGE_TOKEN: "t0ken", STOWAGE_REGISTRY: "docker.io" });
    expect(await told.get("index.docker.io")).toEqual({ kind: "registry-token", token: "t0ken" });
  });

  test.each([
    [{ STOWAGE_USERNAME: "ann" }, "STOWAGE_PASSWORD is not"],
    [{ STOWAGE_PASSWORD: "pw" }, "STOWAGE_USERNAME is not"],
    [{ STOWAGE_USERNAME: "a:b", STOWAGE_PASSWORD: "pw" }, "colon"],
    [{ STOWAGE_TOKEN: "a\nb" }, "STOWAGE_TOKEN"],
  ])("%p is a mistake that is told", async (wrong, message) => {
    const {
      STOWAGE_TOKEN = "",
      STOWAGE_USERNAME = "",
      STOWAGE_PASSWORD = "",
    } = wrong as Record<string, string>;
    const told = { STOWAGE_REGISTRY: "r.example.com", STOWAGE_TOKEN, STOWAGE_USERNAME, STOWAGE_PASSWORD };
    await expect(store(told).get("r.example.com")).rejects.toThrow(message);
  });
});

describe("CredentialStore.get, keys", () => {
  test("a repository finds the longest key", async () => {
    await write(PODMAN, {
      auths: {
        "r.example.com": auth("host:p"),
        "r.example.com/team": auth("team:p"),
        "r.example.com/team/app": auth("app:p"),
      },
    });
    const { get } = store();
    expect(await get("r.example.com", "team/app")).toEqual(password("app", "p"));
    expect(await get("r.example.com", "team/app/deeper")).toEqual(password("app", "p"));
    expect(await get("r.example.com", "team/application")).toEqual(password("team", "p"));
    expect(await get("r.example.com", "other")).toEqual(password("host", "p"));
    expect(await get("r.example.com")).toEqual(password("host", "p"));
  });

  test.each(["https://index.docker.io/v1/", "docker.io", "registry-1.docker.io", "index.docker.io/v1/"])(
    "%s is Docker Hub",
    async (key) => {
      await write(DOCKER, { auths: { [key]: auth("hub:p") } });
      expect(await store().get("docker.io", "library/alpine")).toEqual(password("hub", "p"));
    },
  );

  test.each([
    "https://R.example.com",
    "http://r.example.com/",
    "https://r.example.com/v1/",
    "https://r.example.com/v2/",
    "r.example.com/v2/",
    "https://r.example.com/api/deep",
  ])("%s is r.example.com", async (key) => {
    await write(DOCKER, { auths: { [key]: auth("ann:p") } });
    expect(await store().get("r.example.com")).toEqual(password("ann", "p"));
  });

  test("another port and another host are other registries", async () => {
    await write(DOCKER, { auths: { "r.example.com:5000": auth("ann:p"), "xr.example.com": auth("x:p") } });
    expect(await store().get("r.example.com")).toBeNull();
  });
});

describe("CredentialStore.get, entries", () => {
  const cases: readonly (readonly [string, unknown, unknown])[] = [
    ["auth", auth("ann:p:w"), password("ann", "p:w")],
    ["auth of an old docker, filled up with zeros", auth("ann:pw\0\0"), password("ann", "pw")],
    ["auth in UTF-8", auth("änn:pässword"), password("änn", "pässword")],
    ["identitytoken", { ...auth("ann:"), identitytoken: "i" }, { kind: "identity-token", token: "i" }],
    ["registrytoken", { registrytoken: "r", identitytoken: "i" }, { kind: "registry-token", token: "r" }],
    ["username and password", { username: "ann", password: "pw" }, password("ann", "pw")],
    ["<token>", auth("<token>:i"), { kind: "identity-token", token: "i" }],
    ["nothing", {}, null],
    ["an address of electronic mail", { email: "ann@example.com" }, null],
  ];
  test.each(cases)("%s", async (_name, entry, expected) => {
    await write(DOCKER, { auths: { "r.example.com": entry } });
    expect(await store().get("r.example.com")).toEqual(expected as never);
  });

  const hostile: readonly (readonly [string, string | object, string])[] = [
    ["broken JSON", '{"auths": {"r.example.com": {"auth": "c2VjcmV0', "is not JSON"],
    ["a list", "[]", "is not a JSON object"],
    ["auths that is text", { auths: "x" }, "has auths that is not an object"],
    ["an entry that is text", { auths: { "r.example.com": "x" } }, '"r.example.com" that is not an object'],
    ["auth that is not base64", { auths: { "r.example.com": { auth: "%%" } } }, "not base64"],
    ["auth without a colon", { auths: { "r.example.com": auth("secret") } }, "without a colon"],
    ["a helper that is a path", { credsStore: "../../bin/sh" }, 'helper "../../bin/sh"'],
    ["a helper with a space", { credHelpers: { "r.example.com": "x; rm" } }, 'helper "x; rm"'],
    ["a helper that is a number", { credsStore: 7 }, "helper that is not text"],
    ["nesting without end", "[".repeat(1_000_000), "is not JSON"],
    ["5 MB", `{"x": "${"x".repeat(5_000_000)}"}`, "is larger than"],
  ];
  test.each(hostile)(
    "%s is a problem that names the file, and no secret",
    async (_name, content, message) => {
      const path = await write(DOCKER, content);
      const error = await store()
        .get("r.example.com")
        .then(
          () => null,
          (thrown) => thrown,
        );
      expect(error).toMatchObject({ name: "ClientError", kind: "invalid" });
      expect(error.message).toContain(message);
      expect(error.message).toContain(path);
      expect(error.message).not.toContain("c2VjcmV0");
    },
  );

  test("a folder and a pipe in the file's place are told, and nothing waits", async () => {
    await mkdir(join(home, DOCKER), { recursive: true });
    await expect(store().get("r.example.com")).rejects.toThrow("is not a file");
    const pipe = join(home, "pipe");
    await Bun.spawn(["mkfifo", pipe]).exited;
    await expect(store({}, { authFile: pipe }).get("r.example.com")).rejects.toThrow("is not a file");
  });

  test("__proto__ is a registry like others", async () => {
    await write(DOCKER, `{"auths": {"__proto__": {"auth": "YTpi"}}}`);
    expect(await store().get("r.example.com")).toBeNull();
  });
});

describe("CredentialStore with helpers", () => {
  test("a helper for the registry comes before one for all, and both before the file", async () => {
    const env = await helper("own");
    await helper("all");
    const host = "r.example.com";
    await write("bin/r_example_com", { ServerURL: host, Username: "helped", Secret: "s" });
    await write(DOCKER, {
      credHelpers: { [host]: "own" },
      credsStore: "missing",
      auths: { [host]: auth("f:p") },
    });
    expect(await store(env).find(host)).toEqual({
      credentials: password("helped", "s"),
      where: "docker-credential-own",
    });
    await write(DOCKER, { credsStore: "all", auths: { [host]: auth("f:p") } });
    expect(await store(env).get(host)).toEqual(password("helped", "s"));
    await write(DOCKER, { credHelpers: { [host]: "" }, credsStore: "all", auths: { [host]: auth("f:p") } });
    expect(await store(env).get(host)).toEqual(password("f", "p"));
  });

  test("what a helper does not have, the file may have", async () => {
    const env = await helper("all");
    await write(DOCKER, { credsStore: "all", auths: { "r.example.com": auth("f:p") } });
    expect(await store(env).get("r.example.com")).toEqual(password("f", "p"));
  });

  test("Docker Hub is asked for under its old address, and <token> is an identity token", async () => {
    const env = await helper("all");
    await write(DOCKER, { credsStore: "all" });
    await write("bin/https___index_docker_io_v1_", { Username: "<token>", Secret: "refresh" });
    expect(await store(env).get("docker.io")).toEqual({ kind: "identity-token", token: "refresh" });
  });

  test("put, get, delete and list go through the helper, and no secret stays in the file", async () => {
    const env = await helper("all");
    const path = await write(DOCKER, {
      credsStore: "all",
      auths: { "r.example.com": auth("old:old") },
      x: 1,
    });
    const { put, get, delete: remove, list } = store(env);
    expect(await put("r.example.com", password("ann", "pw"))).toEqual({
      where: "docker-credential-all",
      isEncrypted: true,
    });
    expect(await readFile(path, "utf8")).not.toContain(auth("old:old").auth);
    expect(JSON.parse(await readFile(path, "utf8"))).toEqual({ credsStore: "all", auths: {}, x: 1 });
    expect(await get("r.example.com")).toEqual(password("ann", "pw"));
    expect(await list()).toEqual([
      { key: "listed.example.com", username: "ann", where: "docker-credential-all" },
      { key: "tokens.example.com", username: null, where: "docker-credential-all" },
    ]);
    expect(await remove("r.example.com")).toBe(true);
    expect(await remove("r.example.com")).toBe(false);
    expect(await get("r.example.com")).toBeNull();
  });

  test("helpers are left alone when they shall be", async () => {
    const env = await helper("all");
    await write(DOCKER, { credsStore: "all", auths: { "r.example.com": auth("f:p") } });
    const { get, put, list } = store(env, { useHelpers: false });
    expect(await get("r.example.com")).toEqual(password("f", "p"));
    await put("r.example.com", password("g", "p"));
    expect((await list()).map(({ username }) => username)).toEqual(["g"]);
    expect(await readdir(join(home, "bin"))).toEqual(["docker-credential-all"]);
  });

  const broken: readonly (readonly [string, string, string])[] = [
    ["fails", "#!/bin/sh\necho 'keychain is locked'; exit 1\n", "keychain is locked"],
    ["says nothing", "#!/bin/sh\nexit 3\n", "exit code 3"],
    ["answers no JSON", "#!/bin/sh\ncat; echo hunter2\n", "something else"],
    ["answers a list", "#!/bin/sh\necho '[1]'\n", "something else"],
    ["answers without end", "#!/bin/sh\nyes secret\n", "answers more than"],
    ["writes to the terminal", "#!/bin/sh\nprintf '\\033[2Jred'; exit 1\n", "failed:  [2Jred"],
  ];
  test.each(broken)("a helper that %s is an error that names it", async (_name, script, message) => {
    const env = await helper("bad", script);
    await write(DOCKER, { credsStore: "bad" });
    const error = await store(env)
      .get("r.example.com")
      .then(
        () => null,
        (thrown) => thrown,
      );
    expect(error).toMatchObject({ name: "ClientError", kind: "refused" });
    expect(error.message).toContain(message);
    expect(error.message).toContain("docker-credential-bad");
    expect(error.message).not.toContain("hunter2");
    expect(error.message).not.toContain("\u001b");
  });

  test("a helper that does not end is ended, whatever it has started itself", async () => {
    const env = await helper("slow", "#!/bin/sh\nsleep 30 &\nwait\n");
    const slow = new CredentialHelper("slow", { env, where: "config.json", msMax: 100 });
    await expect(slow.get("r.example.com")).rejects.toThrow("did not end within 0.1 s");
  });

  test("a helper that is not there is told with the file that names it", async () => {
    const path = await write(DOCKER, { credsStore: "nowhere" });
    await expect(store({ PATH: home }).get("r.example.com")).rejects.toThrow(
      `${path} names the credential helper docker-credential-nowhere, but it is not in PATH`,
    );
  });
});

describe("CredentialStore.put", () => {
  test("a new file is its owner's alone, in a folder that is", async () => {
    const { where, isEncrypted } = await store().put("r.example.com", password("ann", "pw"));
    expect(where).toBe(join(home, DOCKER));
    expect(isEncrypted).toBe(false);
    expect((await stat(where)).mode & 0o777).toBe(0o600);
    expect((await stat(dirname(where))).mode & 0o777).toBe(0o700);
    expect(await readdir(dirname(where))).toEqual(["config.json"]);
  });

  test("everything else in the file stays, and a file that others could read becomes private", async () => {
    const before = {
      HttpHeaders: { "X-Meta": "1" },
      auths: {
        "other.example.com": auth("o:p"),
        "r.example.com": { ...auth("old:p"), email: "a@example.com" },
      },
      plugins: { x: [1, null] },
    };
    const path = await write(DOCKER, before);
    await chmod(path, 0o644);
    await store().put("r.example.com", { kind: "identity-token", token: "i" });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const after = JSON.parse(await readFile(path, "utf8"));
    expect(after).toEqual({
      ...before,
      auths: {
        "other.example.com": auth("o:p"),
        "r.example.com": { email: "a@example.com", ...auth("<token>:"), identitytoken: "i" },
      },
    });
  });

  test.each([
    password("ann", 'p:ä\\"w'),
    { kind: "identity-token" as const, token: "i" },
    { kind: "registry-token" as const, token: "r" },
  ])("%p comes back as it was put", async (credentials) => {
    const { put, get } = store();
    await put("localhost:5000", credentials);
    expect(await get("localhost:5000")).toEqual(credentials);
    await put("docker.io", credentials);
    expect(await get("registry-1.docker.io")).toEqual(credentials);
  });

  test("Docker Hub is kept where docker looks", async () => {
    const { where } = await store().put("docker.io", password("ann", "pw"));
    expect(Object.keys(JSON.parse(await readFile(where, "utf8")).auths)).toEqual([
      "https://index.docker.io/v1/",
    ]);
  });

  test("a link stays a link, also one to nothing yet", async () => {
    await mkdir(join(home, ".docker"));
    await symlink("../real/config.json", join(home, DOCKER));
    await store().put("r.example.com", password("ann", "pw"));
    await store().put("s.example.com", password("ann", "pw"));
    expect(
      Object.keys(JSON.parse(await readFile(join(home, "real/config.json"), "utf8")).auths),
    ).toHaveLength(2);
    expect(await readdir(join(home, "real"))).toEqual(["config.json"]);
  });

  test("a link to itself is told", async () => {
    await mkdir(join(home, ".docker"));
    await symlink("config.json", join(home, DOCKER));
    await expect(store().put("r.example.com", password("ann", "pw"))).rejects.toThrow("config.json");
  });

  test("a file that cannot be read is not overwritten", async () => {
    const path = await write(DOCKER, "{ broken");
    await expect(store().put("r.example.com", password("ann", "pw"))).rejects.toThrow(path);
    expect(await readFile(path, "utf8")).toBe("{ broken");
    expect(await readdir(join(home, ".docker"))).toEqual(["config.json"]);
  });

  test("many logins at once all stay", async () => {
    const hosts = Array.from({ length: 20 }, (_, at) => `r${at}.example.com`);
    await Promise.all(hosts.map(async (host) => await store().put(host, password("ann", "pw"))));
    expect((await store().list()).map(({ key }) => key).toSorted()).toEqual(hosts.toSorted());
  });

  test("whoever reads while others sign in reads a whole file", async () => {
    const { put, get } = store();
    await put("r.example.com", password("ann", "pw"));
    let isOver = false;
    const writers = Promise.all(
      Array.from({ length: 5 }, async (_, writer) => {
        for (let at = 0; at < 10; at++)
          await put(`r${writer}-${at}.example.com`, password("ann", "pw".repeat(at)));
      }),
    ).finally(() => {
      isOver = true;
    });
    while (!isOver) expect(await get("r.example.com")).toEqual(password("ann", "pw"));
    await writers;
    expect(await store().list()).toHaveLength(51);
  }, 20_000);

  test("a lock that somebody left behind is taken away", async () => {
    await write(`${DOCKER}.lock`, "");
    await store().put("r.example.com", password("ann", "pw"));
    expect(await readdir(join(home, ".docker"))).toEqual(["config.json"]);
  }, 20_000);

  test("a name with a colon is refused", async () => {
    await expect(store().put("r.example.com", password("a:b", "pw"))).rejects.toThrow("colon");
  });
});

describe("CredentialStore.delete", () => {
  test("every spelling goes, and nothing else", async () => {
    const path = await write(DOCKER, {
      auths: {
        "https://index.docker.io/v1/": auth("a:b"),
        "docker.io": auth("a:b"),
        "docker.io/team": auth("t:b"),
        "r.example.com": auth("a:b"),
      },
    });
    expect(await store().delete("index.docker.io")).toBe(true);
    expect(Object.keys(JSON.parse(await readFile(path, "utf8")).auths)).toEqual([
      "docker.io/team",
      "r.example.com",
    ]);
    expect(await store().delete("index.docker.io")).toBe(false);
    expect(await store().delete("docker.io/team")).toBe(true);
  });

  test("without a file there is nothing to delete, and none is made", async () => {
    expect(await store().delete("r.example.com")).toBe(false);
    expect(await readdir(home)).toEqual([]);
  });
});
