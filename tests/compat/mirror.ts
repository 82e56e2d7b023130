import { join } from "node:path";
import { program } from "../support/suite.ts";
import { PASSWORD } from "./auth-registry.ts";
import { freePort } from "./nginx.ts";
import { until } from "./support.ts";

export const distribution = program("docker-registry");

/** distribution as a cache in front of a registry, where it signs in as `alice`. */
export class Mirror implements AsyncDisposable {
  readonly host: string;
  readonly #child: Bun.Subprocess;

  private constructor(host: string, child: Bun.Subprocess) {
    this.host = host;
    this.#child = child;
  }

  static async start(folder: string, remoteurl: string): Promise<Mirror> {
    const host = `127.0.0.1:${await freePort()}`;
    const file = join(folder, "mirror.yml");
    // JSON is YAML.
    const configuration = {
      version: 0.1,
      storage: { filesystem: { rootdirectory: join(folder, "data") } },
      http: { addr: host },
      proxy: { remoteurl, username: "alice", password: PASSWORD },
    };
    await Bun.write(file, JSON.stringify(configuration));
    const child = Bun.spawn([distribution.path, "serve", file], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
    const mirror = new Mirror(host, child);
    await until("the cache answers", async () => {
      if (child.exitCode !== null) throw new Error("the cache ended");
      return await fetch(`http://${host}/v2/`).then(
        ({ ok }) => ok,
        () => false,
      );
    });
    return mirror;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#child.exited;
  }
}
