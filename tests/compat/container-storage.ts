import { join } from "node:path";
import { program } from "../support/suite.ts";
import { type CommandResult, run, runAny, temporaryFolder } from "./support.ts";

const podman = program("podman");
const buildah = program("buildah");

/** Images and containers in a folder of the test's own, away from those of the machine. */
export class ContainerStorage implements AsyncDisposable {
  readonly folder: string;
  readonly #folder: AsyncDisposable;

  private constructor(folder: AsyncDisposable & { readonly path: string }) {
    this.#folder = folder;
    this.folder = folder.path;
  }

  static async create(): Promise<ContainerStorage> {
    const folder = await temporaryFolder();
    // podman reads this file before it has anything to write to it.
    await Bun.write(join(folder.path, "auth.json"), "{}");
    return new ContainerStorage(folder);
  }

  /** Runs podman and resolves with its output. @throws Error unless it succeeds */
  async podman(...args: readonly string[]): Promise<string> {
    return (await run(this.#podman(args), { env: this.#environment() })).stdout;
  }

  /** Runs podman, whatever comes of it. */
  async tryPodman(...args: readonly string[]): Promise<CommandResult> {
    return await runAny(this.#podman(args), { env: this.#environment() });
  }

  async buildah(...args: readonly string[]): Promise<string> {
    return (await run(this.#buildah(args), { env: this.#environment() })).stdout;
  }

  /** Runs buildah, whatever comes of it. */
  async tryBuildah(...args: readonly string[]): Promise<CommandResult> {
    return await runAny(this.#buildah(args), { env: this.#environment() });
  }

  #podman(args: readonly string[]): string[] {
    return [podman.path, ...this.#global(), "--tmpdir", join(this.folder, "tmp"), ...args];
  }

  #buildah(args: readonly string[]): string[] {
    return [buildah.path, ...this.#global(), ...args];
  }

  /** What `login` keeps is of this storage, and nothing of the machine's own is read. */
  #environment(): Record<string, string> {
    return { REGISTRY_AUTH_FILE: join(this.folder, "auth.json") };
  }

  #global(): string[] {
    const { folder } = this;
    return ["--root", join(folder, "root"), "--runroot", join(folder, "run"), "--storage-driver", "vfs"];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A mount that a failed build left behind would keep the folder from going.
    await runAny([podman.path, ...this.#global(), "unmount", "--all"]).catch(() => null);
    await this.#folder[Symbol.asyncDispose]();
  }
}
