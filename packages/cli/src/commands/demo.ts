import { RegistryClient } from "@stowage/client/registry-client";
import { readSettings } from "@stowage/server/config/settings";
import { type RunningServer, serve } from "@stowage/server/serve";
import { UsageError } from "../arguments.ts";
import type { Call, Command } from "../command.ts";
import { putTextImage } from "../content/made-image.ts";
import { EXIT } from "../exit-codes.ts";

export const DEMO: Command = {
  about:
    "Runs a registry in memory with a small image in it, and prints what to try. Everything is gone when it ends.",
  places: [],
  options: { addr: { value: "HOST:PORT", help: "where to listen (default 127.0.0.1:5000, or a free port)" } },
  shared: [],
  examples: [{ line: "demo", untested: "it runs until it is stopped" }],
  run: runDemo,
};

const REPOSITORY = "demo/hello";

async function runDemo(call: Call): Promise<number> {
  const { world, signal } = call;
  const server = await startServer(call);
  const { host } = new URL(server.url);
  const repository = new RegistryClient().repository(`${host}/${REPOSITORY}`);
  const files = { "hello.txt": "Hello from Stowage\n", "etc/os-release": 'PRETTY_NAME="Stowage demo"\n' };
  await putTextImage(repository, { files, tags: ["1.0", "latest"], created: new Date(world.now()) });
  world.stdout.write(guide(host));
  await world.stdout.flush();
  if (!signal.aborted)
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  server.stop();
  await server.stopped;
  return EXIT.ok;
}

async function startServer(call: Call): Promise<RunningServer> {
  const wanted = call.args.get("addr");
  if (wanted !== null) return await listen(call, wanted);
  // Another registry may have the port that everybody knows.
  return await listen(call, "127.0.0.1:5000").catch(() => listen(call, "127.0.0.1:0"));
}

async function listen({ world }: Call, address: string): Promise<RunningServer> {
  const args = ["--ephemeral", "--addr", address, "--drain-seconds", "1", "--log-level", "error"];
  const result = readSettings({ args, env: {} });
  if (!result.ok) throw new UsageError(result.problems.join("; "));
  const write = (lines: string) => world.stderr.write(lines);
  return await serve(result.settings, { isTerminal: world.stderr.isTerminal, write, tell: write });
}

function guide(host: string): string {
  const image = `${host}/${REPOSITORY}:1.0`;
  return `A registry listens at ${host}, with the image ${image} in it. Try:

  stowage catalog ${host}
  stowage ls ${host}/${REPOSITORY} --long
  stowage inspect ${image}
  stowage cat ${image} hello.txt
  stowage copy ${image} ${host}/demo/copy:1.0
  docker push ${host}/you/image:1.0
  curl http://${host}/v2/_catalog

It ends with Ctrl-C, and everything in it.
`;
}
