import { stat } from "node:fs/promises";
import { createHasher } from "@stowage/client/hasher";
import {
  type Digest,
  DIGEST_ALGORITHMS,
  type DigestAlgorithm,
  digestFromHex,
  parseDigest,
} from "@stowage/oci/digest";
import { UsageError } from "../arguments.ts";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { CommandError, exitCodeOf } from "../failure.ts";
import { FILE_RULE, isFile, reasonOf } from "../files.ts";
import { openImage, unknownManifest } from "../image.ts";
import { printable } from "../table.ts";

export const DIGEST: Command = {
  about: `Prints digests: of an image what the registry says, of files what they have, with a tab and the name behind it, as distribution's \`digest\` does. Without an argument it reads standard input.\n\n${FILE_RULE}`,
  places: [{ name: "REF|FILE|-", completes: "image", isOptional: true, takesRest: true }],
  options: {
    algorithm: {
      value: "NAME",
      short: "a",
      choices: DIGEST_ALGORITHMS,
      help: "of files: sha256 (default) or sha512",
    },
    check: {
      value: "SUMS",
      short: "c",
      help: "compare files with the digests of this file, or - for standard input",
    },
  },
  shared: ["output", "registry"],
  examples: [
    { line: "digest localhost:5000/team/app:1.0" },
    { line: "digest -a sha512 ./README.md" },
    { line: "digest ./README.md > SUMS" },
    { line: "digest -c SUMS" },
  ],
  run,
};

interface Result {
  readonly name: string;
  readonly digest: Digest;
  readonly isFile: boolean;
}

async function run(call: Call): Promise<number> {
  const { args, output, world } = call;
  const check = args.get("check");
  if (check !== null) return await runCheck(call, check);
  const names = args.places.length === 0 ? ["-"] : args.places;
  const algorithm = (args.get("algorithm") ?? "sha256") as DigestAlgorithm;
  let code: number = EXIT.ok;
  async function* results(): AsyncGenerator<Result, void, void> {
    for (const name of names) {
      const isLocal = await isFile(name);
      try {
        yield {
          name,
          isFile: isLocal,
          digest: isLocal ? await hashFile(call, name, algorithm) : await ask(call, name),
        };
      } catch (error) {
        if (names.length === 1 || call.signal.aborted) throw error;
        // As distribution's: the others are still printed.
        world.stderr.write(
          `error: digest: ${printable(error instanceof Error ? error.message : String(error))}\n`,
        );
        code = code === EXIT.ok ? exitCodeOf(error) : EXIT.partial;
      }
    }
  }
  await output.list(results(), {
    id: ({ digest }) => digest,
    line: ({ name, digest, isFile: isLocal }) =>
      isLocal || names.length > 1 ? `${digest}\t${name}` : digest,
    value: ({ name, digest }) => ({ name, digest }),
  });
  return code;
}

async function ask(call: Call, text: string): Promise<Digest> {
  const { repository, target, name } = await openImage(call, text);
  const head = await repository.headManifest(target, { signal: call.signal });
  if (head === null) throw unknownManifest(`resolve ${name}`);
  return head.digest;
}

async function hashFile({ world, signal }: Call, name: string, algorithm: DigestAlgorithm): Promise<Digest> {
  const hasher = createHasher(algorithm);
  const fail = (error: unknown) => {
    signal.throwIfAborted();
    throw new CommandError(`${name}: ${reasonOf(error)}`);
  };
  try {
    if (name !== "-" && (await stat(name)).isDirectory()) throw new Error("is a directory");
    for await (const piece of name === "-" ? world.stdin.stream() : Bun.file(name).stream()) {
      signal.throwIfAborted();
      hasher.update(piece);
    }
  } catch (error) {
    return fail(error);
  }
  return hasher.digest();
}

interface Checked {
  readonly name: string;
  readonly wanted: Digest;
  /** Null: the file cannot be read. */
  readonly got: Digest | null;
  readonly isRight: boolean;
}

async function runCheck(call: Call, sums: string): Promise<number> {
  const { args, output, world } = call;
  if (args.places.length > 0) throw new UsageError("--check takes the names of the files from SUMS");
  const text = await (sums === "-" ? new Response(world.stdin.stream()).text() : Bun.file(sums).text()).catch(
    (error: unknown) => {
      call.signal.throwIfAborted();
      throw new UsageError(`cannot read "${sums}": ${reasonOf(error)}`);
    },
  );
  const lines = text.split("\n").filter((line) => line !== "");
  const wanted = lines.map((line, at) => readSum(line, { sums, at }));
  const all: Checked[] = [];
  for (const { name, digest } of wanted) {
    const got = await hashFile(call, name, digest.startsWith("sha512:") ? "sha512" : "sha256").catch(
      (error: unknown) => {
        call.signal.throwIfAborted();
        call.warn(`error: digest: ${error instanceof Error ? error.message : String(error)}`);
        return null;
      },
    );
    all.push({ name, wanted: digest, got, isRight: got === digest });
  }
  const wrong = all.filter(({ isRight }) => !isRight);
  output.print({
    value: all,
    text: () => all.map(({ name, isRight }) => `${name}: ${isRight ? "OK" : "FAILED"}\n`).join(""),
    ids: () => wrong.map(({ name }) => name),
  });
  if (wrong.length === 0) return EXIT.ok;
  throw new CommandError(`${wrong.length} of ${all.length} files are not what ${sums} says`, {
    code: EXIT.mismatch,
  });
}

/** `sha256:HEX NAME`, or as sha256sum and sha512sum write it: `HEX  NAME`. */
function readSum(line: string, { sums, at }: { sums: string; at: number }): { name: string; digest: Digest } {
  const [, text = "", name = ""] = /^(\S+)[ \t]+\*?(.+?)\r?$/.exec(line) ?? [];
  const digest = parseDigest(text) ?? digestFromHex(text.length === 128 ? "sha512" : "sha256", text);
  if (digest !== null && name !== "") return { name, digest };
  throw new UsageError(`line ${at + 1} of "${sums}" is no digest and name`);
}
