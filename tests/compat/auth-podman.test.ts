import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { seededBytes } from "../support/content.ts";
import type { RegistryProcess } from "../support/registry-process.ts";
import { program, root, suite } from "../support/suite.ts";
import { basicHeader, createRobot, manage, PASSWORD, startWithAccounts } from "./auth-registry.ts";
import { ContainerStorage } from "./container-storage.ts";
import { uploadContent } from "./content-upload.ts";
import { layeredImage, tarOf, writeLayout } from "./images.ts";
import { RecordingProxy, tokenRequests } from "./recording-proxy.ts";
import { type CommandResult, runAny, temporaryFolder } from "./support.ts";

const podman = program("podman");
const buildah = program("buildah");
const skopeo = program("skopeo");
const TEST_MS_MAX = 60_000;
const PLAIN = "--tls-verify=false";

suite("podman, buildah and skopeo that sign in", [podman, buildah, skopeo, root()], () => {
  const image = layeredImage({ architecture: "amd64", layerCount: 2, seed: 91 });
  let registry: RegistryProcess;
  let proxy: RecordingProxy;

  beforeAll(async () => {
    registry = await startWithAccounts();
    proxy = new RecordingProxy(registry.url);
    for (const repository of ["public/app", "library/app", "vault/app"]) {
      await uploadContent(registry, repository, image, "v1", basicHeader("mary"));
    }
  }, TEST_MS_MAX);

  afterAll(async () => {
    await proxy?.[Symbol.asyncDispose]();
    await registry?.[Symbol.asyncDispose]();
  }, TEST_MS_MAX);

  test(
    "podman pulls without credentials what is public, and pushes after a login and not after a logout",
    async () => {
      await using storage = await ContainerStorage.create();
      const name = `${proxy.host}/public/podman:v1`;
      await storage.podman("pull", PLAIN, `${proxy.host}/public/app:v1`);
      await importImage(storage, name, 92);
      const anonymous = await storage.tryPodman("push", PLAIN, name);
      expect([anonymous.exitCode, anonymous.stderr]).toEqual([125, expect.stringContaining("docker login")]);

      const wrong = await login(storage, "alice", "wrong");
      expect([wrong.exitCode, wrong.stderr]).toEqual([
        125,
        expect.stringContaining("invalid username/password"),
      ]);
      expect((await login(storage, "alice", PASSWORD)).stdout).toContain("Login Succeeded");
      await storage.podman("push", PLAIN, name);
      const denied = await storage.tryPodman("push", PLAIN, name, `docker://${proxy.host}/vault/podman:v1`);
      expect([denied.exitCode, denied.stderr]).toEqual([125, expect.stringContaining("403 (Forbidden)")]);
      await storage.podman("logout", proxy.host);
      const after = await storage.tryPodman("push", PLAIN, name, `docker://${proxy.host}/team/podman:v1`);
      expect([after.exitCode, after.stderr]).toEqual([125, expect.stringContaining("docker login")]);
    },
    TEST_MS_MAX,
  );

  test(
    "podman as a robot sees its own repositories, until its token is revoked",
    async () => {
      await using storage = await ContainerStorage.create();
      const robot = await createRobot(registry, "podman", "ci/**");
      await login(storage, "podman", robot.secret);
      const [inside, outside] = [`${proxy.host}/ci/podman:v1`, `${proxy.host}/team/robot:v1`];
      await importImage(storage, inside, 93);
      await storage.podman("push", PLAIN, inside);
      await storage.podman("pull", PLAIN, inside);
      const push = await storage.tryPodman("push", PLAIN, inside, `docker://${outside}`);
      expect([push.exitCode, push.stderr]).toEqual([125, expect.stringContaining("403 (Forbidden)")]);
      const pull = await storage.tryPodman("pull", PLAIN, `${proxy.host}/library/app:v1`);
      expect([pull.exitCode, pull.stderr]).toEqual([125, expect.stringContaining("denied: no rule gives")]);

      // The one request for which podman heeds what it is told to need, and comes back.
      const search = await proxy.during(async () => {
        const found = await storage.podman("search", PLAIN, "--format", "{{.Name}}", `${proxy.host}/`);
        expect(found).toContain("/ci/podman\n");
        expect(found).not.toMatch(/team|library|vault/);
      });
      const [refused] = search.filter(({ challenge }) => challenge?.includes("insufficient_scope"));
      expect(refused?.challenge).toContain('scope="registry:catalog:*"');
      expect(tokenRequests(search).at(-1)).toBe("GET - registry:catalog:* 200");

      await manage(registry, "DELETE", `/robots/podman/tokens/${robot.id}`);
      const revoked = await storage.tryPodman("pull", PLAIN, inside);
      expect([revoked.exitCode, revoked.stderr]).toEqual([125, expect.stringContaining("sign in again")]);
    },
    TEST_MS_MAX,
  );

  test(
    "what no token can help with is asked for once",
    async () => {
      await using storage = await ContainerStorage.create();
      await login(storage, "alice", PASSWORD);
      const requests = await proxy.during(() =>
        storage.tryPodman("pull", PLAIN, `${proxy.host}/vault/app:v1`),
      );
      expect(requests.map(({ method, status }) => `${method} ${status}`)).toEqual([
        "GET 401",
        "GET 200",
        "GET 403",
      ]);
    },
    TEST_MS_MAX,
  );

  test(
    "buildah pulls what is public, and pushes after a login",
    async () => {
      await using storage = await ContainerStorage.create();
      await storage.buildah("pull", "--quiet", PLAIN, `docker://${proxy.host}/public/app:v1`);
      const push = ["push", PLAIN, `${proxy.host}/public/app:v1`, `docker://${proxy.host}/team/buildah:v1`];
      const refused = await storage.tryBuildah(...push);
      expect([refused.exitCode, refused.stderr]).toEqual([125, expect.stringContaining("docker login")]);
      await storage.buildah("login", PLAIN, "-u", "alice", "-p", PASSWORD, proxy.host);
      await storage.buildah(...push);
      const credentials = ["--creds", `mary:${PASSWORD}`];
      await storage.buildah(
        "push",
        PLAIN,
        ...credentials,
        push[2] ?? "",
        `docker://${proxy.host}/vault/b:v1`,
      );
    },
    TEST_MS_MAX,
  );

  test(
    "skopeo signs in, copies between repositories of different rights, and deletes with the right alone",
    async () => {
      await using folder = await temporaryFolder();
      await writeLayout(join(folder.path, "layout"), image, "v1");
      const call = async (...args: readonly string[]) =>
        await runAny([skopeo.path, "--insecure-policy", ...args], {
          cwd: folder.path,
          // Home: where skopeo remembers in which repositories it has seen a blob.
          env: { REGISTRY_AUTH_FILE: join(folder.path, "auth.json"), XDG_DATA_HOME: folder.path },
        });
      const copy = async (from: string, to: string) =>
        await call("copy", "--src-tls-verify=false", "--dest-tls-verify=false", from, to);
      const at = (name: string) => `docker://${proxy.host}/${name}`;
      const signIn = async (name: string, password: string) =>
        await call("login", PLAIN, "-u", name, "-p", password, proxy.host);

      expect((await call("inspect", PLAIN, at("public/app:v1"))).exitCode).toBe(0);
      const anonymous = await copy("oci:layout:v1", at("public/app:v2"));
      expect([anonymous.exitCode, anonymous.stderr]).toEqual([1, expect.stringContaining("docker login")]);
      const wrong = await signIn("alice", "wrong");
      expect([wrong.exitCode, wrong.stderr]).toEqual([
        1,
        expect.stringContaining("invalid username/password"),
      ]);
      expect((await signIn("alice", PASSWORD)).exitCode).toBe(0);
      expect((await copy("oci:layout:v1", at("public/app:v2"))).exitCode).toBe(0);
      expect((await copy(at("library/app:v1"), at("team/skopeo:v1"))).exitCode).toBe(0);
      const hidden = await copy(at("vault/app:v1"), at("team/skopeo:v2"));
      expect([hidden.exitCode, hidden.stderr]).toEqual([1, expect.stringContaining("denied: no rule gives")]);

      const remove = async () => await call("delete", PLAIN, at("team/skopeo:v1"));
      const asked = await proxy.during(async () => {
        const { exitCode, stderr } = await remove();
        expect([exitCode, stderr]).toEqual([1, expect.stringContaining("no rule gives this account delete")]);
      });
      expect(tokenRequests(asked)).toEqual(["GET - repository:team/skopeo:* 200"]);
      await signIn("mary", PASSWORD);
      expect((await remove()).exitCode).toBe(0);
    },
    TEST_MS_MAX,
  );

  async function login(storage: ContainerStorage, name: string, password: string): Promise<CommandResult> {
    return await storage.tryPodman("login", PLAIN, "--username", name, "--password", password, proxy.host);
  }
});

/** An image of one layer, another one for each seed. */
async function importImage(storage: ContainerStorage, name: string, seed: number): Promise<void> {
  const file = join(storage.folder, `import-${seed}.tar`);
  await Bun.write(file, tarOf({ "data.bin": seededBytes(20_000, seed) }));
  await storage.podman("import", "--quiet", file, name);
}
