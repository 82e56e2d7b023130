import { requireImageReference } from "@stowage/client/image-reference";
import { pullImage } from "@stowage/client/node/move-image";
import { parseTransport, type Transport } from "@stowage/client/node/transport";
import { UsageError } from "../arguments.ts";
import { openClient } from "../client.ts";
import type { Call, Command } from "../command.ts";
import { describeCopy, MOVE_OPTIONS, readMoveOptions } from "../content/copy-options.ts";
import { EXIT } from "../exit-codes.ts";
import { openProgress } from "../progress.ts";

export const PULL: Command = {
  about:
    "Writes an image to a folder or a file. The forms: oci:DIR[:TAG] (an OCI layout), oci-archive:FILE[:TAG], docker-archive:FILE[:NAME] (what `docker load` reads), and `-` for a docker archive to standard output. A docker archive has one platform: linux/amd64, unless --platform says another.",
  places: [
    { name: "REF", completes: "reference" },
    { name: "DEST", completes: "file" },
  ],
  options: MOVE_OPTIONS,
  shared: ["registry", "output", "progress"],
  examples: [
    { line: "pull localhost:5000/team/app:1.0 oci:layout" },
    { line: "pull localhost:5000/team/app:1.0 oci-archive:app-oci.tar" },
    { line: "pull localhost:5000/team/app:1.0 docker-archive:app.tar" },
    { line: "pull localhost:5000/team/app:1.0 - | docker load", untested: "it needs docker" },
  ],
  run: runPull,
};

async function runPull(call: Call): Promise<number> {
  const { args, world, signal } = call;
  const [text = "", place = ""] = args.places;
  const transport = destinationOf(call, place);
  const reference = requireImageReference(text);
  const repository = (await openClient(call, [reference.registry])).repository(reference);
  const options = readMoveOptions(args);
  using progress = openProgress(call);
  const result = await pullImage(repository, reference, {
    ...options,
    to: transport,
    write: async (bytes) => {
      world.stdout.write(bytes);
      await world.stdout.flush();
    },
    signal,
    onProgress: (event) => progress.onProgress(event),
    countsBytes: progress.countsBytes,
  });
  const name = `${repository.label}@${result.digest}`;
  // With the image itself on standard output, nothing else may be there.
  const output = transport.path === null ? call.output.on(world.stderr) : call.output;
  call.say(describeCopy(result));
  output.print({
    value: { reference: name, target: place, ...result },
    text: () => `${name}\n`,
    ids: () => [result.digest],
  });
  return EXIT.ok;
}

function destinationOf({ world }: Call, text: string): Transport {
  const transport = parseTransport(text);
  if (transport === null)
    throw new UsageError(
      `"${text}" is no destination; wanted oci:DIR, oci-archive:FILE, docker-archive:FILE or -`,
    );
  if (transport.path === null && world.stdout.isTerminal)
    throw new UsageError("standard output is a terminal; wanted a file, or a pipe");
  return transport;
}
