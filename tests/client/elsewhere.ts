import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WORKSPACE } from "../support/registry-process.ts";
import type { RemoteFault } from "./cases.ts";
import { SuiteRegistries } from "./registries.ts";
import type { Outcome } from "./suite.ts";

/** Longest that a suite may take elsewhere, in milliseconds. */
const SUITE_MS_MAX = 120_000;

/** What the suite in another process is told. */
export interface Instructions {
  /** Where faults are ordered and outcomes reported. */
  readonly control: string;
  readonly host: string;
  readonly signIn: { readonly host: string; readonly username: string; readonly password: string } | null;
}

/** The suite as one script of another runtime. */
export async function bundleSuite(target: "node" | "browser"): Promise<string> {
  const built = await Bun.build({
    entrypoints: [join(WORKSPACE, "tests", "client", "other-runtime.ts")],
    target,
    format: "esm",
    minify: target === "browser",
  });
  if (!built.success) throw new Error(built.logs.join("\n"));
  const [script] = built.outputs;
  if (script === undefined) throw new Error("nothing was built");
  return await script.text();
}

/** The registries, and a server by which another runtime makes them fail and tells how it went. */
export class RemoteSuite implements AsyncDisposable {
  readonly registries: SuiteRegistries;
  readonly #server: ReturnType<typeof Bun.serve>;
  #report: PromiseWithResolvers<readonly Outcome[]> = Promise.withResolvers();

  private constructor(registries: SuiteRegistries) {
    this.registries = registries;
    this.#server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: (request) => this.#answer(request) });
  }

  static async start(): Promise<RemoteSuite> {
    return new RemoteSuite(await SuiteRegistries.start());
  }

  get control(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  /** The next report. @throws Error when none comes */
  async report(): Promise<readonly Outcome[]> {
    const late = Bun.sleep(SUITE_MS_MAX).then(() => {
      throw new Error(`no report within ${SUITE_MS_MAX} ms`);
    });
    const outcomes = await Promise.race([this.#report.promise, late]);
    this.#report = Promise.withResolvers();
    return outcomes;
  }

  async #answer(request: Request): Promise<Response> {
    const path = new URL(request.url, this.control).pathname;
    const body = request.method === "POST" ? ((await request.json()) as unknown) : null;
    if (path === "/fault") this.registries.addFault(body as RemoteFault);
    if (path === "/report") this.#report.resolve(body as readonly Outcome[]);
    // A page of the registry asks here, across origins.
    return new Response("", { headers: { "Access-Control-Allow-Origin": "*" } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
    await this.registries[Symbol.asyncDispose]();
  }
}

/** Runs the suite with another runtime, `command` in front of its script, and waits for its report. */
export async function runElsewhere(command: readonly string[]): Promise<readonly Outcome[]> {
  await using suite = await RemoteSuite.start();
  const folder = await mkdtemp(join(tmpdir(), "stowage-elsewhere-"));
  try {
    const script = join(folder, "suite.mjs");
    await writeFile(script, await bundleSuite("node"));
    const { registries, control } = suite;
    const instructions: Instructions = { control, host: registries.open.host, signIn: registries.signIn };
    const child = Bun.spawn([...command, script], {
      env: { ...process.env, INSTRUCTIONS: JSON.stringify(instructions) },
      stdout: "ignore",
      stderr: "pipe",
    });
    const ended = child.stderr.text().then(async (said) => {
      if ((await child.exited) !== 0) throw new Error(`${command[0]} ended with ${child.exitCode}: ${said}`);
    });
    const report = suite.report();
    await Promise.race([report, ended]);
    const outcomes = await report;
    await ended;
    return outcomes;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
