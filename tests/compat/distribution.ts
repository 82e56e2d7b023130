import { join } from "node:path";
import { program } from "../support/suite.ts";
import { PASSWORD } from "./auth-registry.ts";
import { freePort } from "./nginx.ts";
import { until } from "./support.ts";

export const distribution = program("docker-registry");

/** A registry of the distribution project, with its data in a folder of the test. */
export class Distribution implements AsyncDisposable {
  readonly host: string;
  readonly #child: Bun.Subprocess;

  private constructor(host: string, child: Bun.Subprocess) {
    this.host = host;
    this.#child = child;
  }

  /** Starts one; `more` is added to its configuration. */
  static async start(folder: string, more: Readonly<Record<string, unknown>> = {}): Promise<Distribution> {
    const host = `127.0.0.1:${await freePort()}`;
    const file = join(folder, "distribution.yml");
    // JSON is YAML.
    const configuration = {
      version: 0.1,
      log: { level: "error" },
      storage: { filesystem: { rootdirectory: join(folder, "data") }, delete: { enabled: true } },
      http: { addr: host },
      ...more,
    };
    await Bun.write(file, JSON.stringify(configuration));
    const child = Bun.spawn([distribution.path, "serve", file], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
    const registry = new Distribution(host, child);
    await until("distribution answers", async () => {
      if (child.exitCode !== null) throw new Error("distribution ended");
      return await fetch(`http://${host}/v2/`).then(
        ({ ok }) => ok,
        () => false,
      );
    });
    return registry;
  }

  /** One that takes and gives schema 1, as versions before 3 can. */
  static async withSchema1(folder: string): Promise<Distribution> {
    return await Distribution.start(folder, { compatibility: { schema1: { enabled: true } } });
  }

  /** One that is a cache in front of `remoteurl`, where it signs in as `alice`. */
  static async mirror(folder: string, remoteurl: string): Promise<Distribution> {
    return await Distribution.start(folder, { proxy: { remoteurl, username: "alice", password: PASSWORD } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#child.exited;
  }
}
