import type { Call, Command } from "../command.ts";
import { formatSize } from "../byte-size.ts";
import { checkImage } from "../content/check-image.ts";
import { openImage } from "../content/open-image.ts";
import { EXIT } from "../exit-codes.ts";

export const VALIDATE: Command = {
  about:
    "Reads an image to its last byte, every platform of it: whether each blob is there and has its digest and size, and whether the layers are those that the config says. Prints what is wrong, and ends with 9 then.",
  places: [{ name: "REF|TAR", completes: "image" }],
  shared: ["registry", "output"],
  examples: [
    { line: "validate localhost:5000/team/app:1.0" },
    { line: "validate docker-archive:app.tar" },
    { line: "validate localhost:5000/team/app:1.0 --format json" },
  ],
  run: runValidate,
};

async function runValidate(call: Call): Promise<number> {
  await using image = await openImage(call, call.args.places[0] ?? "");
  const result = await checkImage(image.source, image.reference, { signal: call.signal });
  const { findings, manifests, blobs, bytes } = result;
  call.output.print({
    value: { reference: image.label, ...result },
    table: () => ({
      head: ["DIGEST", "PROBLEM"],
      rows: findings.map(({ digest, problem }) => [digest, problem]),
    }),
    ids: () => [...new Set(findings.map(({ digest }) => digest))],
  });
  call.say(
    `${image.label}: ${manifests} manifests, ${blobs} blobs, ${formatSize(bytes)} read; ${findings.length === 0 ? "nothing is wrong" : `${findings.length} findings`}`,
  );
  return findings.length === 0 ? EXIT.ok : EXIT.mismatch;
}
