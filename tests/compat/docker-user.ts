import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Dockerd } from "./dockerd.ts";
import type { CommandResult } from "./support.ts";

/** One who uses the engine, with a configuration of their own. */
export class DockerUser {
  readonly #engine: Dockerd;
  readonly #host: string;
  readonly #config: string;

  private constructor(engine: Dockerd, host: string, config: string) {
    this.#engine = engine;
    this.#host = host;
    this.#config = config;
  }

  static async create(engine: Dockerd, host: string): Promise<DockerUser> {
    const config = join(engine.folder, `user-${crypto.randomUUID()}`);
    await mkdir(config);
    return new DockerUser(engine, host, config);
  }

  async docker(...args: readonly string[]): Promise<CommandResult> {
    return await this.#engine.docker("--config", this.#config, ...args);
  }

  async try(...args: readonly string[]): Promise<CommandResult> {
    return await this.#engine.try("--config", this.#config, ...args);
  }

  async login(name: string, password: string): Promise<CommandResult> {
    return await this.try("login", "--username", name, "--password", password, this.#host);
  }

  /** What docker wrote down for the registry, or null. */
  async kept(): Promise<{ readonly auth?: string; readonly identitytoken?: string } | null> {
    const file = Bun.file(join(this.#config, "config.json"));
    if (!(await file.exists())) return null;
    const { auths = {} } = (await file.json()) as { readonly auths?: Record<string, Record<string, string>> };
    return auths[this.#host] ?? null;
  }
}
