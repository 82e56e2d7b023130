import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RegistryClient } from "@stowage/client";
import { startRegistry, type TestRegistry } from "@stowage/server/testing";
import { pushLayers } from "../support/layer.ts";
import { WORKSPACE } from "../support/registry-process.ts";
import { program, suite, TOOLS } from "../support/suite.ts";

/** Whoever signs in with one program is signed in with the others: they share files, and speak to helpers alike. */
suite("credentials", ["docker", "podman", "skopeo", "crane", "oras"].map(program), () => {
  let registry: TestRegistry;
  let password = "";
  let image = "";
  let home = "";

  beforeAll(async () => {
    registry = await startRegistry({ args: ["--auth", "accounts"] });
    password = /password {2}(\S+)/.exec(registry.told)?.[1] ?? "";
    const client = new RegistryClient({
      credentials: async () => ({ kind: "password", username: "admin", password }),
    });
    await pushLayers(client.repository(`${registry.host}/team/app`), [[{ name: "a" }]], { tags: ["1.0"] });
    image = `${registry.host}/team/app:1.0`;
  });

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), "stowage-credentials-"));
    await mkdir(join(home, "bin"));
    await mkdir(join(home, "run"));
    await mkdir(join(home, ".docker"));
    for (const name of ["stowage", "docker-credential-stowage"])
      await symlink(join(WORKSPACE, "bin", "stowage"), join(home, "bin", name));
  });

  afterEach(async () => {
    await rm(home, { recursive: true, force: true });
  });

  afterAll(async () => {
    await registry[Symbol.asyncDispose]();
  });

  /** Runs a line of a shell; `H` is the registry, `I` the image, standard input the password. */
  async function run(line: string) {
    const command = line.replace(/\bH\b/g, registry.host).replace(/\bI\b/g, image);
    const child = Bun.spawn(["bash", "-c", command], {
      cwd: home,
      env: {
        HOME: home,
        PATH: `${join(home, "bin")}:${TOOLS}:${process.env.PATH}`,
        XDG_RUNTIME_DIR: join(home, "run"),
      },
      stdin: new Blob([password]),
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    const code = await child.exited;
    return { code, stdout, stderr: code === 0 ? "" : stderr };
  }

  test("what stowage login keeps, skopeo, podman, crane and oras use", async () => {
    expect(await run("stowage login H -u admin --password-stdin")).toMatchObject({ code: 0, stderr: "" });
    for (const line of [
      "skopeo inspect --tls-verify=false docker://I",
      "podman search --list-tags --tls-verify=false H/team/app",
      "crane digest --insecure I",
      "oras manifest fetch --plain-http I",
    ]) {
      expect({ line, ...(await run(line)) }).toMatchObject({ code: 0, stderr: "" });
    }
  }, 60_000);

  test("what podman login keeps, stowage uses", async () => {
    expect(await run("podman login --tls-verify=false H -u admin --password-stdin")).toMatchObject({
      code: 0,
    });
    expect(await run("stowage auth whoami H")).toMatchObject({ code: 0, stdout: "admin\n" });
    expect(await run("stowage digest I")).toMatchObject({ code: 0 });
  }, 60_000);

  test("what docker login keeps, stowage uses; docker logout ends both", async () => {
    expect(await run("docker login H -u admin --password-stdin")).toMatchObject({ code: 0 });
    expect(await run("stowage auth whoami H")).toMatchObject({ code: 0, stdout: "admin\n" });
    expect(await run("docker logout H")).toMatchObject({ code: 0 });
    expect(await run("stowage auth whoami H")).toMatchObject({ stdout: "nobody\n" });
  }, 60_000);

  test("docker and crane sign in through stowage as their helper", async () => {
    await writeFile(join(home, ".docker", "config.json"), '{"credsStore":"stowage"}');
    expect(await run("docker login H -u admin --password-stdin")).toMatchObject({ code: 0 });
    expect((await run("cat .docker/config.json")).stdout).not.toContain("identitytoken");
    expect(await run("crane digest --insecure I")).toMatchObject({ code: 0, stderr: "" });
    expect(await run("stowage auth whoami H")).toMatchObject({ code: 0, stdout: "admin\n" });
    expect(await run("docker logout H")).toMatchObject({ code: 0 });
    expect((await run("stowage auth helper list")).stdout).toBe("{}\n");
    expect(await run("crane auth login H -u admin --password-stdin")).toMatchObject({ code: 0 });
    expect(await run("crane digest --insecure I")).toMatchObject({ code: 0, stderr: "" });
  }, 60_000);
});
