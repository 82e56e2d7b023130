import type { Descriptor } from "@stowage/oci/descriptor";
import { manifestKind } from "@stowage/oci/media-type";
import { ClientError } from "@stowage/client/client-error";
import type { ContentSource, IoOptions } from "@stowage/client/content";
import { requireManifest } from "@stowage/client/image";
import { partsOf } from "@stowage/client/image-manifests";
import { formatPlatform } from "@stowage/client/platform";

/** Manifests of one tree, and how deep they may lie below each other. */
const NODES_MAX = 10_000;
const DEPTH_MAX = 16;

/** A manifest, with what it lists and what refers to it. */
export interface TreeNode {
  readonly digest: string;
  readonly mediaType: string;
  readonly artifactType: string | null;
  readonly platform: string | null;
  /** Bytes of the manifest and of the blobs that it names. */
  readonly bytes: number;
  readonly annotations: Readonly<Record<string, string>>;
  /** Something names it, and it is not there. */
  readonly isAbsent: boolean;
  readonly manifests: readonly TreeNode[];
  readonly referrers: readonly TreeNode[];
}

/** The image with everything below and around it. @throws ClientError */
export async function readTree(
  source: ContentSource,
  reference: string | null,
  options: IoOptions = {},
): Promise<TreeNode> {
  const seen = new Set<string>();
  const root = await requireManifest(source, reference, options);

  async function nodeOf(manifest: typeof root, entry: Descriptor | null, depth: number): Promise<TreeNode> {
    if (seen.size >= NODES_MAX || depth > DEPTH_MAX)
      throw new ClientError(
        "invalid",
        `${source.label}: more than ${NODES_MAX} manifests, or ${DEPTH_MAX} below each other`,
      );
    // Shown again with nothing below: content addresses cannot be circular, but two may share much.
    const isKnown = seen.has(manifest.digest);
    seen.add(manifest.digest);
    const parts = partsOf(manifest);
    const blobs = [...(parts.config === null ? [] : [parts.config]), ...parts.layers];
    const manifests: TreeNode[] = [];
    const referrers: TreeNode[] = [];
    if (!isKnown) {
      for (const child of parts.manifests.filter(({ mediaType }) => manifestKind(mediaType) !== null))
        manifests.push(await childOf(child, depth + 1));
      for await (const child of source.referrers(manifest.digest, options))
        referrers.push(await childOf(child, depth + 1));
    }
    return {
      digest: manifest.digest,
      mediaType: manifest.mediaType,
      artifactType: entry?.artifactType ?? parts.artifactType,
      platform: entry?.platform === null || entry === null ? null : formatPlatform(entry.platform),
      bytes: blobs.reduce((sum, { size }) => sum + size, manifest.bytes.byteLength),
      annotations: parts.annotations,
      isAbsent: false,
      manifests,
      referrers,
    };
  }

  async function childOf(entry: Descriptor, depth: number): Promise<TreeNode> {
    const manifest = await source.getManifest(entry.digest, options);
    if (manifest !== null) return await nodeOf(manifest, entry, depth);
    const { digest, mediaType, artifactType, platform, size: bytes } = entry;
    return {
      digest,
      mediaType,
      artifactType,
      platform: platform === null ? null : formatPlatform(platform),
      bytes,
      annotations: entry.annotations ?? {},
      isAbsent: true,
      manifests: [],
      referrers: [],
    };
  }

  return await nodeOf(root, null, 0);
}

/** Lines for people, with what belongs together joined by lines. */
export function formatTree(root: TreeNode, lineOf: (node: TreeNode, isReferrer: boolean) => string): string {
  const lines: string[] = [];
  function add(
    node: TreeNode,
    before: { readonly own: string; readonly below: string },
    isReferrer: boolean,
  ) {
    lines.push(`${before.own}${lineOf(node, isReferrer)}\n`);
    const below = [
      ...node.manifests.map((child) => ({ child, isReferrer: false })),
      ...node.referrers.map((child) => ({ child, isReferrer: true })),
    ];
    below.forEach(({ child, isReferrer: isOne }, at) => {
      const isLast = at === below.length - 1;
      const own = `${before.below}${isLast ? "└── " : "├── "}`;
      add(child, { own, below: `${before.below}${isLast ? "    " : "│   "}` }, isOne);
    });
  }
  add(root, { own: "", below: "" }, false);
  return lines.join("");
}
