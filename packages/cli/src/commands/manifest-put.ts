import type { RawManifest } from "@stowage/client/content";
import { digestOf } from "@stowage/client/hasher";
import { MANIFEST_BYTES_MAX } from "@stowage/oci/manifest";
import { parseMediaType } from "@stowage/oci/media-type";
import { UsageError } from "../arguments.ts";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { openFile, reasonOf } from "../files.ts";
import { nameOf, openImage } from "../image.ts";
import { parseJson } from "../json-diff.ts";

export const MANIFEST_PUT: Command = {
  about:
    "Stores a file as a manifest, byte by byte, under the tag or the digest of REF. Blobs that it names have to be there. The last line is what it is called.",
  places: [
    { name: "REF", completes: "reference" },
    { name: "FILE|-", completes: "file" },
  ],
  options: { "media-type": { value: "TYPE", help: "its type (default: the member mediaType of the file)" } },
  shared: ["output", "registry"],
  examples: [{ line: "manifest put localhost:5000/team/app:2.0 ./manifest.json" }],
  run,
};

async function run(call: Call): Promise<number> {
  const { args, output, signal, world } = call;
  const [text = "", file = ""] = args.places;
  const { repository, reference, target } = await openImage(call, text);
  const pieces = file === "-" ? world.stdin.stream() : (await openFile(file)).stream();
  const bytes = await readManifestFile(file, pieces).catch((error: unknown) => {
    signal.throwIfAborted();
    throw error instanceof UsageError ? error : new UsageError(`cannot read "${file}": ${reasonOf(error)}`);
  });
  const { digest: wanted } = reference;
  const digest = digestOf(bytes, wanted?.startsWith("sha512:") === true ? "sha512" : "sha256");
  if (wanted !== null && wanted !== digest) throw new UsageError(`"${file}" is ${digest}; wanted ${wanted}`);
  const manifest = {
    bytes,
    digest,
    mediaType: typeOf(args.get("media-type"), { bytes, digest, mediaType: "" }),
  };
  await repository.putManifest(manifest, { tags: wanted === null ? [target] : [], signal });
  output.print({
    value: {
      reference: nameOf(reference, digest),
      digest,
      mediaType: manifest.mediaType,
      size: bytes.byteLength,
    },
    text: () => `${nameOf(reference, digest)}\n`,
    ids: () => [digest],
  });
  return EXIT.ok;
}

/** @throws UsageError when there are too many; no more of them are read then */
async function readManifestFile(
  file: string,
  pieces: AsyncIterable<Uint8Array>,
): Promise<Uint8Array<ArrayBuffer>> {
  const all: Uint8Array[] = [];
  let length = 0;
  for await (const piece of pieces) {
    all.push(piece);
    length += piece.byteLength;
    if (length > MANIFEST_BYTES_MAX)
      throw new UsageError(`"${file}" has more than ${MANIFEST_BYTES_MAX} bytes, which no manifest has`);
  }
  return Buffer.concat(all);
}

/** @throws UsageError */
function typeOf(given: string | null, manifest: RawManifest): string {
  const body = given === null ? parseJson(manifest) : null;
  const said = typeof body === "object" && body !== null && "mediaType" in body ? body.mediaType : given;
  const mediaType = typeof said === "string" ? parseMediaType(said) : null;
  if (mediaType !== null) return mediaType;
  throw new UsageError("the file does not say what it is; wanted --media-type application/vnd...");
}
