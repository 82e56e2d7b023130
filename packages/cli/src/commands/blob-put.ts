import { createHasher } from "@stowage/client/hasher";
import type { Repository } from "@stowage/client/repository";
import { type Digest, DIGEST_ALGORITHMS, type DigestAlgorithm } from "@stowage/oci/digest";
import { openClient } from "../client.ts";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { openFile } from "../files.ts";
import { nameOf, requireRepositoryName } from "../image.ts";
import { openProgress } from "../progress.ts";

export const BLOB_PUT: Command = {
  about:
    "Stores a file as a blob; what is there already is not sent. Of standard input nothing is kept in memory or on the disk. The last line is what it is called.",
  places: [
    { name: "REPO", completes: "repository" },
    { name: "FILE|-", completes: "file" },
  ],
  options: {
    algorithm: {
      value: "NAME",
      short: "a",
      choices: DIGEST_ALGORITHMS,
      help: "of its digest: sha256 (default) or sha512",
    },
  },
  shared: ["output", "progress", "registry"],
  examples: [
    { line: "blob put localhost:5000/team/app ./README.md" },
    { line: "blob put localhost:5000/team/app - < ./README.md" },
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const { args, output } = call;
  const [text = "", file = ""] = args.places;
  const reference = requireRepositoryName(text);
  const repository = (await openClient(call, [reference.registry])).repository(reference);
  const algorithm = (args.get("algorithm") ?? "sha256") as DigestAlgorithm;
  const { digest, size } = await (file === "-"
    ? putInput(call, repository, algorithm)
    : putFile(call, repository, { file, algorithm }));
  const name = nameOf(reference, digest);
  output.print({ value: { reference: name, digest, size }, text: () => `${name}\n`, ids: () => [digest] });
  return EXIT.ok;
}

interface Put {
  readonly digest: Digest;
  readonly size: number;
}

async function putFile(
  call: Call,
  repository: Repository,
  { file, algorithm }: { readonly file: string; readonly algorithm: DigestAlgorithm },
): Promise<Put> {
  const { signal } = call;
  const source = await openFile(file);
  const hasher = createHasher(algorithm);
  for await (const piece of source.stream()) {
    signal.throwIfAborted();
    hasher.update(piece);
  }
  const blob = { digest: hasher.digest(), size: source.size };
  using progress = openProgress(call);
  progress.onProgress({ kind: "start", ...blob });
  const isThere = await repository.hasBlob(blob, { signal });
  if (!isThere) {
    const onBytes = (bytes: number) => progress.onProgress({ kind: "bytes", ...blob, bytes });
    await repository.putBlob(blob, async (offset) => source.slice(offset).stream(), { signal, onBytes });
  }
  progress.onProgress({ kind: "end", ...blob, outcome: isThere ? "existed" : "copied" });
  return blob;
}

/** Nobody knows the digest before the end, so it goes in one chunk behind which the digest is said. */
async function putInput(
  { world, signal }: Call,
  repository: Repository,
  algorithm: DigestAlgorithm,
): Promise<Put> {
  const hasher = createHasher(algorithm);
  let size = 0;
  const counted = world.stdin.stream().pipeThrough(
    new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(piece, controller) {
        hasher.update(piece);
        size += piece.byteLength;
        controller.enqueue(piece);
      },
    }),
  );
  const session = await repository.startUpload({ algorithm, signal });
  try {
    await session.append({ open: async () => counted, size: null }, { signal });
    const digest = hasher.digest();
    await session.finish(digest, null, { signal });
    return { digest, size };
  } catch (error) {
    await session.cancel().catch(() => undefined);
    throw error;
  }
}
