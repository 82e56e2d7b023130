import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { RegistryProcess } from "../support/registry-process.ts";
import { program, suite } from "../support/suite.ts";
import { basicHeader, createRobot, manage, PASSWORD, startWithAccounts } from "./auth-registry.ts";
import { uploadContent } from "./content-upload.ts";
import { writeLayout } from "./images.ts";
import { distribution, Distribution } from "./distribution.ts";
import { RecordingProxy, tokenRequests } from "./recording-proxy.ts";
import { CLIENTS, crane, dockerConfig, image, oras, regctl, User } from "./small-clients.ts";
import { runAny, temporaryFolder } from "./support.ts";

const [curl, wget, skopeo] = [program("curl"), program("wget"), program("skopeo")];
const TEST_MS_MAX = 60_000;
const UNAUTHORIZED = /unauthorized/i;

suite("small clients that sign in", [crane, oras, regctl, curl, wget, skopeo, distribution], () => {
  let registry: RegistryProcess;

  beforeAll(async () => {
    registry = await startWithAccounts();
    for (const repository of ["public/app", "library/app", "vault/app"]) {
      await uploadContent(registry, repository, image, "v1", basicHeader("mary"));
    }
  }, TEST_MS_MAX);

  afterAll(async () => {
    await registry?.[Symbol.asyncDispose]();
  }, TEST_MS_MAX);

  test.concurrent.each(CLIENTS)(
    "$name pulls what is public, pushes after a login, and is told what is wrong",
    async (client) => {
      await using user = await User.create(client, registry);
      const { at, host } = user;
      expect((await user.run(client.digest(at("public/app:v1")))).stdout).toContain(image.descriptor.digest);
      await user.refused(client.push(at(`public/${client.name}:v1`)), UNAUTHORIZED);
      await user.refused(client.digest(at("vault/app:v1")), /401|unauthorized/i);

      await runAny(client.login(host, "alice", "wrong"), user.options);
      await user.refused(client.push(at(`public/${client.name}:v1`)), UNAUTHORIZED);
      await user.run(client.login(host, "alice", PASSWORD));
      await user.run(client.push(at(`public/${client.name}:v1`)));
      await user.refused(client.push(at(`vault/${client.name}:v1`)), /denied|403/i);
      const listed = (await user.run(client.list(host))).stdout;
      expect(listed).toContain("library/app");
      expect(listed).not.toContain("vault");

      await user.run(client.logout(host));
      await user.refused(client.push(at(`public/${client.name}:v2`)), UNAUTHORIZED);
      expect((await user.run(client.list(host))).stdout).not.toContain("library/app");
    },
    TEST_MS_MAX,
  );

  test.concurrent.each(CLIENTS)(
    "$name mounts from a repository that may be read, copies none that may not, and deletes with the right alone",
    async (client) => {
      await using user = await User.create(client, registry);
      const { at, host, proxy } = user;
      const target = `team/${client.name}`;
      await user.run(client.login(host, "alice", PASSWORD));
      const copy = await proxy.during(() => user.run(client.copy(at("library/app:v1"), at(`${target}:v1`))));
      const mounts = copy.filter(({ path, scheme }) => path.includes("mount=") && scheme === "Bearer");
      expect(mounts.map(({ status }) => status)).toEqual(Array(image.layers.length + 1).fill(201));
      await user.refused(client.copy(at("vault/app:v1"), at(`${target}:v2`)), /denied|403/i);

      const remove = client.remove(at(`${target}@${image.descriptor.digest}`));
      const asked = await proxy.during(() => user.refused(remove, /no rule gives this account delete/));
      expect(tokenRequests(asked).at(-1)).toContain(`repository:${target}:${client.removeScope}`);
      await user.run(client.login(host, "mary", PASSWORD));
      await user.run(remove);
    },
    TEST_MS_MAX,
  );

  test.concurrent.each(CLIENTS)(
    "$name as a robot stays in its namespace, until its token is revoked",
    async (client) => {
      await using user = await User.create(client, registry);
      const { at, host } = user;
      const robot = await createRobot(registry, client.name, `ci/${client.name}/**`);
      await user.run(client.login(host, client.name, robot.secret));
      await user.run(client.push(at(`ci/${client.name}/app:v1`)));
      await user.run(client.digest(at(`ci/${client.name}/app:v1`)));
      await user.refused(client.push(at(`team/robot-${client.name}:v1`)), /denied|403/i);
      await user.refused(client.digest(at("library/app:v1")), /denied|403/i);
      expect((await user.run(client.list(host))).stdout).not.toMatch(/library|vault|team/);
      await manage(registry, "DELETE", `/robots/${client.name}/tokens/${robot.id}`);
      await user.refused(client.digest(at(`ci/${client.name}/app:v1`)), UNAUTHORIZED);
    },
    TEST_MS_MAX,
  );

  test.concurrent.each(CLIENTS)(
    "$name uses what `docker login` keeps",
    async (client) => {
      await using user = await User.create(client, registry);
      await user.keepIdentityToken(await identityToken(registry));
      const requests = await user.proxy.during(() =>
        user.run(client.push(user.at(`team/identity-${client.name}:v1`))),
      );
      expect(tokenRequests(requests)[0]).toStartWith("POST refresh_token repository:team/identity-");
    },
    TEST_MS_MAX,
  );

  test(
    "skopeo uses what `docker login` keeps",
    async () => {
      await using folder = await temporaryFolder();
      await using proxy = new RecordingProxy(registry.url);
      const { host } = proxy;
      await writeLayout(join(folder.path, "layout"), image, "v1");
      const authFile = join(folder.path, "auth.json");
      await Bun.write(authFile, dockerConfig(host, await identityToken(registry)));
      const copy = ["copy", "--dest-tls-verify=false", "oci:layout:v1", `docker://${host}/team/i:v1`];
      const requests = await proxy.during(async () => {
        const options = { cwd: folder.path, env: { REGISTRY_AUTH_FILE: authFile } };
        expect((await runAny([skopeo.path, "--insecure-policy", ...copy], options)).exitCode).toBe(0);
      });
      expect(tokenRequests(requests)).toEqual(["POST refresh_token repository:team/i:pull,push 200"]);
    },
    TEST_MS_MAX,
  );

  test(
    "a pull-through cache of distribution signs in with the account that it has",
    async () => {
      await using folder = await temporaryFolder();
      await using mirror = await Distribution.mirror(folder.path, registry.url);
      const validate = async (repository: string) =>
        await runAny([crane.path, "validate", "--remote", `${mirror.host}/${repository}:v1`]);
      expect((await validate("library/app")).exitCode).toBe(0);
      expect((await validate("vault/app")).exitCode).not.toBe(0);
    },
    TEST_MS_MAX,
  );

  test(
    "curl and wget sign in directly, by password or access token",
    async () => {
      await using folder = await temporaryFolder();
      // Of its own: wrong passwords of the other tests make an address wait.
      await using registry = await startWithAccounts();
      await uploadContent(registry, "library/app", image, "v1", basicHeader("mary"));
      const options = { cwd: folder.path };
      const manifest = `${registry.url}/v2/library/app/manifests/v1`;
      const robot = await createRobot(registry, "curl", "library/**");
      const status = async (...args: readonly string[]) =>
        (await runAny([curl.path, "-s", "-o", "/dev/null", "-w", "%{http_code}", ...args], options)).stdout;
      expect(await status(manifest)).toBe("401");
      expect(await status("-u", `alice:${PASSWORD}`, manifest)).toBe("200");
      expect(await status("-u", "alice:wrong", manifest)).toBe("401");
      expect(await status("-u", `anything:${robot.secret}`, manifest)).toBe("200");
      expect(await status("--oauth2-bearer", robot.secret, manifest)).toBe("200");
      expect(await status("-u", `alice:${PASSWORD}`, `${registry.url}/v2/vault/app/manifests/v1`)).toBe(
        "403",
      );
      // wget waits for a challenge that says Basic before it sends a password, unless it is told not to.
      const get = [wget.path, "-q", "-O", "-", "--user", "alice", "--password", PASSWORD];
      expect((await runAny([...get, manifest], options)).exitCode).not.toBe(0);
      const sent = await runAny([...get, "--auth-no-challenge", manifest], options);
      expect(sent.stdout).toContain(image.config.digest);
    },
    TEST_MS_MAX,
  );

  test(
    "who is in an htpasswd file works as with registry:2",
    async () => {
      await using folder = await temporaryFolder();
      const file = join(folder.path, "htpasswd");
      const hash = await Bun.password.hash(PASSWORD, { algorithm: "bcrypt", cost: 4 });
      await Bun.write(file, `alice:${hash}\n`);
      await using simple = await RegistryProcess.start({ args: ["--auth-htpasswd", file] });
      for (const client of CLIENTS) {
        await using user = await User.create(client, simple);
        const reference = user.at(`any/${client.name}:v1`);
        await user.refused(client.push(reference), UNAUTHORIZED);
        await user.run(client.login(user.host, "alice", PASSWORD));
        await user.run(client.push(reference));
        await user.run(client.remove(user.at(`any/${client.name}@${image.descriptor.digest}`)));
      }
    },
    TEST_MS_MAX,
  );
});

/** What `docker login` gets. */
async function identityToken(registry: RegistryProcess): Promise<string> {
  const query = "account=alice&client_id=docker&offline_token=true&service=stowage";
  const headers = { Authorization: basicHeader("alice") };
  const response = await fetch(`${registry.url}/token?${query}`, { headers });
  const { refresh_token: token } = (await response.json()) as { readonly refresh_token: string };
  return token;
}
