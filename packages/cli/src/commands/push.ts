import { requireImageReference } from "@stowage/client/image-reference";
import { pushImage, tagsOf } from "@stowage/client/node/move-image";
import { piecesOf } from "@stowage/client/streams";
import { UsageError } from "../arguments.ts";
import { openClient } from "../client.ts";
import type { Call, Command } from "../command.ts";
import { describeCopy, MOVE_OPTIONS, readMoveOptions } from "../content/copy-options.ts";
import { transportOf } from "../content/open-image.ts";
import { EXIT } from "../exit-codes.ts";
import { openProgress } from "../progress.ts";

export const PUSH: Command = {
  about:
    "Pushes an image from a folder or a file. The forms: oci:DIR[:TAG] (an OCI layout), oci-archive:FILE[:TAG], docker-archive:FILE[:NAME] (what `docker save` writes), a path of one of them, and `-` for an archive from standard input, which is pushed while it comes.",
  places: [
    { name: "SRC", completes: "file" },
    { name: "REF", completes: "reference" },
  ],
  options: MOVE_OPTIONS,
  shared: ["registry", "output", "progress"],
  examples: [
    { line: "push docker-archive:app.tar localhost:5000/team/copy:1.0" },
    { line: "push oci:layout localhost:5000/team/copy:2.0" },
    { line: "push - localhost:5000/team/copy:3.0 < app.tar" },
    { line: "push app.tar localhost:5000/team/copy:4.0" },
  ],
  run: runPush,
};

async function runPush(call: Call): Promise<number> {
  const { args, world, signal } = call;
  const [place = "", text = ""] = args.places;
  const transport = await transportOf(place);
  if (transport === null)
    throw new UsageError(
      `"${place}" is no image; wanted oci:DIR, oci-archive:FILE, docker-archive:FILE, a file or -`,
    );
  const options = readMoveOptions(args);
  const reference = requireImageReference(text);
  if (transport.path === null && (options.platforms !== "all" || options.referrers === true))
    throw new UsageError("--platform and --referrers need a file: standard input is pushed as it comes");
  const repository = (await openClient(call, [reference.registry])).repository(reference);
  using progress = openProgress(call);
  const result = await pushImage(repository, reference, {
    ...options,
    from: transport,
    input: piecesOf(world.stdin.stream()),
    signal,
    onProgress: (event) => progress.onProgress(event),
    countsBytes: progress.countsBytes,
  });
  if ("manifests" in result) call.say(describeCopy(result));
  const name = `${repository.label}@${result.digest}`;
  call.output.print({
    value: { reference: name, source: place, tags: tagsOf(reference), ...result },
    text: () => `${name}\n`,
    ids: () => [result.digest],
  });
  return EXIT.ok;
}
