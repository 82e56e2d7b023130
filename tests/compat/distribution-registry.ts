import { join } from "node:path";
import { until } from "./support.ts";

/** Distribution's registry of before version 3, which still knows schema 1, in a process of its own. */
export class DistributionRegistry implements AsyncDisposable {
  readonly host: string;
  readonly #child: Bun.Subprocess;

  private constructor(host: string, child: Bun.Subprocess) {
    this.host = host;
    this.#child = child;
  }

  /** Starts one with its data in `folder`, and waits until it answers. */
  static async start(program: string, folder: string): Promise<DistributionRegistry> {
    const host = `127.0.0.1:${freePort()}`;
    const config = {
      version: "0.1",
      log: { level: "error", accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(folder, "distribution") } },
      http: { addr: host },
      compatibility: { schema1: { enabled: true } },
    };
    const path = join(folder, "distribution.yml");
    // JSON is YAML.
    await Bun.write(path, JSON.stringify(config));
    const child = Bun.spawn([program, "serve", path], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
    const registry = new DistributionRegistry(host, child);
    await until("distribution's registry answers", async () => {
      if (child.exitCode !== null) throw new Error(`docker-registry ended with ${child.exitCode}`);
      return await fetch(`http://${host}/v2/`).then(
        (answer) => answer.ok,
        () => false,
      );
    });
    return registry;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
    await this.#child.exited;
  }
}

function freePort(): number {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const { port } = server;
  void server.stop(true);
  if (port === undefined) throw new Error("the server has no port");
  return port;
}
