import { formatSize } from "../byte-size.ts";
import type { Call, Command } from "../command.ts";
import { formatTree, readTree, type TreeNode } from "../content/image-tree.ts";
import { openImage } from "../content/open-image.ts";
import { EXIT } from "../exit-codes.ts";
import { printable } from "../table.ts";

export const TREE_COMMAND: Command = {
  about:
    "Prints an image with the manifests that it lists and what refers to each of them, however deep: signatures, SBOMs, attestations.",
  places: [{ name: "REF", completes: "image" }],
  shared: ["registry", "output"],
  examples: [
    { line: "tree localhost:5000/team/app:1.0" },
    { line: "tree localhost:5000/team/app:1.0 --format json" },
  ],
  run: runTree,
};

async function runTree(call: Call): Promise<number> {
  await using image = await openImage(call, call.args.places[0] ?? "");
  const root = await readTree(image.source, image.reference, { signal: call.signal });
  call.output.print({
    value: root,
    text: () => `${printable(image.label)}\n${formatTree(root, lineOf)}`,
    ids: () => digestsOf(root),
  });
  return EXIT.ok;
}

function lineOf(node: TreeNode, isReferrer: boolean): string {
  const what = isReferrer
    ? (node.artifactType ?? node.mediaType)
    : (node.platform ?? node.artifactType ?? "");
  const size = node.isAbsent ? "absent" : formatSize(node.bytes);
  return printable([node.digest, what, size].filter((text) => text !== "").join("  "));
}

function digestsOf(node: TreeNode): readonly string[] {
  return [node.digest, ...[...node.manifests, ...node.referrers].flatMap(digestsOf)];
}
