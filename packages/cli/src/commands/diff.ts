import { readConfig } from "@stowage/client/image";
import type { Descriptor } from "@stowage/oci/descriptor";
import { formatSize } from "../byte-size.ts";
import type { Call, Command } from "../command.ts";
import { type FileChange, fileChanges } from "../content/file-changes.ts";
import { readFiles } from "../content/image-files.ts";
import { openImages, type OpenedImage, PLATFORM_OPTION, resolveOpened } from "../content/open-image.ts";
import { EXIT } from "../exit-codes.ts";
import { CommandError } from "../failure.ts";
import { type Difference, diffJson } from "../json-diff.ts";
import { printable } from "../table.ts";

export const DIFF: Command = {
  about:
    "Compares two images: layers, config, and with --fs every file that a container would see. Files are the same when content, mode, owner and link are; times are not looked at. Ends with 0 when they are the same and with 1 when they are not.",
  places: [
    { name: "A", completes: "image" },
    { name: "B", completes: "image" },
  ],
  options: {
    fs: { value: null, help: "compare files; reads every layer of both" },
    config: { value: null, help: "compare configs only, or together with --fs" },
    ...PLATFORM_OPTION,
  },
  shared: ["registry", "output"],
  examples: [
    { line: "diff localhost:5000/team/app:1.0 localhost:5000/team/app:stable" },
    { line: "diff localhost:5000/team/app:1.0 localhost:5000/team/app:1.1 --fs || true" },
  ],
  run: runDiff,
};

interface Compared {
  readonly a: { readonly reference: string; readonly digest: string };
  readonly b: { readonly reference: string; readonly digest: string };
  readonly layers: {
    readonly shared: number;
    readonly removed: readonly Descriptor[];
    readonly added: readonly Descriptor[];
  } | null;
  readonly config: readonly Difference[] | null;
  readonly files: readonly FileChange[] | null;
}

/** Changed files that are printed at once. */
const FILES_MAX = 1_000_000;

async function runDiff(call: Call): Promise<number> {
  const opened = await openImages(call, call.args.places);
  await using stack = new AsyncDisposableStack();
  for (const image of opened) stack.use(image);
  const [a, b] = opened;
  if (a === undefined || b === undefined) return EXIT.usage;
  const compared = await compare(call, a, b);
  call.output.print({
    // What is not there at all is null in JSON.
    value: {
      ...compared,
      config:
        compared.config?.map(({ path, before = null, after = null }) => ({ path, before, after })) ?? null,
    },
    text: () => textOf(compared),
    ids: () => (compared.files ?? []).map(({ path }) => path),
  });
  return isDifferent(compared) ? EXIT.failed : EXIT.ok;
}

async function compare(call: Call, a: OpenedImage, b: OpenedImage): Promise<Compared> {
  const { args, signal } = call;
  const [resolvedA, resolvedB] = [await resolveOpened(call, a), await resolveOpened(call, b)];
  const isPlain = !args.has("fs") && !args.has("config");
  const configs =
    isPlain || args.has("config")
      ? [
          await readConfig(a.source, resolvedA.parts, { signal }),
          await readConfig(b.source, resolvedB.parts, { signal }),
        ]
      : null;
  return {
    a: { reference: a.label, digest: resolvedA.manifest.digest },
    b: { reference: b.label, digest: resolvedB.manifest.digest },
    layers: isPlain ? compareLayers(resolvedA.parts.layers, resolvedB.parts.layers) : null,
    config: configs === null ? null : diffJson(configs[0], configs[1]),
    files: args.has("fs") ? await compareFiles(call, a, b) : null,
  };
}

function compareLayers(a: readonly Descriptor[], b: readonly Descriptor[]) {
  const [inA, inB] = [new Set(a.map(({ digest }) => digest)), new Set(b.map(({ digest }) => digest))];
  return {
    shared: [...inA].filter((digest) => inB.has(digest)).length,
    removed: a.filter(({ digest }) => !inB.has(digest)),
    added: b.filter(({ digest }) => !inA.has(digest)),
  };
}

async function compareFiles(call: Call, a: OpenedImage, b: OpenedImage): Promise<readonly FileChange[]> {
  const before = await readFiles(call, a, { hash: true });
  const after = await readFiles(call, b, { hash: true });
  const changes = [...fileChanges(before.tree, after.tree)];
  if (changes.length > FILES_MAX) throw new CommandError(`more than ${FILES_MAX} files are different`);
  return changes.toSorted((x, y) => (x.path < y.path ? -1 : 1));
}

function isDifferent({ layers, config, files }: Compared): boolean {
  return (
    (layers?.removed.length ?? 0) +
      (layers?.added.length ?? 0) +
      (config?.length ?? 0) +
      (files?.length ?? 0) >
    0
  );
}

const SIGN = { added: "+", removed: "-", changed: "~" } as const;

function textOf({ layers, config, files }: Compared): string {
  const lines: string[] = [];
  if (layers !== null) {
    lines.push(`layers: ${layers.shared} shared`);
    for (const { digest, size } of layers.removed) lines.push(`- ${digest} ${formatSize(size)}`);
    for (const { digest, size } of layers.added) lines.push(`+ ${digest} ${formatSize(size)}`);
  }
  for (const { path, before, after } of config ?? []) {
    if (before !== undefined) lines.push(`- ${path}: ${JSON.stringify(before)}`);
    if (after !== undefined) lines.push(`+ ${path}: ${JSON.stringify(after)}`);
  }
  for (const { change, path, what } of files ?? [])
    lines.push(`${SIGN[change]} /${path}${what.length === 0 ? "" : ` (${what.join(", ")})`}`);
  return lines.map((line) => `${printable(line)}\n`).join("");
}
