import { open } from "node:fs/promises";
import { basename } from "node:path";
import { ClientError } from "@stowage/client/client-error";
import type { BlobRef, OpenBytes } from "@stowage/client/content";
import { createHasher } from "@stowage/client/hasher";
import { requireManifest } from "@stowage/client/image";
import { descriptorOf, manifestFrom } from "@stowage/client/image-manifests";
import { streamOf } from "@stowage/client/streams";
import { MEDIA_TYPE, parseMediaType } from "@stowage/oci/media-type";
import { UsageError } from "../arguments.ts";
import type { Call, Command } from "../command.ts";
import { ANNOTATION_OPTION, annotationsOf } from "../content/annotations.ts";
import { encode, putBytes } from "../content/made-image.ts";
import { openInRegistry } from "../content/open-image.ts";
import { EXIT } from "../exit-codes.ts";

/** Bytes that are read from a file at once. */
const READ_BYTES = 256 * 1024;

export const ATTACH: Command = {
  about:
    "Attaches a file to an image: an SBOM, a signature, a report. It becomes an artifact that refers to the image, and that `stowage tree` and every client that knows referrers finds. Where the registry does not list referrers, the tag is kept that stands for the list.",
  places: [
    { name: "SUBJECT", completes: "reference" },
    { name: "FILE", completes: "file" },
  ],
  options: {
    type: { value: "TYPE", help: "what it is, a media type: application/spdx+json" },
    "media-type": { value: "TYPE", help: "media type of the file (default: that of --type)" },
    annotation: ANNOTATION_OPTION,
  },
  shared: ["registry", "output"],
  examples: [
    { line: "attach localhost:5000/team/app:1.0 sbom.json --type application/spdx+json" },
    {
      line: "attach localhost:5000/team/app:1.0 report.txt --type application/vnd.example.report --media-type text/plain",
    },
  ],
  run: runAttach,
};

async function runAttach(call: Call): Promise<number> {
  const [subjectText = "", path = ""] = call.args.places;
  const type = typeOf(call, "type");
  if (type === null)
    throw new UsageError("--type is missing; wanted a media type, for example application/spdx+json");
  const mediaType = typeOf(call, "media-type") ?? type;
  const annotations = annotationsOf(call.args);
  const { repository, reference } = await openInRegistry(call, subjectText);
  const subject = await requireManifest(repository, reference, { signal: call.signal });
  const blob = await describeFile(path);
  await repository.putBlob(blob, openFileAt(path), { signal: call.signal });
  // The empty object: what an artifact without a config has (image specification, "Guidance for an Empty Descriptor").
  const empty = encode({});
  const config = {
    mediaType: MEDIA_TYPE.ociEmpty,
    digest: await putBytes(repository, empty),
    size: empty.byteLength,
  };
  const manifest = manifestFrom(
    {
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.ociManifest,
      artifactType: type,
      config,
      layers: [{ mediaType, ...blob, annotations: { "org.opencontainers.image.title": basename(path) } }],
      subject: descriptorOf(subject),
      annotations: {
        "org.opencontainers.image.created": new Date(call.world.now()).toISOString(),
        ...annotations,
      },
    },
    MEDIA_TYPE.ociManifest,
  );
  await repository.putManifest(manifest, { signal: call.signal });
  const name = `${repository.label}@${manifest.digest}`;
  const value = {
    reference: name,
    digest: manifest.digest,
    subject: subject.digest,
    artifactType: type,
    size: blob.size,
  };
  call.output.print({ value, text: () => `${name}\n`, ids: () => [manifest.digest] });
  return EXIT.ok;
}

function typeOf({ args }: Call, option: string): string | null {
  const text = args.get(option);
  if (text === null) return null;
  if (parseMediaType(text) === text) return text;
  throw new UsageError(`--${option} is "${text}"; wanted a media type, for example application/spdx+json`);
}

async function describeFile(path: string): Promise<BlobRef> {
  const hasher = createHasher("sha256");
  let size = 0;
  for await (const piece of piecesOfFile(path, 0)) {
    hasher.update(piece);
    size += piece.byteLength;
  }
  return { digest: hasher.digest(), size };
}

function openFileAt(path: string): OpenBytes {
  return async (offset) => streamOf(piecesOfFile(path, offset));
}

async function* piecesOfFile(
  path: string,
  offset: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const opened = await open(path, "r").catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ClientError("invalid", `cannot read ${JSON.stringify(path)}: ${why}`, { cause });
  });
  await using file = opened;
  if (!(await file.stat()).isFile()) throw new ClientError("invalid", `${JSON.stringify(path)} is no file`);
  for (let at = offset; ;) {
    const { bytesRead, buffer } = await file.read(new Uint8Array(READ_BYTES), 0, READ_BYTES, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
