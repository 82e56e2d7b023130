import { existsSync } from "node:fs";
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { WORKSPACE } from "./support/registry-process.ts";
import { program, root, TOOLS } from "./support/suite.ts";

/** Debian package -> a program it brings. */
const PACKAGES: Readonly<Record<string, string>> = {
  "docker.io": "dockerd",
  podman: "podman",
  buildah: "buildah",
  skopeo: "skopeo",
  "docker-registry": "docker-registry",
  strace: "strace",
  e2fsprogs: "mkfs.ext4",
  python3: "python3",
  curl: "curl",
  wget: "wget",
  nginx: "nginx",
  openssl: "openssl",
  chromium: "chromium",
};

/** The OCI suite, main of August 2026. */
const CONFORMANCE_VERSION = "v0.0.0-20260831232431-97274622c111";

/** Modules that the checksum database need not know: go.sum and the commit pin what they are. */
const UNSUMMED = "github.com/opencontainers/distribution-spec,oras.land";

/**
 * Installs what the suites of real clients and real disks need, as far as this machine lets us: Debian's packages
 * as root, Go programs where there is a Go. What is missing afterwards is each suite's own business to say.
 */
export async function prepareTools(): Promise<void> {
  await installPackages();
  await installNpmTools();
  if (!program("go").isMet) {
    process.stdout.write("!!! no Go here: clients that are built from source will be missing\n");
    return;
  }
  await mkdir(TOOLS, { recursive: true });
  await buildClients();
  await buildConformance();
}

async function installPackages(): Promise<void> {
  const missing = Object.keys(PACKAGES).filter((name) => !program(PACKAGES[name] ?? name).isMet);
  if (missing.length === 0) return;
  if (!root().isMet || !program("apt-get").isMet) {
    process.stdout.write(`!!! not installed, because this is not root on Debian: ${missing.join(", ")}\n`);
    return;
  }
  await run(["apt-get", "update", "-qq"], {});
  await run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", ...missing], {
    DEBIAN_FRONTEND: "noninteractive",
  });
}

/** Programs of npm that the workspace shall not have: they are large, or bring many packages. */
const NPM_TOOLS = ["newman", "deno"] as const;

async function installNpmTools(): Promise<void> {
  for (const name of NPM_TOOLS) {
    const folder = join(TOOLS, name);
    if (existsSync(join(folder, "node_modules", ".bin", name))) continue;
    await mkdir(folder, { recursive: true });
    for (const file of ["package.json", "package-lock.json"]) {
      await copyFile(join(WORKSPACE, "tests", "compat", name, file), join(folder, file));
    }
    await run(["npm", "ci", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund"], {});
  }
}

async function buildClients(): Promise<void> {
  if (["crane", "oras", "regctl"].every((name) => existsSync(join(TOOLS, name)))) return;
  const folder = join(WORKSPACE, "tests", "compat", "tools");
  await run(["go", "-C", folder, "install", "tool"], {
    GOBIN: TOOLS,
    GOFLAGS: "-mod=readonly",
    GONOSUMDB: "*",
  });
}

async function buildConformance(): Promise<void> {
  const environment = { GOBIN: TOOLS, GOFLAGS: "-mod=readonly", GONOSUMDB: UNSUMMED };
  const suite = "github.com/opencontainers/distribution-spec/conformance";
  if (!existsSync(join(TOOLS, "conformance-2023"))) {
    const folder = join(WORKSPACE, "tests", "compat", "conformance");
    await run(["go", "-C", folder, "test", "-c", "-o", join(TOOLS, "conformance-2023"), suite], environment);
  }
  if (!existsSync(join(TOOLS, "conformance"))) {
    await run(["go", "install", `${suite}@${CONFORMANCE_VERSION}`], environment);
  }
}

/** A failure is shown and not fatal: the suites that need the tool say so. */
async function run(command: readonly string[], environment: Readonly<Record<string, string>>): Promise<void> {
  const child = Bun.spawn([...command], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...environment },
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) === 0) return;
  process.stdout.write(`!!! failed: ${command.join(" ")}\n${`${stdout}${stderr}`.slice(-2_000)}\n`);
}
