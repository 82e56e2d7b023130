import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type CommandResult, run, runAny, temporaryFolder, until } from "./support.ts";

/** How long dockerd has for an orderly end, in milliseconds: only that way it unmounts what it mounted. */
const STOP_MS_MAX = 20_000;

/** A Docker engine of the test's own, without any network of its own. */
export class Dockerd implements AsyncDisposable {
  readonly folder: string;
  readonly #docker: string;
  readonly #child: Bun.Subprocess;
  readonly #folder: AsyncDisposable;

  private constructor(
    docker: string,
    child: Bun.Subprocess,
    folder: AsyncDisposable & { readonly path: string },
  ) {
    this.#docker = docker;
    this.#child = child;
    this.#folder = folder;
    this.folder = folder.path;
  }

  /** Starts one with a socket and data of its own and waits until it answers. @throws Error with its output */
  static async start(programs: { readonly dockerd: string; readonly docker: string }): Promise<Dockerd> {
    const folder = await temporaryFolder();
    const output = join(folder.path, "dockerd.out");
    await mkdir(join(folder.path, "config"));
    const command = [
      programs.dockerd,
      ...["--data-root", join(folder.path, "data"), "--exec-root", join(folder.path, "exec")],
      ...["--pidfile", join(folder.path, "pid"), "--host", `unix://${join(folder.path, "socket")}`],
      // No file of the machine's own engine is to be read.
      ...["--config-file", join(folder.path, "daemon.json")],
      ...["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"],
      // Two at a time need no more than this machine has; the default of docker is five.
      "--max-concurrent-uploads=2",
    ];
    await Bun.write(join(folder.path, "daemon.json"), "{}");
    const child = Bun.spawn(command, {
      // In order: dockerd looks for containerd and runc, which lie beside it.
      env: { ...process.env, PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin` },
      stdin: "ignore",
      stdout: Bun.file(output),
      stderr: Bun.file(output),
    });
    const dockerd = new Dockerd(programs.docker, child, folder);
    await until("dockerd answers", async () => {
      if (child.exitCode !== null) throw new Error(`dockerd ended:\n${await Bun.file(output).text()}`);
      return (await dockerd.try("version")).exitCode === 0;
    });
    return dockerd;
  }

  /** Runs `docker ...` against it. @throws Error unless that succeeds */
  async docker(...args: readonly string[]): Promise<CommandResult> {
    return await run(this.#command(args), { env: this.#environment() });
  }

  /** Runs `docker ...` against it, whatever comes of it. */
  async try(...args: readonly string[]): Promise<CommandResult> {
    return await runAny(this.#command(args), { env: this.#environment() });
  }

  /** Runs `ctr ...` against the containerd below it, whatever comes of it. */
  async containerd(ctr: string, ...args: readonly string[]): Promise<CommandResult> {
    const socket = join(this.folder, "exec", "containerd", "containerd.sock");
    return await runAny([ctr, "--address", socket, "--namespace", "test", ...args]);
  }

  #command(args: readonly string[]): string[] {
    return [this.#docker, "--host", `unix://${join(this.folder, "socket")}`, ...args];
  }

  #environment(): Record<string, string> {
    // The builder inside the engine: BuildKit needs a plugin that not every machine has.
    return { DOCKER_CONFIG: join(this.folder, "config"), DOCKER_BUILDKIT: "0" };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGTERM");
    const isLate = await Promise.race([
      this.#child.exited.then(() => false),
      Bun.sleep(STOP_MS_MAX).then(() => true),
    ]);
    if (isLate) this.#child.kill("SIGKILL");
    await this.#child.exited;
    await this.#folder[Symbol.asyncDispose]();
  }
}
