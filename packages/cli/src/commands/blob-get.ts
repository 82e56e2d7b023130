import { rename, unlink } from "node:fs/promises";
import { ClientError } from "@stowage/client/client-error";
import { piecesOf } from "@stowage/client/streams";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { nameOf, openImage, requireDigest, unknownBlob } from "../image.ts";

export const BLOB_GET: Command = {
  about:
    "Prints a blob. Digest and size are verified: what is wrong ends with 9, and a FILE is then not made. On standard output the bytes are there before that.",
  places: [{ name: "REPO@DIGEST", completes: "repository" }],
  options: { output: { value: "FILE", short: "o", help: "write it there" } },
  shared: ["registry"],
  examples: [
    { line: "blob get localhost:5000/team/app@$BLOB > blob.bin" },
    { line: "blob get localhost:5000/team/app@$BLOB -o blob.bin" },
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const { args, output, signal } = call;
  const { repository, reference } = await openImage(call, args.places[0] ?? "");
  const digest = requireDigest(reference);
  const operation = `pull ${nameOf(reference, digest)}`;
  const blob = await repository.headBlob(digest, { signal });
  const stream = blob === null ? null : await repository.openBlob(blob, { signal });
  if (stream === null) throw unknownBlob(operation);
  const file = args.get("output");
  if (file === null) {
    for await (const piece of piecesOf(stream)) await output.raw(piece);
  } else await writeFile(file, stream);
  return EXIT.ok;
}

/** The file appears when all of it is right. */
async function writeFile(file: string, stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
  const partial = `${file}.${crypto.randomUUID()}.partial`;
  try {
    const writer = Bun.file(partial).writer();
    for await (const piece of piecesOf(stream)) {
      writer.write(piece);
      await writer.flush();
    }
    await writer.end();
    await rename(partial, file);
  } catch (error) {
    await unlink(partial).catch(() => undefined);
    if (error instanceof ClientError) throw error;
    throw new Error(`cannot write "${file}": ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}
