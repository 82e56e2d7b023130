import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { seededBytes } from "../support/content.ts";
import type { RegistryProcess } from "../support/registry-process.ts";
import { program, root, suite } from "../support/suite.ts";
import {
  basicHeader,
  createRobot,
  createRobotToken,
  manage,
  PASSWORD,
  startWithAccounts,
} from "./auth-registry.ts";
import { uploadContent } from "./content-upload.ts";
import { DockerUser } from "./docker-user.ts";
import { Dockerd } from "./dockerd.ts";
import { layeredImage, tarOf } from "./images.ts";
import { RecordingProxy, tokenRequests } from "./recording-proxy.ts";
import { until } from "./support.ts";

const docker = program("docker");
const dockerd = program("dockerd");
const ctr = program("ctr");
const TEST_MS_MAX = 60_000;

suite("docker and containerd that sign in", [docker, dockerd, ctr, root()], () => {
  let engine: Dockerd;
  let registry: RegistryProcess;
  let proxy: RecordingProxy;

  beforeAll(async () => {
    registry = await startWithAccounts();
    proxy = new RecordingProxy(registry.url);
    engine = await Dockerd.start({ docker: docker.path, dockerd: dockerd.path });
    const image = layeredImage({ architecture: "amd64", layerCount: 2, seed: 81 });
    for (const repository of ["public/app", "library/app", "vault/app"]) {
      await uploadContent(registry, repository, image, "v1", basicHeader("mary"));
    }
  }, TEST_MS_MAX);

  afterAll(async () => {
    await engine?.[Symbol.asyncDispose]();
    await proxy?.[Symbol.asyncDispose]();
    await registry?.[Symbol.asyncDispose]();
  }, TEST_MS_MAX);

  test(
    "a password is changed into a token, which alone is kept and works also after a restart of the registry",
    async () => {
      const user = await DockerUser.create(engine, proxy.host);
      const wrong = await user.login("alice", "wrong");
      expect(wrong.exitCode).not.toBe(0);
      expect(wrong.stderr).toContain("unauthorized: the credentials are not valid");
      expect(await user.kept()).toBeNull();

      expect((await user.login("alice", PASSWORD)).stdout).toContain("Login Succeeded");
      const kept = await user.kept();
      expect(kept?.identitytoken).toStartWith("stw_");
      expect(JSON.stringify(kept)).not.toContain(Buffer.from(PASSWORD).toString("base64").slice(0, 12));

      const image = `${proxy.host}/team/kept:v1`;
      await importImage(engine, image, 82);
      await user.docker("push", image);
      await registry.kill("SIGTERM");
      await registry.start();
      await user.docker("rmi", image);
      const requests = await proxy.during(() => user.docker("pull", image));
      expect(tokenRequests(requests)).toEqual(["POST refresh_token repository:team/kept:pull 200"]);

      const list = `${proxy.host}/team/list:v1`;
      await user.docker("manifest", "create", "--insecure", list, image);
      await user.docker("manifest", "push", "--insecure", list);

      await user.docker("logout", proxy.host);
      expect(await user.kept()).toBeNull();
      const refused = await user.try("push", image);
      expect(refused.exitCode).not.toBe(0);
      expect(refused.stderr).toContain("docker login");
    },
    TEST_MS_MAX,
  );

  test(
    "a new password ends every login",
    async () => {
      await manage(registry, "POST", "/users", { name: "bob", password: PASSWORD });
      const user = await DockerUser.create(engine, proxy.host);
      await user.login("bob", PASSWORD);
      await user.docker("pull", `${proxy.host}/public/app:v1`);
      await manage(registry, "PUT", "/users/bob/password", { password: "another horse battery" });
      const refused = await user.try("pull", `${proxy.host}/public/app:v1`);
      expect(refused.exitCode).not.toBe(0);
      expect(refused.stderr).toContain("sign in again");
    },
    TEST_MS_MAX,
  );

  test(
    "what is public is pulled without credentials, and a push is told to sign in",
    async () => {
      const user = await DockerUser.create(engine, proxy.host);
      const image = `${proxy.host}/public/pushed:v1`;
      await user.docker("pull", `${proxy.host}/public/app:v1`);
      await importImage(engine, image, 83);
      const refused = await user.try("push", image);
      expect(refused.exitCode).not.toBe(0);
      expect(refused.stderr).toContain("docker login");
      const hidden = await user.try("pull", `${proxy.host}/vault/app:v1`);
      expect(hidden.exitCode).not.toBe(0);
      expect(hidden.stderr).toContain("docker login");
      await user.login("alice", PASSWORD);
      await user.docker("push", image);
    },
    TEST_MS_MAX,
  );

  test(
    "a robot works inside its namespace and nowhere else, until its token is revoked or ends",
    async () => {
      const robot = await createRobot(registry, "docker", "ci/**");
      const user = await DockerUser.create(engine, proxy.host);
      expect((await user.login("docker", robot.secret)).exitCode).toBe(0);
      // It is a token already: what docker keeps can be revoked without a second one.
      expect((await user.kept())?.identitytoken).toBeUndefined();
      const [inside, outside] = [`${proxy.host}/ci/app:v1`, `${proxy.host}/team/robot:v1`];
      await importImage(engine, inside, 84);
      await user.docker("push", inside);
      await user.docker("pull", inside);
      await engine.docker("tag", inside, outside);
      const push = await user.try("push", outside);
      expect([push.exitCode, push.stderr]).toEqual([1, expect.stringContaining("denied: no rule gives")]);
      const pull = await user.try("pull", `${proxy.host}/library/app:v1`);
      expect([pull.exitCode, pull.stderr]).toEqual([1, expect.stringContaining("denied: no rule gives")]);

      await manage(registry, "DELETE", `/robots/docker/tokens/${robot.id}`);
      const revoked = await user.try("pull", inside);
      expect([revoked.exitCode, revoked.stderr]).toEqual([1, expect.stringContaining("sign in again")]);

      const short = await createRobotToken(registry, "docker", 1);
      await user.login("docker", short.secret);
      await until("the token has ended", async () => (await statusOf(registry, short.secret)) === 401);
      const ended = await user.try("pull", inside);
      expect([ended.exitCode, ended.stderr]).toEqual([1, expect.stringContaining("sign in again")]);
    },
    TEST_MS_MAX,
  );

  test(
    "layers are mounted with a token for both repositories, and uploaded where the source may not be read",
    async () => {
      const source = `${proxy.host}/team/mount:v1`;
      await importImage(engine, source, 85);
      const alice = await DockerUser.create(engine, proxy.host);
      await alice.login("alice", PASSWORD);
      await alice.docker("push", source);
      await engine.docker("tag", source, `${proxy.host}/public/mounted:v1`);
      const mounting = await proxy.during(async () => {
        const { stdout } = await alice.docker("push", `${proxy.host}/public/mounted:v1`);
        expect(stdout).toContain("Mounted from team/mount");
      });
      expect(tokenRequests(mounting)).toContain(
        "POST refresh_token repository:public/mounted:push,pull repository:team/mount:pull 200",
      );

      const { secret } = await createRobot(registry, "mounter", "mounter/**");
      const robot = await DockerUser.create(engine, proxy.host);
      await robot.login("mounter", secret);
      const [hidden, target] = [`${proxy.host}/team/hidden:v1`, `${proxy.host}/mounter/app:v1`];
      await importImage(engine, hidden, 87);
      await alice.docker("push", hidden);
      await engine.docker("tag", hidden, target);
      const uploading = await proxy.during(() => robot.docker("push", target));
      const mounts = uploading.filter(({ path }) => path.includes("from=team%2Fhidden"));
      expect(mounts.map(({ status }) => status)).toEqual([202]);
    },
    TEST_MS_MAX,
  );

  test(
    "what no token can help with is asked for once",
    async () => {
      const user = await DockerUser.create(engine, proxy.host);
      await user.login("alice", PASSWORD);
      const requests = await proxy.during(() => user.try("pull", `${proxy.host}/vault/app:v1`));
      expect(requests.map(({ method, status }) => `${method} ${status}`)).toEqual([
        "GET 401",
        "POST 200",
        "HEAD 403",
        "GET 403",
      ]);
    },
    TEST_MS_MAX,
  );

  test(
    "containerd's push comes back with a token for what it was told to need, and gives up where none can help",
    async () => {
      const containerd = (command: "pull" | "push", ...args: readonly string[]) =>
        engine.containerd(ctr.path, "images", command, "--plain-http", ...args);
      const pull = (image: string, ...args: readonly string[]) =>
        containerd("pull", "--snapshotter", "native", ...args, `${proxy.host}/${image}`);
      const push = (target: string, ...args: readonly string[]) =>
        containerd("push", ...args, `${proxy.host}/${target}`, `${proxy.host}/public/app:v1`);
      const alice = ["--user", `alice:${PASSWORD}`];

      expect((await pull("public/app:v1")).exitCode).toBe(0);
      const refused = await push("public/refused:v1");
      expect([refused.exitCode, refused.stderr]).toEqual([
        1,
        expect.stringContaining("authorization failed"),
      ]);

      const requests = await proxy.during(async () => {
        expect((await push("team/containerd:v1", ...alice)).exitCode).toBe(0);
      });
      const [asked] = requests.filter(({ status }) => status === 401);
      expect(asked?.challenge).toContain('scope="repository:team/containerd:pull"');
      // The old scope and the new one come in one parameter, with those of the source of mounts.
      expect(tokenRequests(requests).at(-1)).toBe(
        "POST password repository:public/app:pull repository:team/containerd:pull repository:team/containerd:pull,push 200",
      );
      const hopeless = await proxy.during(async () => {
        expect((await pull("vault/app:v1", ...alice)).stderr).toContain("403 Forbidden");
      });
      expect(hopeless.map(({ method, status }) => `${method} ${status}`)).toEqual([
        "HEAD 401",
        "POST 200",
        "HEAD 403",
      ]);
      const wrong = await proxy.during(async () => {
        expect((await pull("vault/app:v1", "--user", "alice:wrong")).exitCode).toBe(1);
      });
      expect(tokenRequests(wrong)).toEqual([
        "POST password repository:vault/app:pull 401",
        "GET - repository:vault/app:pull 401",
      ]);
    },
    TEST_MS_MAX,
  );
});

/** An image of one layer, another one for each seed. */
async function importImage(engine: Dockerd, image: string, seed: number): Promise<void> {
  const file = join(engine.folder, `import-${seed}.tar`);
  await Bun.write(file, tarOf({ "data.bin": seededBytes(20_000, seed) }));
  await engine.docker("import", file, image);
}

async function statusOf(registry: RegistryProcess, secret: string): Promise<number> {
  const headers = { Authorization: `Bearer ${secret}` };
  return (await fetch(`${registry.url}/v2/`, { headers })).status;
}
