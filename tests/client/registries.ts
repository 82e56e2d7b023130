import { startRegistry, type TestRegistry } from "@stowage/server/testing";
import type { RemoteFault } from "./cases.ts";

/** The two registries that the suite talks to, and a way for other processes to make them fail. */
export class SuiteRegistries implements AsyncDisposable {
  readonly open: TestRegistry;
  readonly closed: TestRegistry;

  private constructor(open: TestRegistry, closed: TestRegistry) {
    this.open = open;
    this.closed = closed;
  }

  static async start(): Promise<SuiteRegistries> {
    const open = await startRegistry();
    return new SuiteRegistries(open, await startRegistry({ args: ["--auth", "accounts"] }));
  }

  get signIn() {
    const password = /password {2}(\S+)/.exec(this.closed.told)?.[1] ?? "";
    return { host: this.closed.host, username: "admin", password };
  }

  addFault({ path, ...fault }: RemoteFault): void {
    this.open.faults.add({ ...fault, ...(path === undefined ? {} : { path: new RegExp(path) }) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.open[Symbol.asyncDispose]();
    await this.closed[Symbol.asyncDispose]();
  }
}
