import { afterAll, beforeAll, expect, test } from "bun:test";
import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { program, root, suite } from "../support/suite.ts";
import { basicHeader, PASSWORD, startWithAccounts } from "./auth-registry.ts";
import { Dockerd } from "./dockerd.ts";
import { layeredImage, writeLayout } from "./images.ts";
import { freePort, Nginx, nginx } from "./nginx.ts";
import { run, temporaryFolder } from "./support.ts";

const [crane, oras, skopeo, podman] = [
  program("crane"),
  program("oras"),
  program("skopeo"),
  program("podman"),
];
const [docker, dockerd] = [program("docker"), program("dockerd")];
const TEST_MS_MAX = 60_000;

suite("behind nginx with TLS", [nginx, crane, oras, skopeo, podman, docker, dockerd, root()], () => {
  let engine: Dockerd;
  beforeAll(async () => {
    engine = await Dockerd.start({ docker: docker.path, dockerd: dockerd.path });
  }, TEST_MS_MAX);
  afterAll(async () => {
    await engine?.[Symbol.asyncDispose]();
  }, TEST_MS_MAX);

  test.each([
    ["--trusted-proxies", () => ["--trusted-proxies", "127.0.0.1"]],
    ["--public-url", (url: string) => ["--public-url", url]],
  ] as const)(
    "clients sign in, push and pull by the address that they know, with %s",
    async (_, argsFor) => {
      const port = await freePort();
      const url = `https://127.0.0.1:${port}`;
      await using registry = await startWithAccounts({ args: argsFor(url) });
      await using proxy = await Nginx.start(port, registry.url);
      await using folder = await temporaryFolder();
      const challenge = (await proxy.fetch("/v2/")).headers.get("WWW-Authenticate");
      expect(challenge).toBe(`Bearer realm="${url}/token",service="stowage"`);

      const image = layeredImage({ architecture: "amd64", layerCount: 2, seed: 111 });
      await writeLayout(join(folder.path, "layout"), image, "v1");
      const certificates = join(folder.path, "certs");
      await mkdir(certificates);
      await cp(proxy.caFile, join(certificates, "ca.crt"));
      const authFile = join(folder.path, "auth.json");
      await Bun.write(authFile, "{}");
      const call = async (...command: readonly string[]) =>
        await run(command, {
          cwd: folder.path,
          env: { HOME: folder.path, SSL_CERT_FILE: proxy.caFile, REGISTRY_AUTH_FILE: authFile },
        });
      const at = (name: string) => `${proxy.host}/team/${name}:v1`;
      const credentials = ["-u", "alice", "-p", PASSWORD];

      await call(crane.path, "auth", "login", proxy.host, ...credentials);
      await call(crane.path, "push", "layout", at("crane"));
      await call(crane.path, "validate", "--remote", at("crane"));

      const ca = ["--ca-file", proxy.caFile];
      const config = ["--registry-config", join(folder.path, "oras.json")];
      await call(oras.path, "login", ...ca, ...config, proxy.host, ...credentials);
      const to = ["--to-ca-file", proxy.caFile, "--to-registry-config", join(folder.path, "oras.json")];
      await call(oras.path, "cp", "--from-oci-layout", ...to, "layout:v1", at("oras"));
      await call(oras.path, "pull", ...ca, ...config, "--output", "out", at("oras"));

      const skopeoCommand = [skopeo.path, "--insecure-policy"];
      await call(...skopeoCommand, "login", "--cert-dir", certificates, ...credentials, proxy.host);
      const target = ["--dest-cert-dir", certificates, "oci:layout:v1", `docker://${at("skopeo")}`];
      await call(...skopeoCommand, "copy", ...target);
      const storage = ["--root", join(folder.path, "root"), "--runroot", join(folder.path, "run")];
      const podmanCommand = [podman.path, ...storage, "--storage-driver", "vfs"];
      await call(...podmanCommand, "login", "--cert-dir", certificates, ...credentials, proxy.host);
      await call(...podmanCommand, "pull", "--cert-dir", certificates, at("skopeo"));
      await call(...podmanCommand, "push", "--cert-dir", certificates, at("skopeo"), at("podman"));

      // docker trusts whatever certificate 127.0.0.1 has.
      await engine.docker("login", ...credentials, proxy.host);
      await engine.docker("pull", at("podman"));
      await engine.docker("tag", at("podman"), at("docker"));
      await engine.docker("push", at("docker"));
      const pushed = await fetch(`${registry.url}/v2/team/docker/tags/list`, {
        headers: { Authorization: basicHeader("alice") },
      });
      expect(await pushed.json()).toEqual({ name: "team/docker", tags: ["v1"] });
    },
    TEST_MS_MAX,
  );

  test("what a proxy says that is not trusted does not count", async () => {
    const port = await freePort();
    await using registry = await startWithAccounts();
    await using proxy = await Nginx.start(port, registry.url);
    const challenge = (await proxy.fetch("/v2/")).headers.get("WWW-Authenticate");
    expect(challenge).toBe(`Bearer realm="${registry.url}/token",service="stowage"`);
  });
});
